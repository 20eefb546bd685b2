"""The page in a browser: it hears songs as predict does, whatever form they come in, and can be used by hand."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import small_models
import soundfile
import soxr
import torch
from small_models import CLASSES, cases, judge, make_model

import stages.listening.page.build as page
from stages import cli, demo
from stages.audio.front_end import FRONT_ENDS
from stages.common.files import read_json
from stages.corpus.synth import RATE
from stages.listening.exports import PAGE
from stages.reporting.pictures import COLOURS

REPRESENTATIONS = ("melgrams", "mfccs")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with models and their page."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "data").mkdir()
        for representation in REPRESENTATIONS:
            make_model(representation)
        judge(*REPRESENTATIONS)
        page.write_page()
    return folder


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)


@pytest.fixture
def ask_predict():
    """A function that returns what predict writes of songs, as a model of a representation hears them."""

    def ask_predict(paths, representation):
        options = ["--representation", representation, "--json", "out.json", "--csv", "out.csv"]
        cli.run(["predict", *map(str, paths), *options])
        return read_json(Path("out.json"))

    return ask_predict


def music(genre, rate, seconds=5.3, index=0):
    """Return a piece at a rate, shape (n,), not from its start: a piece's start may be silent."""
    sound = soxr.resample(demo.sound(genre, index) / 32768, RATE, rate, quality="HQ")
    return sound[rate : round(rate * (1 + seconds))]


def write(name, sound, rate, **how):
    soundfile.write(name, sound, rate, **how)
    return name


def stereo(genre, rate):
    mono = music(genre, rate)
    return np.stack([0.8 * mono, 0.5 * np.roll(mono, 300)], axis=1)


def probabilities(song):
    return np.array([list(second["probabilities"].values()) for second in song["seconds"]])


def all_songs():
    """Write songs in every form; return their names."""
    names = []
    for rate in (44100, 48000):
        for genre in ("rock", "pop"):
            names += [
                write(f"{genre}_{rate}.{suffix}", stereo(genre, rate), rate) for suffix in ("wav", "flac", "mp3", "ogg")
            ]
    names += [
        write(f"mono_{rate}.wav", music("pop", rate), rate)
        for rate in (8000, 11025, 16000, 22050, 32000, 37800, 47999, 96000)
    ]
    names.append(write("float.wav", music("blues", 8000), 8000, subtype="FLOAT"))
    names.append(write("24 bits.flac", music("blues", 44100), 44100, subtype="PCM_24"))
    # So soft that how loud it is matters, and no softer: the front end of the melgrams has a floor.
    names.append(write("soft.flac", 1e-2 * stereo("pop", 44100), 44100, subtype="PCM_24"))
    names.append(write("opus.ogg", stereo("blues", 48000), 48000, format="OGG", subtype="OPUS"))
    names.append(write("8 channels.wav", np.stack([music("rock", 44100)] * 7 + [music("pop", 44100)], axis=1), 44100))
    names.append(write("3 seconds.flac", music("rock", 44100, 3), 44100))
    return names


def test_it_hears_what_predict_hears(hear, tab, ask_predict):
    names = all_songs()
    songs, genres = {"melgrams": hear(*names)}, {"melgrams": tab.locator("tbody td:nth-child(2)").all_inner_texts()}
    tab.get_by_label("mfccs").check()
    songs["mfccs"], genres["mfccs"] = tab.evaluate("songs"), tab.locator("tbody td:nth-child(2)").all_inner_texts()
    assert genres["mfccs"] != genres["melgrams"]
    for representation in REPRESENTATIONS:
        expected = ask_predict(names, representation)
        assert [song["file"] for song in songs[representation]] == names
        assert [song["genre"] for song in songs[representation]] == genres[representation]
        for song, other in zip(songs[representation], expected, strict=True):
            where = f"{representation}, {song['file']}"
            assert song.keys() == other.keys()
            assert song["genre"] == other["genre"], where
            assert [each["start"] for each in song["seconds"]] == [each["start"] for each in other["seconds"]], where
            assert list(song["probabilities"]) == CLASSES
            differences = np.abs(probabilities(song) - probabilities(other))
            exact = song["file"] in ("mono_8000.wav", "float.wav")
            if song["file"].endswith((".mp3", ".ogg")):  # whose first sample is a matter of the decoder
                assert differences.mean() < 0.03, where
            else:
                assert differences.max() < (1e-4 if exact else 0.01), where
            if exact:
                assert song["probabilities"] == pytest.approx(other["probabilities"], abs=1e-3), where


def test_an_ensemble_is_the_mean_of_its_members(workplace, hear):
    members, card = make_model("mfccs", members=2)
    judge("mfccs")
    page.write_page()
    clips = np.stack(list(cases(8000).values()))
    (song,) = hear(write("cases.wav", clips.ravel(), 8000))
    x = torch.from_numpy(((FRONT_ENDS["mfccs"](clips / 32768) - card["mean"]) / card["std"]).astype(np.float32))
    each = [torch.softmax(member(x).double(), dim=1).detach().numpy() for member in members]
    assert np.abs(each[0] - each[1]).max() > 0.3
    np.testing.assert_allclose(probabilities(song), sum(each) / 2, rtol=0, atol=1e-4)


def test_a_model_that_is_very_sure_gives_probabilities(workplace, hear, ask_predict, monkeypatch):
    """Its logits are in the thousands, and no number holds the exponential of one."""
    monkeypatch.setattr(small_models, "SPREAD", 3000)
    model, card = make_model("mfccs")
    judge("mfccs")
    page.write_page()
    clips = np.stack(list(cases(8000).values()))
    x = torch.from_numpy(((FRONT_ENDS["mfccs"](clips / 32768) - card["mean"]) / card["std"]).astype(np.float32))
    assert model(x).max() > 1000
    name = write("cases.wav", clips.ravel(), 8000)
    (song,), (expected,) = hear(name), ask_predict([name], "mfccs")
    np.testing.assert_allclose(probabilities(song), probabilities(expected), rtol=0, atol=1e-2)
    assert song["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-2)


def test_a_rest_counts_from_half_a_second(hear, ask_predict):
    names = [write(f"{n}.wav", music("rock", 44100)[:n], 44100) for n in range(110250 - 5, 110250 + 5)]
    heard, expected = (
        [len(song["seconds"]) for song in songs] for songs in (hear(*names), ask_predict(names, "melgrams"))
    )
    assert heard == expected
    assert set(heard) == {2, 3}


HEADERS = (
    b"RIFF",
    b"RIFF\x00\x00\x00\x00WAVEfmt ",
    b"fLaC",
    b"OggS\x00",
    b"ID3\x04\x00\x00\x00\x00\x00\x09",
    b"\xff\xfb",
)


def bad_files():
    """Write files that cannot be heard; return what is said of each."""
    said = {}
    for number, header in enumerate((b"", b"no sound", *HEADERS)):
        name = f"broken {number}.mp3"
        Path(name).write_bytes(header)
        said[name] = "is no sound that this browser can decode" if header else "is empty"
    silence, loud = np.zeros(20000), music("pop", 8000)
    said[write("silence.wav", silence, 8000)] = "is silent throughout"
    said[write("short.wav", loud[:3999], 8000)] = "is shorter than half a second"
    said[write("nan.wav", np.where(np.arange(len(loud)) == 9000, np.nan, loud), 8000, subtype="FLOAT")] = (
        "holds NaN or infinity, or numbers far beyond full scale"
    )
    said[long_song("long.ogg")] = "lasts 3:00:00; this page hears such a file up to 1:33:12: cut it in pieces"
    return said


def long_song(name):
    """Write a second of Opus whose last page says that it is the end of three hours."""
    write(name, stereo("pop", 48000)[:48000], 48000, format="OGG", subtype="OPUS")
    content = Path(name).read_bytes()
    start = content.rindex(b"OggS")
    page = bytearray(content[start:])
    page[6:14] = (3 * 3600 * 48000).to_bytes(8, "little")
    page[22:26] = bytes(4)
    page[22:26] = ogg_checksum(page).to_bytes(4, "little")
    Path(name).write_bytes(content[:start] + page)
    return name


def ogg_checksum(page):
    """Return the CRC of a page whose own is 0 (RFC 3533, section 6)."""
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x104C11DB7 if crc >> 31 else 0)
    return crc


def test_a_bad_file_gets_a_line_and_the_others_go_on(hear, tab):
    said = bad_files()
    (song,) = hear(*said, write("good.flac", music("rock", 44100), 44100))
    assert song["file"] == "good.flac"
    rows = {row.query_selector("th").inner_text(): row for row in tab.query_selector_all("tbody tr")}
    assert {name: rows[name].query_selector("td").inner_text() for name in said} == said
    assert tab.inner_text("#status") == f"Heard 1 song. {len(said)} files cannot be heard."
    assert tab.inner_text("#title") == "good.flac"


# Headers of files, and the rate and the channels that they tell.
OGG = b"OggS" + bytes(22) + b"\x01\x1e"
FLAC = b"fLaC\x00\x00\x00\x22" + bytes(10) + ((44100 << 44) | (5 << 41) | (15 << 36)).to_bytes(8, "big") + bytes(16)
WAV = b"WAVEfmt \x10\0\0\0\1\0\2\0" + (22050).to_bytes(4, "little") + bytes(6) + b"\x10\0" + bytes(8)
MDHD = b"\0\0\0\x20mdhd" + bytes(12)


def box(name, *inside):
    content = b"".join(inside)
    return (8 + len(content)).to_bytes(4, "big") + name + content


KNOWN_HEADERS = [
    (b"RIFF\0\0\0\0" + WAV, 22050, 2),
    (b"RF64\0\0\0\0WAVEjunk\3\0\0\0abc\0" + WAV[4:], 22050, 2),
    (FLAC, 44100, 6),
    (b"ID3\4\0\0\0\0\2\5" + bytes(261) + FLAC, 44100, 6),
    (OGG + b"\x01vorbis" + bytes(4) + b"\1" + (32000).to_bytes(4, "little"), 32000, 1),
    (OGG + b"OpusHead\1\2" + bytes(2) + (44100).to_bytes(4, "little"), 48000, 2),
    (OGG + b"\x7fFLAC\1\0\0\1" + FLAC, 44100, 6),
    (b"\xff\xfb\x90\x64", 44100, 2),
    (b"ID3\3\0\0\0\0\2\5" + bytes(280) + b"\xff\xf3\x94\xc4", 24000, 1),  # MPEG 2, after a tag and padding
    (b"\xff\xe3\x18\xc4", 8000, 1),  # MPEG 2.5
    (
        box(b"ftyp", b"M4A " + bytes(24))
        + box(
            b"moov",
            box(b"mvhd", bytes(100)),
            box(b"trak", box(b"mdia", MDHD + (90000).to_bytes(4, "big") + bytes(8))),  # a picture
            box(b"trak", box(b"tkhd", bytes(84)), box(b"mdia", MDHD + (44100).to_bytes(4, "big") + bytes(8))),
        )
        + box(b"mdat", bytes(40)),
        44100,
        2,
    ),
    (b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\2\0" + bytes(20), 48000, 2),
    (b"something else", 48000, 2),
]


def test_headers_are_read(tab):
    tab.goto(PAGE.absolute().as_uri())
    for header, rate, channels in KNOWN_HEADERS:
        found = tab.evaluate("(bytes) => readHeader(new File([Uint8Array.from(bytes)], ''))", list(header))
        assert (found["rate"], found["channels"]) == (rate, channels), header


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
        assert [float(cell) for cell in row[3:]] == list(song["probabilities"].values())
        assert float(row[2]) == max(song["probabilities"].values())


def test_songs_may_be_dropped(two):
    names = two.evaluate("""async () => {
      const dropped = new DataTransfer();
      for (const name of ["x.wav", "y.wav"]) dropped.items.add(new File([await entries[1].file.arrayBuffer()], name));
      document.body.dispatchEvent(new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: dropped}));
      while ($("main").ariaBusy === "true" || entries.length < 4) await new Promise((go) => setTimeout(go, 20));
      return songs.map((song) => song.file);
    }""")
    assert names == ["a.flac", "b.wav", "x.wav", "y.wav"]


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
