"""What the page saves, and the settings of predict that it knows."""

import csv
import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from listening.page.songs import music, named, probabilities, stereo, write
from PIL import Image

from stages.common.drawing import COLOURS


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)


def saved(tab, button):
    """Return the name and the bytes of what a button saves."""
    with tab.expect_download() as download:
        tab.get_by_role("button", name=button, exact=True).click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def rows(content):
    return list(csv.reader(content.decode().splitlines()))


def fill(tab, label, value):
    """Type a number into one of the fields under "More"."""
    if not tab.locator("details[open]").count():
        tab.get_by_text("More", exact=True).click()
    tab.get_by_label(label).fill(value)
    tab.get_by_label(label).press("Tab")
    tab.wait_for_selector("main[aria-busy=false]")


UNKNOWN, HOP, SMOOTH = "A genre is unknown below", "Seconds from one window", "Judge a second with its neighbours"


def test_tables_and_json_are_as_predict_writes_them(two, ask_predict):
    name, content = saved(two, "Download as JSON")
    songs = json.loads(content)
    assert name == "songs.json"
    assert songs == two.evaluate("songs")
    assert songs[0].keys() == ask_predict(["a.flac", "b.wav"], "melgrams")[0].keys()
    name, content = saved(two, "Download as CSV")
    head, *lines = rows(content)
    assert name == "songs.csv"
    assert head == rows(Path("out.csv").read_bytes())[0]
    for row, song in zip(lines, songs, strict=True):
        assert row[:2] == [song["file"], song["genre"]]
        assert [float(cell) for cell in row[3:]] == [song["silent"], *song["probabilities"].values()]
        assert float(row[2]) == max(song["probabilities"].values())
    name, content = saved(two, "Download seconds as CSV")
    expected = rows(Path("seconds.csv").read_bytes())
    found = rows(content)
    assert name == "seconds.csv"
    assert found[0] == expected[0]
    assert [[row[0], float(row[1])] for row in found[1:]] == [[row[0], float(row[1])] for row in expected[1:]]
    numbers = [np.array([row[2:] for row in each[1:]], float) for each in (found, expected)]
    np.testing.assert_allclose(*numbers, rtol=0, atol=0.01)


def test_a_silent_second_is_an_empty_line_of_the_table(hear, tab):
    hear(write("gap.wav", np.concatenate([music("pop", 8000, 1), np.zeros(8000), music("pop", 8000, 1)]), 8000))
    _, content = saved(tab, "Download seconds as CSV")
    assert [row[2] == "" for row in rows(content)] == [False, False, True, False]
    assert rows(saved(tab, "Download as CSV")[1])[1][3] == "1"


def test_classes_that_look_like_numbers_and_names_that_look_like_formulas(two):
    """JavaScript sorts such keys; a spreadsheet would run such names."""
    text = two.evaluate("""() => {
      const before = models[model].classes;
      models[model].classes = ["blues", "10", "2"];
      entries[0].name = "=1+1.flac";
      const text = songTable();
      models[model].classes = before;
      entries[0].name = "a.flac";
      return text;
    }""")
    head, row, _ = csv.reader(text.splitlines())
    assert head == ["file", "genre", "probability", "silent", "blues", "10", "2"]
    whole = two.evaluate("heard(entries[0]).whole")
    assert row[0] == "'=1+1.flac"
    assert [float(cell) for cell in row[4:]] == whole[:3]


def test_a_playlist_names_the_files_of_a_genre(two):
    folder = Path("list")
    folder.mkdir(exist_ok=True)
    for name in ("#1, a song.wav", "other.wav"):
        (folder / name).write_bytes(Path("b.wav").read_bytes())
    two.set_input_files("#folder", folder)
    two.wait_for_selector("main[aria-busy=false]")
    two.set_input_files("#files", folder / "#1, a song.wav")
    two.wait_for_selector("main[aria-busy=false]")
    songs = two.evaluate("songs")
    named_in = {song["genre"]: [] for song in sorted(songs, key=lambda song: song["genre"])}
    for song in songs:
        named_in[song["genre"]].append(song["file"].replace("#", "./#") if song["file"][0] == "#" else song["file"])
    assert any("./#1, a song.wav" in names for names in named_in.values())
    buttons = [f"{genre} ({len(names)})" for genre, names in named_in.items()]
    assert two.locator("#playlists button").all_inner_texts() == buttons
    for button, (genre, names) in zip(buttons, named_in.items(), strict=True):
        name, content = saved(two, button)
        assert name == f"{genre}.m3u8"
        assert content.decode().splitlines() == ["#EXTM3U", *names]


def test_the_marks_of_the_picture_are_apart(two):
    """By a space at least, whatever the song's length."""
    gaps = two.evaluate("""[5, 20, 59, 600, 3600, 7322].map((length) => {
      const [pen, boxes] = [element("canvas").getContext("2d"), []];
      pen.fillText = (text, x) => {
        const { width } = pen.measureText(text);
        const left = x - { left: 0, center: width / 2, right: width }[pen.textAlign];
        boxes.push([left, left + width]);
      };
      drawn.known[0].length = length;
      writeAxis(pen, 0);
      return boxes.slice(1).map(([left], i) => left - boxes[i][1] - pen.measureText(" ").width);
    })""")
    assert min(map(min, gaps)) > 0


def test_the_picture_holds_the_chart(two):
    named(two, "b.wav").click()
    name, content = saved(two, "Save the picture")
    assert name == "b.wav.png"
    picture = np.asarray(Image.open(BytesIO(content)).convert("RGB"))
    assert picture.shape[1] == 1200
    heard = probabilities(two.evaluate("songs[1]"))
    colours = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLOURS[:3]])
    top = 162  # of the first chart, 200 high
    for second, row in enumerate(heard):
        column = picture[top : top + 200, 40 + int((second + 0.5) / 5 * 1120)]
        painted = (column[:, None] == colours).all(axis=2).mean(axis=0)
        assert painted == pytest.approx(row, abs=0.01)
    assert (picture[30:55, 40:100] == 0).any()  # the name
    assert (picture[0] == 255).all()


@pytest.fixture
def long(hear, tab):
    """The page with a song of several sections, in some of which it is silent."""
    sound = np.tile(stereo("blues", 44100), (13, 1)) + np.random.default_rng(0).normal(0, 0.1, (13 * 233730, 2))
    sound[15 * 44100 : 18 * 44100] = 0
    hear(write("varied.wav", sound[: int(65.3 * 44100)], 44100))
    return tab


def test_windows_start_every_hop_as_those_of_predict(long, ask_predict):
    for hop in ("0.1", "0.75", "2.5"):
        fill(long, HOP, hop)
        (found,), (expected,) = long.evaluate("songs"), ask_predict(["varied.wav"], "melgrams", "--hop", hop)
        starts = [[each["start"] for each in song["seconds"]] for song in (found, expected)]
        assert starts[0] == pytest.approx(starts[1]), hop
        assert found["silent"] == pytest.approx(expected["silent"], abs=1e-6) != 0, hop
        np.testing.assert_allclose(probabilities(found), probabilities(expected), rtol=0, atol=0.01, err_msg=hop)
        assert found["genre"] == expected["genre"], hop
    fill(long, HOP, "")
    assert [each["start"] for each in long.evaluate("songs")[0]["seconds"]] == list(range(65))


def test_a_song_of_which_no_class_is_likely_enough_is_unknown(two, ask_predict):
    sure = [max(song["probabilities"].values()) for song in two.evaluate("songs")]
    fill(two, UNKNOWN, str(sum(sure) / 2))
    known, expected = (
        two.evaluate("songs"),
        ask_predict(["a.flac", "b.wav"], "melgrams", "--unknown", str(sum(sure) / 2)),
    )
    assert [song["genre"] for song in known] == [song["genre"] for song in expected]
    number = int(np.argmin(sure))
    assert known[number]["genre"] == "unknown"
    assert two.locator("tbody tr").nth(number).locator("td").first.inner_text().split(",")[0] == "unknown"
    assert float(rows(saved(two, "Download as CSV")[1])[1 + number][2]) == sure[number]
    named(two, known[number]["file"]).click()
    likeliest = max(known[number]["probabilities"], key=known[number]["probabilities"].get)
    assert two.inner_text("#verdict").startswith(f"unknown: {likeliest} is likeliest, but ")
    saved(two, "unknown (1)")


def test_a_second_is_judged_with_its_neighbours_as_predict_judges_it(long, ask_predict):
    (before,) = long.evaluate("songs")
    for hop, smooth in (("1", "5"), ("0.1", "0.6")):
        fill(long, HOP, hop)
        fill(long, SMOOTH, smooth)
        (after,) = long.evaluate("songs")
        (expected,) = ask_predict(["varied.wav"], "melgrams", "--hop", hop, "--smooth", smooth)
        np.testing.assert_allclose(probabilities(after), probabilities(expected), rtol=0, atol=0.01, err_msg=hop)
        (rough,) = ask_predict(["varied.wav"], "melgrams", "--hop", hop)
        assert np.nanmax(np.abs(probabilities(after) - probabilities(rough))) > 0.1, hop
        if hop == "1":
            assert after["probabilities"] == before["probabilities"]


def test_a_setting_that_makes_no_sense_is_refused_in_a_line(two):
    before = two.evaluate("songs")
    for label, name, value, said in (
        (HOP, "hop", "0", "expected seconds from 0.001, say 0.5"),
        (UNKNOWN, "unknown", "60", "expected a probability, say 0.6"),
        (SMOOTH, "smooth", "-1", "expected seconds up to 3600, say 5"),
    ):
        fill(two, label, value)
        assert two.inner_text(f"#{name}-wrong") == said
        assert two.get_attribute(f"#{name}", "aria-invalid") == "true"
        fill(two, label, "")
        assert two.inner_text(f"#{name}-wrong") == ""
    two.evaluate("models[1].classes[0] = 'Unknown'")
    fill(two, UNKNOWN, "0.5")
    assert two.inner_text("#unknown-wrong") == "a class has this name"
    two.evaluate("models[1].classes[0] = models[0].classes[0]")
    assert two.evaluate("songs") == before
