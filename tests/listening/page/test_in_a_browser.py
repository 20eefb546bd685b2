"""The page in a browser can be used by hand, by keyboard and by eye."""

from pathlib import Path

import pytest
from listening.page.songs import REPRESENTATIONS, WHEN_HEARD, bad_files, music, named, wait, write

from stages.listening.exports import PAGE


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)


def names_in_order(tab):
    return [cell.inner_text() for cell in tab.query_selector_all("tbody th")]


def test_the_table_is_sorted_by_a_click(two):
    length = two.get_by_role("button", name="length", exact=True)
    head = two.get_by_role("columnheader", name="length")
    for order, names in {"ascending": ["a.flac", "b.wav"], "descending": ["b.wav", "a.flac"]}.items():
        length.click()
        assert head.get_attribute("aria-sort") == order
        assert names_in_order(two) == names
    two.get_by_role("button", name="song", exact=True).click()
    assert head.get_attribute("aria-sort") is None
    assert names_in_order(two) == ["a.flac", "b.wav"]


def test_a_song_is_chosen_by_its_name(two):
    assert two.inner_text("#title") == "a.flac"
    other = named(two, "b.wav")
    other.press("Enter")
    assert two.inner_text("#title") == "b.wav"
    assert other.get_attribute("aria-pressed") == "true"
    song = two.evaluate("songs[1]")
    assert two.inner_text("#verdict").startswith(
        f"{song['genre']}, {song['probabilities'][song['genre']]:.0%}".replace("%", " %")
    )


def test_songs_and_folders_may_be_dropped_on_a_page_opened_by_double_click(two):
    """By the browser's own drag: a file of a script would not be read as one of the disk is."""
    folder = Path("dropped")
    (folder / "deep").mkdir(parents=True)
    for path in (Path("x.wav"), folder / "deep" / "y.wav", folder / ".hidden.wav"):
        path.write_bytes(Path("b.wav").read_bytes())
    (folder / "cover.jpg").write_bytes(b"no song")
    assert two.url.startswith("file://")
    session = two.context.new_cdp_session(two)
    for dropped, expected in ((["x.wav", "a.flac"], ["x.wav", "a.flac"]), ([folder], ["dropped/deep/y.wav"])):
        before = two.evaluate("entries.length")
        data = {"items": [], "files": [str(Path(each).absolute()) for each in dropped], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            session.send("Input.dispatchDragEvent", {"type": kind, "x": 100, "y": 100, "data": data})
        wait(two, f"entries.length > {before} && $('main').ariaBusy === 'false'")
        assert two.evaluate(f"entries.slice({before}).map((entry) => entry.heard && entry.name)") == expected
    session.detach()


def test_a_file_may_be_dropped_in_firefox(firefox):
    """From a script, as the browser's own events: its driver drags no file of the disk."""
    content = Path(write("dropped.wav", music("rock", 8000, 2), 8000)).read_bytes()
    firefox.open(PAGE.absolute().as_uri())
    cancelled = firefox.evaluate(f"""(() => {{
      const carried = new DataTransfer();
      carried.items.add(new File([Uint8Array.from({list(content)})], "dropped.wav"));
      const how = {{dataTransfer: carried, bubbles: true, cancelable: true}};
      return ["dragenter", "dragover", "drop"].map((kind) => !document.body.dispatchEvent(new DragEvent(kind, how)));
    }})()""")
    assert cancelled == [True, True, True]
    firefox.evaluate(WHEN_HEARD)
    assert [song["file"] for song in firefox.evaluate("window.songs")] == ["dropped.wav"]
    firefox.open("about:blank")


def test_what_cannot_be_read_of_a_drop_is_said(two):
    two.evaluate("""() => {
      const item = {kind: "file", getAsFile: () => null, webkitGetAsEntry: () => ({isDirectory: true}),
        getAsFileSystemHandle: async () => { throw new Error("it is gone"); }};
      document.ondrop({preventDefault() {}, dataTransfer: {items: [item]}});
    }""")
    wait(two, "$('#status').innerText.includes('it is gone')")


def test_a_folder_is_searched_for_sound(two):
    folder = Path("folder")
    (folder / "b").mkdir(parents=True, exist_ok=True)
    for name in ("c.WAV", "b/a.wav"):
        (folder / name).write_bytes(Path("b.wav").read_bytes())
    (folder / "cover.jpg").write_bytes(b"no song")
    two.set_input_files("#folder", folder)
    two.wait_for_selector("main[aria-busy=false]")
    assert names_in_order(two)[2:] == ["folder/b/a.wav", "folder/c.WAV"]
    (folder / "none").mkdir(exist_ok=True)
    (folder / "none" / "cover.jpg").write_bytes(b"no song")
    two.set_input_files("#folder", folder / "none")
    assert two.inner_text("#status").startswith("Found no sound there")


def test_the_list_says_where_models_disagree(two):
    said = two.evaluate("""[[0.6, 0.3, 0.1], [0.1, 0.8, 0.1]].map((whole) => {
      [[0.7, 0.2, 0.1], whole].forEach((of, i) => { entries[0].heard[i].whole = of; });
      fillRow(entries[0]);
      return entries[0].row.cells[1].textContent;
    })""")
    assert said == ["blues", f"blues, {REPRESENTATIONS[1]}: classical"]


def test_the_model_is_told_in_words(two):
    for representation in REPRESENTATIONS:
        two.get_by_label(representation).check()
        assert f"({representation})" in two.inner_text("#about")
        assert "macro F1 is 0.700 (95 % interval 0.610 to 0.790)" in two.inner_text("#about")
    assert two.locator("#warning").is_hidden()


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_screen(tab, hear, width):
    tab.set_viewport_size({"width": width, "height": 800})
    hear(write(f"{'long' * 40}.wav", music("rock", 8000), 8000), *list(bad_files())[:3])
    assert tab.evaluate("document.documentElement.scrollWidth") == width


def test_on_a_phone_a_song_is_named_by_its_words(two):
    """A line ends behind a folder or within its file's name, not within a word."""
    (folder := Path("electronic/orchestral")).mkdir(parents=True, exist_ok=True)
    write(str(folder / "longest_mission.wav"), music("rock", 8000), 8000)
    two.set_viewport_size({"width": 360, "height": 800})
    two.set_input_files("#folder", "electronic")
    two.wait_for_selector("main[aria-busy=false]")
    parts = named(two, f"{folder}/longest_mission.wav").evaluate("""(button) =>
      [...button.childNodes].filter((node) => node.data).map((text) => {
        const range = new Range();
        range.selectNode(text);
        return [text.data, range.getClientRects().length];
      })""")
    assert parts == [[part, 1] for part in ("electronic/", "orchestral/", "longest_", "mission", ".wav")]


def test_the_list_breaks_no_word_of_a_genre_however_wide_the_screen(two):
    two.evaluate("""() => {
      [[0.6, 0.3, 0.1], [0.1, 0.8, 0.1]].forEach((whole, i) => { entries[0].heard[i].whole = whole; });
      fillRow(entries[0]);
    }""")
    for width in range(360, 1000, 40):
        two.set_viewport_size({"width": width, "height": 800})
        words = two.evaluate("""() => {
          const text = entries[0].row.cells[1].firstChild;
          return [...text.data.matchAll(/\\S+/g)].map(({0: word, index}) => {
            const range = new Range();
            range.setStart(text, index);
            range.setEnd(text, index + word.length);
            return [word, range.getClientRects().length];
          });
        }""")
        assert words == [[word, 1] for word in ("blues,", "mfccs:", "classical")], width


def test_the_newest_song_is_heard_first_and_shown_at_once(two):
    """Two are heard at a time; those that have begun go on."""
    assert two.inner_text("#title") == "a.flac"
    two.evaluate("""() => {
      const hearIt = hear;
      window.begun = [];
      hear = (entry, ...rest) => (begun.push(entry.name), hearIt(entry, ...rest));
      const copy = (name) => new File([entries[1].file], name);
      addSongs(["c", "d", "e", "f"].map(copy));
      addSongs(["g", "h"].map(copy));
    }""")
    two.wait_for_selector("main[aria-busy=false]")
    assert two.evaluate("window.begun") == ["c", "d", "g", "h", "e", "f"]
    assert two.inner_text("#title") == "g"


def test_whoever_has_chosen_a_song_keeps_it(two):
    two.evaluate("(addSongs([new File([entries[0].file], 'c.flac')]), entries[1].row.querySelector('button').click())")
    two.wait_for_selector("main[aria-busy=false]")
    assert two.inner_text("#title") == "b.wav"


def test_the_keyboard_goes_to_the_song_and_back(two):
    named(two, "b.wav").press("Enter")
    focused = "[document.activeElement.id, document.activeElement.textContent]"
    assert two.evaluate(focused) == ["title", "b.wav"]
    two.keyboard.press("Tab")
    assert two.evaluate(focused)[0] == "chart"
    two.keyboard.press("Escape")
    assert two.evaluate(focused) == ["", "b.wav"]


def test_a_song_is_removed_by_its_cross_and_by_delete(two):
    two.set_input_files("#files", write("c.wav", music("pop", 8000, 2), 8000))
    two.wait_for_selector("main[aria-busy=false]")
    two.get_by_role("button", name="Remove b.wav").click()
    assert names_in_order(two) == ["a.flac", "c.wav"]
    assert two.evaluate("document.activeElement.ariaLabel") == "Remove c.wav"
    named(two, "c.wav").press("Delete")
    assert names_in_order(two) == ["a.flac"]
    assert two.inner_text("#title") == "a.flac"
    two.get_by_role("button", name="Remove a.flac").click()
    assert two.locator("#song").is_hidden() and two.locator("#list").is_hidden()
    assert two.evaluate("[songs, document.activeElement.id]") == [[], "files"]
    two.set_input_files("#files", "a.flac")
    two.wait_for_selector("main[aria-busy=false]")
    assert two.inner_text("#title") == "a.flac"


def test_all_songs_are_removed_at_once(two):
    """What is left is looked at once, not after each song, whether all go or those that were not heard."""
    two.evaluate("""() => {
      const [save, mark] = [showSaving, markShown];
      window.looks = [];
      showSaving = () => (looks.push("save"), save());
      markShown = () => (looks.push("mark"), mark());
      decode = () => new Promise(() => {});
    }""")
    two.set_input_files("#files", [write(f"{name}.wav", music("pop", 8000, 2), 8000) for name in "cde"])
    two.evaluate("looks.length = 0")
    two.get_by_role("button", name="Stop").click()
    assert two.evaluate("looks.splice(0)") == ["save"]
    two.get_by_role("button", name="Remove all").click()
    assert two.evaluate("looks") == ["mark", "save"]
    assert two.evaluate("songs") == []
    assert two.locator("#song").is_hidden() and two.locator("#list").is_hidden()


def test_hearing_is_stopped_and_what_was_heard_stays(two):
    """A song that nobody will ever have decoded is stopped too."""
    two.evaluate("() => { window.before = decode; decode = () => new Promise(() => {}); }")
    two.set_input_files("#files", [write(f"{name}.wav", music("pop", 8000, 2), 8000) for name in "cde"])
    assert two.locator("main").get_attribute("aria-busy") == "true"
    two.get_by_role("button", name="Stop").click()
    two.wait_for_selector("main[aria-busy=false]")
    assert names_in_order(two) == ["a.flac", "b.wav"]
    assert two.inner_text("#status") == "Stopped: 3 songs not heard. Heard 2 songs."
    assert two.locator("#busy").is_hidden()
    two.evaluate("() => { decode = window.before; }")
    two.set_input_files("#files", "c.wav")
    two.wait_for_selector("main[aria-busy=false]")
    assert two.inner_text("#title") == "c.wav"


def test_a_folder_is_taken_as_predict_takes_it(two):
    """A format that no browser reads gets a line; hidden files do not count; all others are counted."""
    folder = Path("mixed")
    (folder / ".git").mkdir(parents=True, exist_ok=True)
    for name in ("a.aiff", "b.mp4", "c.webm", "cover.jpg", ".d.wav", ".git/e.wav"):
        (folder / name).write_bytes(b"no song")
    two.set_input_files("#folder", folder)
    two.wait_for_selector("main[aria-busy=false]")
    assert names_in_order(two)[2:] == ["mixed/a.aiff", "mixed/b.mp4", "mixed/c.webm"]
    assert two.inner_text("#status") == "Heard 2 songs. 3 files cannot be heard. 1 other file left out: not audio."
