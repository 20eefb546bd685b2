"""The page in a browser can be used by hand, by keyboard and by eye."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from listening.page.songs import REPRESENTATIONS, bad_files, music, probabilities, write
from small_models import CLASSES

from stages.reporting.pictures import COLOURS


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)


@pytest.fixture
def two(hear, tab):
    """The page, having heard two songs of different genres."""
    hear(write("a.flac", music("rock", 44100, 3), 44100), write("b.wav", music("rock", 44100, 5, 1), 44100))
    tab.evaluate("new Promise((go) => $('#player').readyState ? go() : ($('#player').onloadedmetadata = go))")
    return tab


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


def test_a_click_in_the_chart_and_the_keys_move_the_player(two):
    def at():
        return two.evaluate("$('#player').currentTime")

    chart = two.get_by_role("slider", name="Position in the song")
    width = chart.bounding_box()["width"]
    chart.click(position={"x": width / 2, "y": 20})
    assert at() == pytest.approx(1.5, abs=0.02)
    assert two.evaluate("parseFloat($('#cursor').style.left)") == pytest.approx(50, abs=1)
    chart.press("ArrowRight")
    assert at() == pytest.approx(2.5, abs=0.02)
    second = two.evaluate("songs[0].seconds[2].probabilities")
    likely = max(second, key=second.get)
    assert chart.get_attribute("aria-valuetext").startswith(f"0:02: {likely} ")
    for key, seconds in {"ArrowLeft": 1.5, "Home": 0, "End": 3, "PageDown": 0}.items():
        chart.press(key)
        assert at() == pytest.approx(seconds, abs=0.1)


def test_a_song_is_chosen_by_its_name(two):
    assert two.inner_text("#title") == "a.flac"
    other = two.get_by_role("button", name="b.wav")
    other.press("Enter")
    assert two.inner_text("#title") == "b.wav"
    assert other.get_attribute("aria-pressed") == "true"
    song = two.evaluate("songs[1]")
    assert two.inner_text("#verdict").startswith(
        f"{song['genre']}, {song['probabilities'][song['genre']]:.0%}".replace("%", " %")
    )


def test_what_is_shown_of_a_song_is_what_was_heard_in_it(two):
    song = two.evaluate("songs[1]")
    two.get_by_role("button", name="b.wav").click()
    whole, seconds, genre = song["probabilities"], probabilities(song), song["genre"]
    percent = {name: "> 99 %" if 0.995 < p < 1 else f"{int(p * 100 + 0.5)} %" for name, p in whole.items()}
    n = len(seconds)
    assert n == 5
    cells = two.locator("tbody tr").nth(1).locator("td").all_inner_texts()
    assert cells == [genre, percent[genre], "0:05"]
    mostly = (seconds.argmax(axis=1) == CLASSES.index(genre)).sum()
    assert two.inner_text("#verdict") == f"{genre}, {percent[genre]} sure; most likely in {mostly} of 5 seconds"
    legend = two.evaluate("""[...$("#legend").children].map((item) =>
      [getComputedStyle(item.querySelector(".swatch")).backgroundColor, item.innerText.trim()])""")
    areas = two.evaluate("""[...$("#areas").children].map((area) =>
      [getComputedStyle(area).fill, area.getAttribute("d")])""")
    colours = [f"rgb({', '.join(str(int(each[i : i + 2], 16)) for i in (1, 3, 5))})" for each in COLOURS]
    # Stacked from the bottom, at 1, up to 0: the lower edge of each class from left to right, its upper one back.
    edges = 1 - np.pad(np.cumsum(seconds, axis=1), ((0, 0), (1, 0)))
    for number, (name, shown, area) in enumerate(zip(CLASSES, legend, areas, strict=True)):
        assert shown == [colours[number], f"{name} {percent[name]}"]
        assert area[0] == colours[number]
        corners = [(start + side, edges[start, number]) for start in range(n) for side in (0, 1)]
        corners += [(start + side, edges[start, number + 1]) for start in range(n)[::-1] for side in (1, 0)]
        found = [float(each) for each in area[1].strip("MZ").split()]
        assert found == pytest.approx(np.ravel(corners).tolist(), abs=1e-9)
    axis = two.evaluate("[...$('#axis').children].map((mark) => [mark.textContent, parseFloat(mark.style.left)])")
    assert axis == [[f"0:0{second}", pytest.approx(20 * second)] for second in range(6)]


def test_downloads_hold_what_predict_writes(two, ask_predict):
    files = {}
    for kind in ("CSV", "JSON"):
        with two.expect_download() as download:
            two.get_by_role("button", name=f"Download as {kind}").click()
        files[kind] = download.value.path().read_text()
    songs = json.loads(files["JSON"])
    assert songs == two.evaluate("songs")
    assert songs[0].keys() == ask_predict(["a.flac"], "melgrams")[0].keys()
    assert files["CSV"].splitlines()[0] == Path("out.csv").read_text().splitlines()[0]
    _, *rows = csv.reader(files["CSV"].splitlines())
    for row, song in zip(rows, songs, strict=True):
        assert row[:2] == [song["file"], song["genre"]]
        assert [float(cell) for cell in row[3:]] == [song["silent"], *song["probabilities"].values()]
        assert float(row[2]) == max(song["probabilities"].values())


def wait(tab, condition):
    """Wait until it holds; Playwright's own way is forbidden by the page."""
    tab.evaluate(f"(async () => {{ while (!({condition})) await new Promise((go) => setTimeout(go, 20)); }})()")


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


def test_what_cannot_be_read_of_a_drop_is_said(two):
    two.evaluate("""() => {
      const item = {kind: "file", getAsFile: () => null, webkitGetAsEntry: () => ({isDirectory: true}),
        getAsFileSystemHandle: async () => { throw new Error("it is gone"); }};
      document.ondrop({preventDefault() {}, dataTransfer: {items: [item]}});
    }""")
    wait(two, "$('#status').innerText.includes('it is gone')")


def test_of_a_long_song_a_pixel_shows_the_mean_of_its_seconds_and_silence_is_blank(two):
    """Half a second of each of two classes in turn, then silence; a chart of 100 pixels."""
    heights = two.evaluate("""() => {
      $("#areas").style.width = "100px";
      const seconds = Array.from({length: 1000}, (_, i) => (i < 500 ? [i % 2, 1 - (i % 2)] : null));
      drawAreas(seconds, 2);
      const corners = [...$("#areas").children].map((area) => area.getAttribute("d").match(/[\\d.]+/g).map(Number));
      $("#areas").style.width = "";
      return [$("#areas").getAttribute("viewBox"), ...corners];
    }""")
    box, first, second = heights
    assert box == "0 0 100 1"
    tops = {"first": first[400:], "second": second[400:]}
    for name, expected in {"first": 0.5, "second": 0}.items():
        drawn = tops[name][1::2][::-1]
        assert drawn[:100] == pytest.approx([expected] * 100)
        assert drawn[100:] == [1] * 100


def test_classes_that_look_like_numbers_and_names_that_look_like_formulas(two):
    """JavaScript sorts such keys; a spreadsheet would run such names."""
    text = two.evaluate("""() => {
      const before = models[model].classes;
      models[model].classes = ["blues", "10", "2"];
      entries[0].name = "=1+1.flac";
      const text = asCsv();
      models[model].classes = before;
      entries[0].name = "a.flac";
      return text;
    }""")
    head, row, _ = csv.reader(text.splitlines())
    assert head == ["file", "genre", "probability", "silent", "blues", "10", "2"]
    whole = two.evaluate("heard(entries[0]).whole")
    assert row[0] == "'=1+1.flac"
    assert [float(cell) for cell in row[4:]] == whole[:3]


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


def test_the_model_is_told_in_words(two):
    for representation in REPRESENTATIONS:
        two.get_by_label(representation).check()
        assert f"({representation})" in two.inner_text("#about")
        assert "macro F1 is 0.700, 95 % interval 0.610 to 0.790" in two.inner_text("#about")
    assert two.locator("#warning").is_hidden()


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_screen(tab, hear, width):
    tab.set_viewport_size({"width": width, "height": 800})
    hear(write(f"{'long' * 40}.wav", music("rock", 8000), 8000), *list(bad_files())[:3])
    assert tab.evaluate("document.documentElement.scrollWidth") == width
