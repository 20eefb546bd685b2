"""The page hears songs as predict does, whatever form they come in, in each browser that is installed."""

import re
from pathlib import Path

import numpy as np
import pytest
import small_models
import soundfile
import torch
from listening.page.songs import (
    REPRESENTATIONS,
    all_songs,
    bad_files,
    moved,
    music,
    named,
    ogg_pages,
    probabilities,
    stereo,
    webm,
    write,
)
from small_models import CLASSES, cases, judge, make_model

import stages.listening.page.build as page
from stages.audio.front_end import FRONT_ENDS
from stages.audio.silence import is_silent
from stages.common.files import UserError
from stages.listening import Listener
from stages.listening.exports import PAGE
from stages.listening.listener import choose_card
from stages.models.scoring import verdict


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)


@pytest.fixture(scope="module")
def expected(place, ask_predict):
    """What predict hears in all songs, by representation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        names = all_songs()
        return {representation: ask_predict(names, representation) for representation in REPRESENTATIONS}


REFUSED = {"webkit": ["8 channels.wav"]}  # what a browser does not decode


def test_it_hears_what_predict_hears(anywhere, expected, request):
    hear, evaluate = anywhere
    refused = REFUSED.get(request.node.callspec.id, [])
    expected = {name: [song for song in songs if song["file"] not in refused] for name, songs in expected.items()}
    names = [song["file"] for song in expected["melgrams"]]
    songs = {"melgrams": hear(*names)}
    songs["mfccs"] = evaluate("(document.querySelectorAll('#switch input')[1].click(), window.songs)")
    assert [song["genre"] for song in songs["mfccs"]] != [song["genre"] for song in songs["melgrams"]]
    for representation, heard in songs.items():
        assert [song["file"] for song in heard] == names
        for song, other in zip(heard, expected[representation], strict=True):
            where = f"{representation}, {song['file']}"
            assert song.keys() == other.keys()
            assert song["genre"] == other["genre"], where
            assert [each["start"] for each in song["seconds"]] == [each["start"] for each in other["seconds"]], where
            assert list(song["probabilities"]) == CLASSES
            differences = np.abs(probabilities(song) - probabilities(other))
            exact = song["file"] in ("mono_8000.wav", "float.wav")
            assert differences.max() < (1e-4 if exact else 0.01), where
            if exact:
                assert song["probabilities"] == pytest.approx(other["probabilities"], abs=1e-3), where


def test_pieces_are_decoded_as_the_whole_is(tab, expected):
    """In Chromium, sample by sample; they need not be heard for it."""
    tab.goto(PAGE.absolute().as_uri())
    tab.evaluate("() => { takeIn = (files) => { window.files = files; }; }")
    tab.set_input_files("#files", ["long.wav", "long.flac", "long.mp3"])
    found = tab.evaluate("""Promise.all(files.map(async (file) => {
      const whole = await new OfflineAudioContext(1, 1, 44100).decodeAudioData(await file.arrayBuffer());
      let [pieces, at, difference] = [0, 0, 0];
      for await (const { sound, from, to } of (await decode(file, URL.createObjectURL(file))).sounds) {
        const [expected, found] = [whole, sound].map((each) => each.getChannelData(1));
        for (let i = from; i < to; i++, at++) difference = Math.max(difference, Math.abs(found[i] - expected[at]));
        pieces++;
      }
      return [pieces > 1, whole.length - at, difference];
    }))""")
    assert found == [[True, 0, 0]] * 3


def test_a_window_across_two_sections_is_heard_as_within_one(tab):
    """It begins just before the second section, in another file in the middle of the first one: to the last sample."""
    tab.goto(PAGE.absolute().as_uri())
    noise = np.random.default_rng(0).normal(0, 0.1, 35 * 44100)
    for skipped in (0, 20):
        tab.evaluate(f"settings.hop = {29.9999 - skipped}")
        tab.set_input_files("#files", write(f"{skipped}.wav", noise[skipped * 44100 :], 44100, subtype="FLOAT"))
        tab.wait_for_selector("main[aria-busy=false]")
    heard = [probabilities(song)[1] for song in tab.evaluate("window.songs")]
    np.testing.assert_allclose(*heard, rtol=0, atol=1e-7)


def test_a_file_without_a_length_is_heard(anywhere):
    hear, _ = anywhere
    content = bytearray(Path(write("known.flac", stereo("rock", 44100), 44100)).read_bytes())
    content[21:26] = bytes([content[21] & 0xF0, 0, 0, 0, 0])  # as if it had come through a pipe
    Path("piped.flac").write_bytes(content)
    opus = write("opus.ogg", stereo("blues", 48000), 48000, format="OGG", subtype="OPUS")
    known, piped, opus, recorded = hear("known.flac", "piped.flac", opus, webm("recorded.webm", opus))
    assert piped["seconds"] == known["seconds"]
    np.testing.assert_allclose(
        probabilities(recorded), probabilities(opus), rtol=0, atol=0.03
    )  # Chromium: 24 samples early


def test_an_ogg_starts_where_it_says(anywhere):
    """Its first page may end before all that is decoded of it: what is too much is at the start (Vorbis I, A.2)."""
    hear, _ = anywhere
    sound, late = stereo("rock", 44100), 300
    head, *pages = ogg_pages(write("whole.ogg", sound, 44100))
    positions = [int.from_bytes(page[6:14], "little") for page in pages]
    pages = [moved(page, at - late) if at else page for page, at in zip(pages, positions, strict=True)]
    Path("late.ogg").write_bytes(b"".join([head, *pages]))
    write("rest.wav", soundfile.read("whole.ogg")[0][late:], 44100, subtype="FLOAT")
    found, expected = hear("late.ogg", "rest.wav")
    np.testing.assert_allclose(probabilities(found), probabilities(expected), rtol=0, atol=0.002)


def test_a_file_that_breaks_off_says_so(tab, hear):
    whole = [write(f"whole.{suffix}", stereo("rock", 44100, 6.5), 44100) for suffix in ("wav", "flac", "mp3")]
    cut = [f"cut.{Path(name).suffix}" for name in whole]
    for name, short in zip(whole, cut, strict=True):
        content = Path(name).read_bytes()
        Path(short).write_bytes(content[: len(content) // 2])
    songs = hear(*whole, *cut)
    said = tab.evaluate("entries.map((entry) => entry.cutShort)")
    assert said == [""] * 3 + ["breaks off after 0:03 of 0:06"] * 3
    assert {len(song["seconds"]) for song in songs[3:]} == {3}
    named(tab, cut[0]).click()
    assert tab.inner_text("#verdict").endswith("; but the file breaks off after 0:03 of 0:06")


def test_a_file_that_is_damaged_says_so(tab, hear):
    names = [write(f"hurt.{suffix}", stereo("rock", 44100, 6.5), 44100) for suffix in ("flac", "mp3")]
    for name in names:
        content = bytearray(Path(name).read_bytes())
        middle, much = len(content) // 2, len(content) // 8
        content[middle : middle + much] = bytes(much)
        Path(name).write_bytes(content)
    hear(*names)
    for said in tab.evaluate("entries.map((entry) => entry.cutShort)"):
        assert re.fullmatch(r"is damaged: (0\.[5-9]|1\.[01]) s lost", said), said


def test_silent_seconds_have_no_vote(tab, hear):
    second = np.sqrt(2) * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)  # of 0 dBFS
    levels = [-20, -69.9, -70.1, -200, -20]
    sound = np.concatenate([10 ** (level / 20) * second for level in levels] + [music("pop", 8000, 2)])
    (song,) = hear(write("some silence.wav", sound, 8000, subtype="FLOAT"))
    assert tab.evaluate("entries[0].heard.map(({ rows }) => rows.map((row) => !row))") == 2 * [
        [False, False, True, True] + 3 * [False]
    ]
    voters = np.delete(probabilities(song), [2, 3], axis=0)
    assert list(song["probabilities"].values()) == pytest.approx(verdict(voters).tolist(), abs=1e-9)
    assert len(song["seconds"]) == 7


def test_an_ensemble_is_the_mean_of_its_members(workplace, hear):
    members, card = make_model("mfccs", members=2)
    judge("mfccs")
    page.write_page()
    clips = np.stack(list(cases(8000).values()))
    (song,) = hear(write("cases.wav", clips.ravel(), 8000))
    x = torch.from_numpy(((FRONT_ENDS["mfccs"](clips / 32768) - card["mean"]) / card["std"]).astype(np.float32))
    each = [torch.softmax(member(x).double(), dim=1).detach().numpy() for member in members]
    assert np.abs(each[0] - each[1]).max() > 0.3
    weights = (sum(each) / 2) ** (1 / card["temperature"])
    mean = weights / weights.sum(axis=1, keepdims=True)
    expected = np.where(is_silent(clips / 32768)[:, None], np.nan, mean)
    np.testing.assert_allclose(probabilities(song), expected, rtol=0, atol=1e-4)


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


def test_a_bad_file_gets_a_line_and_the_others_go_on(hear, tab):
    said = bad_files()
    (song,) = hear(*said, write("good.flac", music("rock", 44100), 44100))
    assert song["file"] == "good.flac"
    rows = {row.query_selector("th").inner_text(): row for row in tab.query_selector_all("tbody tr")}
    assert {name: rows[name].query_selector("td").inner_text() for name in said} == said
    assert tab.inner_text("#status") == f"Heard 1 song. {len(said)} files cannot be heard."
    assert tab.inner_text("#title") == "good.flac"


def test_channels_that_cancel_each_other_out_are_refused_as_predict_refuses_them(hear, tab):
    """As a whole, or, as after an encoder of few bits, in low sounds alone; the last three are heard."""
    sound = music("rock", 44100)
    high = np.std(sound) * np.sqrt(2) * np.sin(np.pi / 2 * np.arange(len(sound)))  # of 11 kHz, as loud
    channels = {
        "opposite.wav": (sound, -sound),
        "low.wav": (0.7 * high + sound, 0.7 * high - sound),
        "high.wav": (0.2 * sound + high, 0.2 * sound - high),
        "louder high.wav": (1.1 * high + sound, 1.1 * high - 0.8 * sound),
        "late.wav": (sound, np.roll(sound, 999)),
        "softer.wav": (sound, -0.6 * sound),
    }
    names = [write(name, 0.3 * np.stack(each, axis=1), 44100) for name, each in channels.items()]
    songs = hear(*names)
    assert [song["file"] for song in songs] == names[3:]
    listener = Listener(choose_card(None))
    for name in names[:3]:
        with pytest.raises(UserError) as refused:
            listener(name)
        said = tab.evaluate("(name) => entries.find((entry) => entry.name === name).error", name)
        assert f"{name}: {said}" == str(refused.value)
        assert said.startswith("has channels that cancel each other out: -")


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
