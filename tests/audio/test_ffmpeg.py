"""ffmpeg: every kind of file gives the samples that went in, whole or broken, and says only what is true."""

import re
import struct
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import soundfile
from audio.written import KINDS, music, write
from conftest import ROOT
from memory import runs_within
from scipy.signal import correlate

from stages.audio.container import DecodeError
from stages.audio.ffmpeg import open_sound
from stages.audio.sounds import sound_suffixes

SILENT_ON_DELAY = (
    "a.aac",
    "a.mp2",
    "a.ac3",
    "a.eac3",
    "a.mpg",
    "a.ts",
    "a.wma",
)  # formats that do not say how much their encoder added


def decoded(path):
    """Return a file's samples, the mean of its channels in [-1, 1], and what was wrong with it."""
    with open_sound(path) as sound:
        pieces = [np.array(piece) for piece, _ in sound.pieces()]
        scale = 2 ** (8 * pieces[0].dtype.itemsize - 1) if pieces[0].dtype.kind == "i" else 1
        return np.concatenate([piece.mean(axis=0) / scale for piece in pieces]), sound.problem()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_samples_that_went_in(tmp_path, kind):
    """As many, none earlier or later, and as loud; nothing is said of a file that is whole."""
    rate = KINDS[kind][2]
    sound = music(3, rate)
    write(tmp_path / kind, np.stack([sound, 0.5 * sound], axis=1))
    heard, problem = decoded(tmp_path / kind)
    assert problem == ""
    if kind in SILENT_ON_DELAY:
        assert 0 <= len(heard) + 1536 - len(sound) <= 3 * 1536 + 2048
        return
    assert len(heard) - len(sound) in (range(2036) if kind == "adpcm.wav" else range(1000) if kind == "a.webm" else [0])
    middle = slice(rate, 2 * rate)
    errors = [np.square(heard[rate + lag : 2 * rate + lag] - 0.75 * sound[middle]).mean() for lag in range(-50, 51)]
    assert np.argmin(errors) == 50
    assert errors[50] < 0.06 * np.square(sound).mean()


LIKE = {".mpga": ".mp3", ".m4b": ".m4a", ".oga": ".ogg", ".weba": ".webm", ".mkv": ".mka", ".mpeg": ".mpg"}
LIKE |= {".wave": ".wav", ".bwf": ".wav", ".rf64": ".wav", ".aif": ".aiff", ".snd": ".au"}


def test_the_formats_that_the_guide_names_are_decoded(tmp_path):
    text = (ROOT / "docs" / "own-music.md").read_text(encoding="utf-8")
    table = text[text.index("| format |") :].partition("\n\n")[0]
    suffixes = re.findall(r"[` ](\.[a-z0-9]+)", table)
    assert len(suffixes) > 30
    assert set(suffixes) <= sound_suffixes()
    for suffix in suffixes:
        kind = f"a{LIKE.get(suffix, suffix)}"
        write(
            tmp_path / f"a{suffix}", music(1, KINDS[kind][2]), kind, **({"rf64": "always"} if suffix == ".rf64" else {})
        )
        heard, problem = decoded(tmp_path / f"a{suffix}")
        assert (suffix, problem) == (suffix, "")
        assert len(heard) / KINDS[kind][2] == pytest.approx(1, abs=0.08), suffix


def crc(data, polynomial, width):
    value = 0
    for byte in data:
        value ^= byte << (width - 8)
        for _ in range(8):
            value = ((value << 1) ^ (polynomial if value >> (width - 1) & 1 else 0)) & ((1 << width) - 1)
    return value


@pytest.mark.parametrize(("bits", "code"), [(12, 2), (20, 5)])
def test_flac_of_odd_bits(tmp_path, bits, code):
    """Frames of plain samples, as the format's specification (RFC 9639) describes them: nobody writes such here."""
    numbers = np.random.default_rng(0).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (2, 4096))
    content = b"fLaC" + bytes([0x80, 0, 0, 34]) + (4096).to_bytes(2, "big") * 2 + bytes(6)
    content += (8000 << 44 | (bits - 1) << 36 | numbers.size).to_bytes(8, "big") + bytes(16)
    for frame, row in enumerate(numbers):
        head = bytes([0xFF, 0xF8, 0xC4, code << 1, frame])
        text = "".join(format(int(each) % 2**bits, f"0{bits}b") for each in row)
        body = head + bytes([crc(head, 7, 8), 2]) + int(text, 2).to_bytes(len(text) // 8, "big")
        content += body + crc(body, 0x8005, 16).to_bytes(2, "big")
    (tmp_path / "a.flac").write_bytes(content)
    heard, problem = decoded(tmp_path / "a.flac")
    np.testing.assert_array_equal(heard * 2 ** (bits - 1), numbers.ravel())
    assert problem == ""


def without_head(content):
    """Return an MP3 without the frame that says how long it is."""
    return content[content.index(content[:2], 100) :]


def mp3(folder, sound, rate=44100, mode="CONSTANT"):
    with soundfile.SoundFile(folder / "x.mp3", "w", rate, sound.ndim, bitrate_mode=mode) as file:
        file.write(sound)
    return (folder / "x.mp3").read_bytes()


def encoded(path, sound, bit_rate):
    """Return a file without a head that says how long it is."""
    write(path, sound, f"a{path.suffix}", bit_rate=bit_rate, **({"write_xing": "0"} if path.suffix == ".mp3" else {}))
    return path.read_bytes()


def with_bytes(content, places):
    changed = bytearray(content)
    for at, new in places.items():
        changed[at : at + len(new)] = new
    return bytes(changed)


def tag(size):
    """Return an ID3 tag with a picture."""
    body = b"APIC" + (size - 20).to_bytes(4, "big") + b"\0\0\0image/png\0\x03\0" + bytes(size)
    return b"ID3\x03\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + body[:size]


def ape(size):
    """Return an APE tag, version 2."""
    ends = [b"APETAGEX" + struct.pack("<4I8x", 2000, size + 32, 1, flags << 29) for flags in (5, 4)]
    return ends[0] + bytes(size) + ends[1]


def whole_files(folder):
    """Yield files that are whole and say so in unusual ways, or not at all: name, content, seconds."""
    sound = music(6, 44100)
    soundfile.write(folder / "a.flac", sound, 44100)
    flac = (folder / "a.flac").read_bytes()
    yield "twice.flac", flac + flac, 12
    yield "streamed.flac", with_bytes(flac, {21: bytes([flac[21] & 0xF0]), 22: bytes(4)}), 6
    yield "more than it says.flac", with_bytes(flac, {22: (2 * 44100).to_bytes(4, "big")}), 6
    soundfile.write(folder / "a.wav", sound, 44100)
    wav = (folder / "a.wav").read_bytes()
    data = wav.index(b"data") + 4
    for unknown in (0, 2**32 - 1, 2**31 - 1):
        yield (
            f"{unknown}.wav",
            with_bytes(wav, {4: unknown.to_bytes(4, "little"), data: unknown.to_bytes(4, "little")}),
            6,
        )
    yield "half.wav", with_bytes(wav, {data: (6 * 44100).to_bytes(4, "little")}), 6
    chunks = b"LIST" + (300_000).to_bytes(4, "little") + bytes(range(250)) * 1200
    yield "chunks behind.wav", wav + chunks, 6
    yield "a tag behind.wav", wav + tag(300_000), 6
    constant, rising = mp3(folder, sound), mp3(folder, sound * np.linspace(1e-4, 1, len(sound)), mode="VARIABLE")
    yield "constant.mp3", without_head(constant), 6
    yield "variable.mp3", without_head(rising), 6
    yield "cover.mp3", tag(100_000) + without_head(constant), 6
    yield "cover, variable.mp3", tag(50_000) + without_head(rising), 6
    lyrics = b"LYRICSBEGIN" + b"LYR01000" + b"la la la " * 111 + b"001018LYRICS200" + b"TAG" + bytes(125)
    junk = {"zeros": bytes(215), "break": b"\r\n", "html": b"<html><p>Not found</html>" * 99, "many": bytes(99_999)}
    for name, before in junk.items():
        yield f"{name}.mp3", before + constant, 6
    yield "tag and zeros.mp3", tag(20_000) + bytes(2000) + constant, 6
    yield "tag behind.mp3", constant + b"TAG" + bytes(125), 6
    yield "twice.mp3", constant + constant, 12
    cover = tag(100)[:10] + np.random.default_rng(0).bytes(90)
    yield "a tag between.mp3", constant + cover + constant, 12
    slow, fast = (encoded(folder / f"{rate}.mp3", sound, rate) for rate in (64_000, 320_000))
    yield "two bit rates.mp3", slow + fast, 12
    yield "wrong tag.mp3", b"ID3\x03\0\0" + b"\x7f" * 4 + bytes(1000) + constant, 6
    yield "long tag.mp3", ape(200_000) + without_head(constant), 6
    yield "lyrics between.mp3", constant + lyrics + constant, 12
    yield "cover.ac3", tag(100_000) + encoded(folder / "x.ac3", sound, 96_000), 6
    yield "two bit rates.ac3", b"".join(encoded(folder / "x.ac3", sound, rate) for rate in (96_000, 320_000)), 12
    yield "mono, then stereo.mp3", mp3(folder, music(0.3, 44100)) + mp3(folder, np.stack([sound, sound / 2], 1)), 6.3
    yield "another rate.mp3", constant + mp3(folder, music(2, 22050), 22050), 8
    for codec, rate in (("VORBIS", 44100), ("OPUS", 48000)):
        links = []
        for seed, (own, channels) in enumerate([(rate, 1), (rate, 1), (rate // 2, 2)]):
            columns = np.stack([music(3, own, seed)] * channels, axis=1)
            soundfile.write(folder / "x.ogg", columns, own, format="OGG", subtype=codec)
            links.append((folder / "x.ogg").read_bytes())
        yield f"{codec}, chained.ogg", links[0] + links[1], 6
        yield f"{codec}, chained, unlike.ogg", links[0] + links[2], 6
    yield from unlike_flac(folder)


def unlike_flac(folder):
    """Yield FLAC after FLAC, and in Ogg, of other bits, rates and channels: FFmpeg's decoder keeps the first bits."""
    songs = []
    for rate, channels, form in [(44100, 1, "s16"), (44100, 1, "s32"), (22050, 2, "s16")]:
        for suffix in ("flac", "oga"):
            path = folder / f"{rate} {form}.{suffix}"
            with av.open(str(path), "w") as container:
                stream = container.add_stream("flac", rate=rate, layout=["mono", "stereo"][channels - 1])
                stream.format = form
                frame = av.AudioFrame.from_ndarray(
                    np.repeat(np.float32(music(2, rate)), channels)[None], "flt", stream.layout.name
                )
                frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
                container.mux([*stream.encode(frame), *stream.encode(None)])
            songs.append(path.read_bytes())
    for first, second in ((0, 2), (2, 0), (0, 4), (4, 2)):
        yield f"{first} {second}.flac", songs[first] + songs[second], 4
        yield f"{first} {second}.oga", songs[first + 1] + songs[second + 1], 4


@pytest.mark.parametrize("kind", ["a.wav", "a.m4a", "a.wma", "a.wv", "a.tta"])
def test_of_some_formats_the_first_song_is_heard(tmp_path, kind):
    write(tmp_path / kind, music(2, 44100))
    (tmp_path / kind).write_bytes(2 * (tmp_path / kind).read_bytes())
    heard, problem = decoded(tmp_path / kind)
    assert problem == ""
    assert len(heard) == pytest.approx(2 * 44100, abs=2048 if kind == "a.wma" else 0)


BEFORE = {"tags": tag(300) + tag(70_000), "zeros": bytes(300), "break": b"\r\n", "both": tag(300) + b"<html>" * 99}


@pytest.mark.parametrize("kind", ["a.wav", "a.flac", "a.opus", "a.m4a", "a.wma", "a.mp3"])
def test_junk_before_a_song_changes_nothing(tmp_path, kind):
    """Not even what an MP3's head and a WAV's header tell: the encoder's delay, and how long it is meant to be."""
    path = tmp_path / kind
    write(path, music(2, KINDS[kind][2]))
    whole = path.read_bytes()
    for content in (whole, whole[: len(whole) * 3 // 4])[: 1 if kind == "a.m4a" else 2]:  # whose index is at its end
        path.write_bytes(content)
        expected, said = decoded(path)
        for name, before in BEFORE.items():
            path.write_bytes(before + content)
            heard, problem = decoded(path)
            assert (name, problem) == (name, said)
            np.testing.assert_array_equal(heard, expected, name)


def test_a_head_behind_junk_that_is_taken_for_sound_is_read(tmp_path):
    """Of MPEG-1 in mono, say."""
    path, content = tmp_path / "a.mp3", mp3(tmp_path, music(2, 44100))
    path.write_bytes(content)
    expected, _ = decoded(path)
    path.write_bytes(b"\r\n" + content)
    np.testing.assert_array_equal(decoded(path)[0], expected)


def test_what_is_before_the_head_of_another_song_is_no_junk(tmp_path):
    constant = mp3(tmp_path, music(1, 44100))
    (tmp_path / "a.mp3").write_bytes(without_head(constant) + constant)
    assert len(decoded(tmp_path / "a.mp3")[0]) > 2 * 44100


def ogg_pages(content):
    """Yield the pages of an Ogg file."""
    while content:
        n = 27 + content[26] + sum(content[27 : 27 + content[26]])
        yield content[:n]
        content = content[n:]


def page_of_time(page, time):
    """Return a page of Ogg that ends at a time, in samples."""
    page = with_bytes(page, {6: time.to_bytes(8, "little", signed=True), 22: bytes(4)})
    return with_bytes(page, {22: crc(page, 0x04C11DB7, 32).to_bytes(4, "little")})


def test_a_page_whose_time_is_wrong_does_not_end_a_song(tmp_path):
    """Each of its packets is an error then."""
    write(tmp_path / "a.opus", music(5, 48000))
    pages = list(ogg_pages((tmp_path / "a.opus").read_bytes()))
    pages[4] = page_of_time(pages[4], -1)
    (tmp_path / "a.opus").write_bytes(b"".join(pages))
    heard, problem = decoded(tmp_path / "a.opus")
    assert problem == "is damaged at 0:02; 1.0 s lost"
    assert len(heard) / 48000 == pytest.approx(4, abs=0.03)


def test_what_cannot_be_heard_between_two_songs_is_skipped(tmp_path):
    """A stream of an unknown codec."""
    write(tmp_path / "a.opus", music(2, 48000))
    song = (tmp_path / "a.opus").read_bytes()
    first, *others = ogg_pages(song.replace(b"OpusHead", b"OtherOne"))
    (tmp_path / "a.opus").write_bytes(song + page_of_time(first, 0) + b"".join(others) + song)
    heard, problem = decoded(tmp_path / "a.opus")
    assert (len(heard), problem) == (4 * 48000, "")


def test_the_last_of_several_songs_may_break_off(tmp_path):
    soundfile.write(tmp_path / "a.flac", music(6, 44100), 44100)
    song = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(song + song[: len(song) // 2])
    assert re.fullmatch(r"breaks off after (8\.9|9\.0) s of 12\.0 s", decoded(tmp_path / "a.flac")[1])


def test_damage_whose_length_is_unknown_is_told_without(tmp_path):
    """FFmpeg leaves out what is no frame of AAC."""
    write(tmp_path / "a.aac", music(5, 44100))
    content = (tmp_path / "a.aac").read_bytes()
    (tmp_path / "a.aac").write_bytes(with_bytes(content, {len(content) // 2: bytes(3000)}))
    assert decoded(tmp_path / "a.aac")[1] in ("is damaged at 0:02", "is damaged at 0:03")


@pytest.mark.parametrize("kind", ["flac.oga", "a.ogg", "a.opus"])
def test_a_page_may_tell_any_time(tmp_path, kind):
    """An hour, from the first page on: FFmpeg lets FLAC's begin at 0."""
    path, rate = tmp_path / kind, KINDS[kind][2]
    write(path, music(5, rate))
    pages = list(ogg_pages(path.read_bytes()))
    times = [int.from_bytes(page[6:14], "little") for page in pages]
    pages = [page_of_time(page, time + 3600 * rate) if time else page for page, time in zip(pages, times, strict=True)]
    path.write_bytes(b"".join(pages))
    heard, problem = decoded(path)
    assert problem == ""
    assert len(heard) / rate == pytest.approx(5, abs=0.03)


def test_what_is_encrypted_is_refused_as_such(tmp_path):
    """Not decoded, though some of it can be."""
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "01" * 16, "encryption_kid": "02" * 16}
    write(tmp_path / "a.mp4", music(3, 44100), **key)
    with pytest.raises(DecodeError, match="it is encrypted"):
        decoded(tmp_path / "a.mp4")


def test_a_recording_of_a_stream_may_start_at_any_time(tmp_path):
    """Ogg's pages of a station that has been on the air for an hour tell so."""
    with av.open(str(tmp_path / "a.opus"), "w") as container:
        stream = container.add_stream("libopus", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(music(3, 48000).astype(np.float32)[None], "flt", "mono")
        frame.rate, frame.pts, frame.time_base = 48000, 3600 * 48000, Fraction(1, 48000)
        container.mux([*stream.encode(frame), *stream.encode(None)])
    heard, problem = decoded(tmp_path / "a.opus")
    assert len(heard) / 48000 == pytest.approx(3, abs=0.03)
    assert problem == ""


def test_whole_files_are_heard_whole_and_nothing_is_said_of_them(tmp_path):
    for name, content, seconds in whole_files(tmp_path):
        path = tmp_path / name
        path.write_bytes(content)
        with open_sound(path) as sound:
            heard = sum(len(piece[0]) / rate for piece, rate in sound.pieces())
            assert (name, sound.problem()) == (name, "")
        assert heard == pytest.approx(seconds, abs=0.12), name


SIZES = {  # where the number of bytes is, before what it begins behind, and how long it is
    "a.wav": (b"data", 4, 4, "little"),
    "rf64.wav": (b"ds64", 12, 8, "little"),
    "bw64.wav": (b"ds64", 12, 8, "little"),
    "a.w64": (b"data\xf3\xac", 16, 8, "little"),
    "a.caf": (b"data", 4, 8, "big"),
    "a.aiff": (b"SSND", 4, 4, "big"),
    "a.au": (b".snd", 8, 4, "big"),
}


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("claim", [-1, 0, 44100, 500_001])
def test_a_header_that_tells_of_less_than_follows_it_changes_nothing(tmp_path, kind, claim):
    """As a recorder leaves it that was stopped, also where the song begins silently."""
    path, sound = tmp_path / kind, music(6, 44100)
    sound[:9999] *= claim > 0
    write(path, sound, kind if kind in KINDS else "a.wav", **({} if kind in KINDS else {"rf64": "always"}))
    content = path.read_bytes()
    name, behind, size, order = SIZES[kind]
    at = content.index(name) + behind
    changed = with_bytes(content, {at: (claim % 2 ** (8 * size)).to_bytes(size, order)})
    path.write_bytes(b"BW64" + changed[4:] if kind == "bw64.wav" else changed)
    heard, problem = decoded(path)
    assert problem == ""
    np.testing.assert_allclose(heard, sound, atol=1e-4)


def test_what_a_stream_leaves_open_or_other_streams_say_is_not_the_length(tmp_path):
    """An AVI that could not be completed, a start that is not 0, a second stream that is longer."""
    sound, rate = np.float32(music(3, 44100)), 44100

    def frame(seconds, start=0.0):
        made = av.AudioFrame.from_ndarray(np.resize(sound, (1, int(seconds * rate))), "fltp", "mono")
        made.rate, made.pts, made.time_base = rate, int(start * rate), Fraction(1, rate)
        return made

    for name, codec, starts, lengths in [
        ("a.avi", "libmp3lame", [0], [3]),
        ("a.matroska", "aac", [2], [3]),
        ("a.asf", "wmav2", [0, 0], [3, 9]),
    ]:
        form = name[2:]
        pipe = SimpleNamespace(write=(tmp_path / name).open("wb", buffering=0).write)
        with av.open(pipe if form == "avi" else str(tmp_path / name), "w", format=form) as container:
            streams = [container.add_stream(codec, rate=rate, layout="mono", bit_rate=64_000) for _ in starts]
            for stream, start, seconds in zip(streams, starts, lengths, strict=True):
                container.mux([*stream.encode(frame(seconds, start)), *stream.encode(None)])
        heard, problem = decoded(tmp_path / name)
        assert (name, problem) == (name, "")
        assert (name, len(heard) / rate) == (name, pytest.approx(3, abs=0.09))


CUT = ("a.aiff", "a.au", "a.flac", "a.mp3", "a.wav", "24.wav", "float.wav", "a.tta", "a.webm", "a.mka")
CUT += ("a.w64", "a.caf", "a.wma", "a.wv", "adpcm.wav", "rf64.wav")


@pytest.mark.parametrize("kind", [*CUT, "fast.m4a"])
def test_a_file_that_breaks_off_is_heard_up_to_there_and_says_so(tmp_path, kind):
    path, form = tmp_path / kind, {"fast.m4a": "a.m4a", "rf64.wav": "a.wav"}.get(kind, kind)
    rate = KINDS[form][2]
    write(
        path,
        music(10, rate),
        form,
        **{"fast.m4a": {"movflags": "faststart"}, "rf64.wav": {"rf64": "always"}}.get(kind, {}),
    )
    expected, _ = decoded(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])
    heard, problem = decoded(path)
    said = re.fullmatch(r"breaks off after (.+) s of 10\.0 s", problem)
    assert len(heard) / rate == pytest.approx(float(said[1]), abs=0.051)
    assert len(heard) == pytest.approx(6 * rate, abs=1.1 * rate)
    np.testing.assert_allclose(heard[: 4 * rate], expected[: 4 * rate], atol=1e-6)


@pytest.mark.parametrize("kind", ["a.ogg", "flac.oga", "a.opus", "a.aac", "a.mp2", "a.ac3", "a.eac3", "a.mpg", "a.ts"])
def test_where_a_file_does_not_say_how_long_it_is_nothing_is_said_of_its_end(tmp_path, kind):
    path, rate = tmp_path / kind, KINDS[kind][2]
    write(path, music(10, rate))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])
    heard, problem = decoded(path)
    assert len(heard) == pytest.approx(6 * rate, abs=1.1 * rate)
    assert problem == ""


def test_a_moment_less_is_not_worth_a_word(tmp_path):
    soundfile.write(tmp_path / "a.wav", music(3, 8000), 8000)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[: -2 * 800])
    assert decoded(tmp_path / "a.wav")[1] == ""
    (tmp_path / "a.wav").write_bytes(content[: -2 * 1200])
    assert decoded(tmp_path / "a.wav")[1] == "breaks off after 2.9 s of 3.0 s"


HOLES = {"a.mp3": 0.2, "a.flac": 0.2, "a.m4a": 0.3, "a.mp2": 0.2, "a.ogg": 1.5, "a.opus": 2.5, "a.wma": 0.4}


@pytest.mark.parametrize("kind", HOLES)
def test_damage_is_left_out_and_told_and_what_follows_is_heard(tmp_path, kind):
    path, rate = tmp_path / kind, KINDS[kind][2]
    write(path, music(20, rate))
    expected, _ = decoded(path)
    content = path.read_bytes()
    noise = np.random.default_rng(0)
    path.write_bytes(with_bytes(content, {len(content) * part // 20: noise.bytes(2000) for part in (5, 13)}))
    heard, problem = decoded(path)
    first, second, lost = re.fullmatch(r"is damaged at 0:(\d\d), 0:(\d\d); (\S+) s lost", problem).groups()
    assert int(first) == pytest.approx(5, abs=1.5)
    assert int(second) == pytest.approx(13, abs=1.5)
    assert (len(expected) - len(heard)) / rate == pytest.approx(float(lost), abs=0.12)
    assert 0 < float(lost) <= 2 * HOLES[kind]
    np.testing.assert_allclose(heard[: 3 * rate], expected[: 3 * rate], atol=1e-6)
    last = expected[17 * rate : 19 * rate]
    alike = correlate(heard[-6 * rate :], last, "valid", "fft").max() / np.square(last).sum()
    assert alike == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("kind", ["a.flac", "a.wv"])
def test_what_is_lossless_is_checked_to_the_bit(tmp_path, kind):
    """Noise would stand for the block in which one bit is wrong."""
    path = tmp_path / kind
    write(path, music(5, 44100))
    expected, _ = decoded(path)
    content = path.read_bytes()
    at = len(content) // 2
    path.write_bytes(with_bytes(content, {at: bytes([content[at] ^ 1])}))
    heard, problem = decoded(path)
    assert re.fullmatch(r"is damaged at 0:0[23]; (0\.[1-9]|1\.0) s lost", problem)
    assert set(np.unique(heard)) <= set(np.unique(expected))


def test_the_first_audio_stream_is_heard_and_covers_and_video_are_not(tmp_path):
    path, tones = tmp_path / "a.mka", {}
    with av.open(str(path), "w", format="matroska") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for _ in range(2):
            tones[container.add_stream("flac", rate=8000, layout="mono")] = None
        for _ in range(50):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        for pitch, stream in zip((440, 1000), tones, strict=True):
            wave = np.sin(2 * np.pi * pitch * np.arange(24000) / 8000)[None]
            frame = av.AudioFrame.from_ndarray((20000 * wave).astype(np.int16), "s16", "mono")
            frame.rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
            container.mux([*stream.encode(frame), *stream.encode(None)])
        container.mux(video.encode(None))
    heard, problem = decoded(path)
    assert np.abs(np.fft.rfft(heard[:8000])).argmax() == 440
    assert (len(heard), problem) == (24000, "")  # the video is longer


@pytest.mark.parametrize(("rate", "channels"), [(999, 1), (768_001, 1), (2**31 - 1, 1), (8000, 65), (8000, 255)])
def test_a_form_that_no_sound_has_is_refused(tmp_path, rate, channels):
    soundfile.write(tmp_path / "a.wav", np.zeros(3000), 8000)
    content = with_bytes(
        (tmp_path / "a.wav").read_bytes(), {22: channels.to_bytes(2, "little"), 24: rate.to_bytes(4, "little")}
    )
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(
        DecodeError, match=f"claims {channels} channels at {rate} Hz, expected 1 to 64 at 1000 to 768000"
    ):
        decoded(tmp_path / "a.wav")


@pytest.mark.parametrize("kind", ["a.mp3", "a.flac", "a.ogg"])
def test_a_stump_is_no_sound(tmp_path, kind):
    """Not that it does not exist."""
    write(tmp_path / kind, music(2, 44100))
    (tmp_path / kind).write_bytes((tmp_path / kind).read_bytes()[:150])
    with pytest.raises(
        DecodeError, match=r"\((it is of no known format, or|it ends before there is any|there is no whole)"
    ):
        decoded(tmp_path / kind)


SETUP = """
from pathlib import Path
from stages.audio.container import pyav
from stages.audio.ffmpeg import open_sound
from stages.audio.sounds import sound_suffixes
pyav()
import os, numpy
def threads():
    return len(os.listdir("/proc/self/task"))
"""
WORK = """
with open_sound(Path({path!r})) as sound:
    before, n = threads(), 0
    assert sound._codec.thread_count == 1
    for piece, _ in sound.pieces():
        n += len(piece[0])
        assert threads() == before
assert n == {n}
"""


@pytest.mark.parametrize("kind", ["a.flac", "alac.m4a"])
def test_a_sound_takes_one_thread_and_little_memory_however_long_it_is(tmp_path, kind):
    """Five minutes of silence in stereo: 53 MB as samples, some kilobytes as a file."""
    write(tmp_path / kind, np.zeros((300 * 44100, 2)))
    runs_within(40, SETUP, WORK.format(path=str(tmp_path / kind), n=300 * 44100))


def test_only_files_are_opened(tmp_path):
    with pytest.raises(OSError, match="found a folder"), open_sound(tmp_path):
        pass
    with pytest.raises(FileNotFoundError), open_sound(Path(tmp_path / "none")):
        pass
