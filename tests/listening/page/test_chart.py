"""The page's chart: what is painted and said of a song is what was heard in it."""

from itertools import pairwise

import numpy as np
import pytest
from listening.page.songs import REPRESENTATIONS, music, named, probabilities, wait, write
from playwright.sync_api import expect
from small_models import CLASSES

from stages.common.drawing import COLOURS

PAINTED = """([selector, number, shares]) => {
  const canvas = document.querySelectorAll(selector)[number];
  const {width, height} = canvas;
  const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
  const pixel = (x, y) => data.slice(4 * (y * width + x), 4 * (y * width + x + 1)).join();
  return shares.map((share) => Array.from({length: height}, (_, y) => pixel(Math.floor(share * width), y)));
}"""  # the pixels of a canvas from top to bottom, where so many shares of its width are


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)


def pixel(colour):
    """Return a colour such as #0072B2 as a pixel has it."""
    return ",".join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5)) + ",255"


def percent(share):
    return "> 99 %" if 0.995 < share < 1 else f"{int(share * 100 + 0.5)} %"


@pytest.fixture
def both(tab, hear):
    """The page that shows a song, and what each model heard in it, shape (models, 5, classes)."""
    hear(write("p.wav", music("pop", 8000, 5, 1), 8000))
    tab.evaluate("new Promise((go) => $('#player').readyState ? go() : ($('#player').onloadedmetadata = go))")
    heard = []
    for representation in reversed(REPRESENTATIONS):
        tab.get_by_label(representation).check()
        heard.append(probabilities(tab.evaluate("songs[0]")))
    return tab, np.stack(heard[::-1])


def test_what_is_shown_of_a_song_is_what_was_heard_in_it(two):
    song = two.evaluate("songs[1]")
    named(two, "b.wav").click()
    whole, seconds, genre = song["probabilities"], probabilities(song), song["genre"]
    assert len(seconds) == 5
    cells = two.locator("tbody tr").nth(1).locator("td").all_inner_texts()
    assert [cells[0].split(",")[0], *cells[1:]] == [genre, percent(whole[genre]), "0:05", "\u00d7"]
    mostly = (seconds.argmax(axis=1) == CLASSES.index(genre)).sum()
    assert two.inner_text("#verdict") == f"{genre}, {percent(whole[genre])} sure; most likely in {mostly} of 5 seconds"
    assert two.locator("#legend li").all_inner_texts() == [f"{name} {percent(whole[name])}" for name in CLASSES]
    swatches = [two.evaluate(PAINTED, [".swatch", number, [0.5]])[0] for number in range(3)]
    assert [set(swatch) for swatch in swatches] == [{pixel(colour)} for colour in COLOURS[:3]]
    axis = two.evaluate("[...$('#axis').children].map((mark) => [mark.textContent, parseFloat(mark.style.left)])")
    assert axis == [[f"0:0{second}", pytest.approx(20 * second)] for second in range(6)]


def test_each_model_has_its_chart_and_where_they_disagree_is_marked(both):
    tab, heard = both
    for number, seconds in enumerate(heard):
        columns = tab.evaluate(PAINTED, [".areas", number, [(second + 0.5) / 5 for second in range(5)]])
        for column, row in zip(columns, seconds, strict=True):
            painted = [column.count(pixel(colour)) / len(column) for colour in COLOURS[:3]]
            assert painted == pytest.approx(row, abs=2 / len(column))
    likeliest = heard.argmax(axis=2)
    differ = likeliest[0] != likeliest[1]
    assert 0 < differ.sum() < 5
    marks = tab.evaluate(PAINTED, ["#differ", 0, [(second + 0.5) / 5 for second in range(5)]])
    assert [not mark[0].endswith(",0") for mark in marks] == differ.tolist()
    assert tab.inner_text("#others").endswith(f"The models agree in {5 - differ.sum()} of 5.")
    assert tab.inner_text("#others").startswith("By mfccs: ")


def test_marks_of_disagreement_are_seen_when_the_screen_turns_dark(both):
    tab, heard = both
    differ = np.flatnonzero(heard[0].argmax(axis=1) != heard[1].argmax(axis=1))[0]
    tab.emulate_media(color_scheme="dark")
    wait(tab, "matchMedia('(prefers-color-scheme: dark)').matches")
    tab.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")  # it is drawn
    ((mark, *_),) = tab.evaluate(PAINTED, ["#differ", 0, [(differ + 0.5) / 5]])
    assert mark == "232,234,237,255"
    tab.emulate_media(color_scheme="null")


def test_the_chart_says_what_a_mouse_points_at_and_then_what_the_cursor_is_at(both):
    tab, heard = both
    box = tab.locator("#chart").bounding_box()
    said = tab.locator("#chart .second")

    def expected(second):
        return [f"0:0{second} {CLASSES[row.argmax()]} {percent(row.max())}" for row in heard[:, second]]

    for second in (3, 1):
        tab.mouse.move(box["x"] + (second + 0.5) / 5 * box["width"], box["y"] + 60)
        expect(said).to_have_text(expected(second))
    tab.mouse.move(0, 0)
    expect(said).to_have_text(expected(0))
    expect(tab.locator("#pointer")).to_be_hidden()
    tab.locator("#chart").press("ArrowRight")
    expect(said).to_have_text(expected(1))
    first, other = expected(1)
    assert tab.get_attribute("#chart", "aria-valuetext") == f"{first}; mfccs: {other}"


def test_a_finger_reads_the_chart_and_leaves_the_cursor_where_it_is_lifted(both):
    tab, heard = both
    box = tab.locator("#chart").bounding_box()
    session = tab.context.new_cdp_session(tab)

    def touch(kind, *seconds):
        points = [{"x": box["x"] + second / 5 * box["width"], "y": box["y"] + 60} for second in seconds]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 1.5)
    touch("touchMove", 2.5)
    touch("touchMove", 3.5)
    row = heard[0, 3]
    expect(tab.locator(".second").first).to_have_text(f"0:03 {CLASSES[row.argmax()]} {percent(row.max())}")
    touch("touchEnd")
    session.detach()
    expect(tab.locator("#pointer")).to_be_hidden()
    assert tab.evaluate("$('#player').currentTime") == pytest.approx(3.5, abs=0.02)


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
    assert chart.get_attribute("aria-valuetext").startswith(f"0:02 {likely} ")
    for key, seconds in {"ArrowLeft": 1.5, "Home": 0, "End": 3, "PageDown": 0}.items():
        chart.press(key)
        assert at() == pytest.approx(seconds, abs=0.1)


LONG = """(pixels) => {
  const row = (i) => (i < 500 ? [i % 2, 1 - (i % 2)] : null);
  const known = {starts: Array.from({length: 1000}, (_, i) => i), length: 1000};
  const canvas = element("canvas", {width: pixels, height: 10});
  paintAreas(canvas.getContext("2d"), {x: 0, y: 0, width: pixels, height: 10}, columnsOf(known, pixels),
    known.starts.map(row), 1000);
  const {data} = canvas.getContext("2d").getImageData(0, 0, pixels, 10);
  return Array.from({length: 10}, (_, y) => Array.from({length: pixels}, (_, x) =>
    data.slice(4 * (y * pixels + x), 4 * (y * pixels + x) + 4).join()));
}"""


def test_of_a_long_song_a_column_shows_the_mean_of_its_seconds_and_silence_is_blank(two):
    """Half a second of each of two classes in turn, then silence; a chart of 300 pixels."""
    rows = two.evaluate(LONG, 300)
    sound = [pixel(COLOURS[1])] * 150
    assert rows == [sound + ["255,255,255,255"] * 150] * 5 + [[pixel(COLOURS[0])] * 150 + ["255,255,255,255"] * 150] * 5


def test_of_a_long_song_it_says_what_a_column_shows(two):
    said = two.evaluate("""() => {
      const starts = Array.from({length: 7200}, (_, i) => i);
      const rows = starts.map((i) => (i < 3600 ? [0.25, 0.75, 0] : null));
      const known = {starts, length: 7200};
      drawn = {known: [known, known], rows: [rows, rows], columns: [columnsOf(known, 2160), columnsOf(known, 2160)]};
      return [0.25, 0.75, 1].map((share) => { pointed = share; return wordsOf(0); });
    }""")
    assert said == ["30:00 to 30:10 classical 75 %", "1:30:00 to 1:30:10 silent", "1:59:50 to 2:00:00 silent"]
    two.evaluate("(point(null), show(shown))")


def test_classes_beyond_the_colours_are_striped(two):
    """All of them are told apart: by the colour that is most of it, and by how it looks."""
    swatches = two.evaluate("""Array.from({length: 32}, (_, i) => {
      const canvas = element("canvas", {width: 16, height: 16});
      const pen = canvas.getContext("2d");
      pen.fillStyle = paintOf(i);
      pen.fillRect(0, 0, 16, 16);
      return [...new Uint32Array(pen.getImageData(0, 0, 16, 16).data.buffer)].join();
    })""")
    assert len(set(swatches)) == 32


@pytest.mark.parametrize("width", [360, 1280])
def test_the_marks_of_the_time_axis_stay_inside_and_apart(two, width):
    two.set_viewport_size({"width": width, "height": 800})
    for length in (1, 59, 600, 3600, 7322):
        marks = two.evaluate(
            """(length) => {
              drawAxis(length, $("#chart").clientWidth);
              const {left, right} = $("#chart").getBoundingClientRect();
              return [...$("#axis").children].map((mark) => {
                const box = mark.getBoundingClientRect();
                return [box.left - left, right - box.right];
              });
            }""",
            length,
        )
        assert min(np.ravel(marks)) > -1
        inner = two.evaluate("$('#chart').clientWidth")
        assert min([left - (inner - right) for (_, right), (left, _) in pairwise(marks)], default=1) > 0, length
    two.evaluate("show(shown)")
