"""Decoding: any rate, mono or stereo, in blocks as in one piece, and every bad file told by its reason."""

import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import soxr
from conftest import ROOT
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.audio.decode import (
    DecodeError,
    cut_short,
    open_sound,
    read_blocks,
    to_clips,
    windows,
)


def heard_in(path):
    """Return the blocks of a sound file at 8 kHz."""
    with open_sound(path) as sound:
        return list(read_blocks(sound, 8000))


def music(seconds, rate):
    t = np.arange(int(seconds * rate)) / rate
    return 0.4 * np.sin(2 * np.pi * 220 * t) + 0.2 * np.sin(2 * np.pi * 1500 * t) * np.sin(2 * np.pi * 2 * t)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_files_come_in_blocks_as_in_one_piece(tmp_path, rate, suffix):
    sound = music(70.3, rate)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.stack([sound, 0.5 * sound], axis=1), rate, subtype="PCM_16")
    stored, _ = soundfile.read(path)
    blocks = heard_in(path)
    assert len(blocks) > 2
    heard = np.concatenate(blocks)
    np.testing.assert_allclose(heard, soxr.resample(stored.mean(axis=1), rate, 8000), atol=1e-6)
    np.testing.assert_allclose(
        np.concatenate(list(windows(blocks, 8000, 8000)))[:70], to_clips(stored.mean(axis=1), rate, 8000), atol=1e-6
    )


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_compressed_files_keep_their_pitch_and_level(tmp_path, suffix):
    path = tmp_path / f"naïve song.{suffix}"
    soundfile.write(path, music(3, 44100).astype(np.float32), 44100)
    heard = np.concatenate(heard_in(path))[8000:16000]
    assert np.abs(np.fft.rfft(heard)).argmax() == 220
    assert heard.std() == pytest.approx(music(3, 8000)[8000:16000].std(), rel=0.05)


@settings(max_examples=60)
@given(
    length=st.integers(0, 40000),
    hop=st.integers(500, 20000),
    cuts=st.lists(st.integers(0, 40000), max_size=5),
)
@example(length=40000, hop=20000, cuts=[9000])
def test_windows_do_not_depend_on_the_blocks(length, hop, cuts):
    sound = np.arange(length, dtype=float)
    blocks = np.split(sound, sorted(min(cut, length) for cut in cuts))
    clips = np.concatenate([np.zeros((0, 8000)), *windows(blocks, 8000, hop)])
    whole = max(0, (length - 8000) // hop + 1) if length >= 8000 else 0
    for i in range(whole):
        np.testing.assert_array_equal(clips[i], sound[i * hop : i * hop + 8000])
    rest = sound[whole * hop :]
    new = length > (whole - 1) * hop + 8000 if whole else True
    assert len(clips) == whole + (len(rest) >= 4000 and new)
    if len(clips) > whole:
        np.testing.assert_array_equal(clips[-1], np.pad(rest, (0, 8000 - len(rest))))


def bad_file(path, kind):
    if kind == "text":
        path.write_text("no sound")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "silent":
        soundfile.write(path, np.zeros(20000), 8000)
    else:
        soundfile.write(path, np.where(np.arange(9000) == 50, np.nan, 0.1), 8000, subtype="FLOAT")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("text", "can be decoded"),
        ("empty", "can be decoded"),
        ("silent", "is silent throughout"),
        ("nan", "holds NaN or infinity"),
    ],
)
def test_bad_files_say_why(tmp_path, kind, says):
    bad_file(tmp_path / "a.wav", kind)
    with pytest.raises(DecodeError, match=says):
        heard_in(tmp_path / "a.wav")


CUT = ("aiff", "au", "flac", "mp3", "rf64", "w64", "wav")


@pytest.mark.parametrize("suffix", CUT)
def test_a_file_that_breaks_off_is_heard_up_to_there_and_says_so(tmp_path, suffix):
    whole, path = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    soundfile.write(whole, music(20, 16000), 16000, format=suffix.upper())
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 5])
    expected = np.concatenate(heard_in(whole))
    with open_sound(path) as sound:
        heard = np.concatenate(list(read_blocks(sound, 8000)))
        said = re.fullmatch(r"breaks off after (.+) s of 20\.0 s", cut_short(sound))
    assert len(heard) / 8000 == pytest.approx(float(said[1]), abs=0.051)
    assert len(heard) == pytest.approx(12 * 8000, rel=0.1)
    np.testing.assert_allclose(heard[:-400], expected[: len(heard) - 400], atol=1e-6)  # the resampler's last moments


def test_a_file_that_breaks_off_at_its_start_is_no_sound(tmp_path):
    soundfile.write(tmp_path / "a.flac", music(20, 16000), 16000)
    (tmp_path / "a.flac").write_bytes((tmp_path / "a.flac").read_bytes()[:1000])
    with pytest.raises(DecodeError, match=r"is no sound that can be decoded \(.*lost sync\)"):
        heard_in(tmp_path / "a.flac")


@pytest.mark.parametrize("suffix", [*CUT, "ogg"])
def test_a_file_that_is_whole_does_not_claim_to_break_off(tmp_path, suffix):
    soundfile.write(tmp_path / f"a.{suffix}", music(5, 16000), 16000, format=suffix.upper())
    with open_sound(tmp_path / f"a.{suffix}") as sound:
        assert sum(map(len, read_blocks(sound, 8000))) == 5 * 8000
        assert cut_short(sound) == ""


def variable_mp3(folder):
    """Write an MP3 of 10 s whose frames grow, so that its first ones say nothing of its length."""
    sound = np.random.default_rng(0).standard_normal((160_000, 1)) * np.linspace(1e-4, 0.3, 160_000)[:, None]
    with soundfile.SoundFile(folder / "whole.mp3", "w", 16000, 1, bitrate_mode="VARIABLE") as file:
        for block in np.split(sound, 10):
            file.write(block)
    return (folder / "whole.mp3").read_bytes()


def says(path):
    with open_sound(path) as sound:
        heard = sum(map(len, read_blocks(sound, 8000)))
        return cut_short(sound), heard / 8000


def test_an_mp3_that_goes_on_where_the_library_stops_says_so(tmp_path):
    """Without the frame that tells the length; with the same song behind it; with tags behind it, which are no song."""
    content, path = variable_mp3(tmp_path), tmp_path / "a.mp3"
    path.write_bytes(content[content.index(content[:2], 100) :])
    said, heard = says(path)
    assert said == f"is longer than the {heard:.1f} s that its start tells of: no more was read"
    assert heard < 9
    for behind, more in (
        (content, True),
        (b"ID3\3\0\0\0\0\0\0" + content, True),
        (b"", False),
        (b"APETAGEX" * 99, False),
    ):
        path.write_bytes(content + behind)
        said, heard = says(path)
        assert said == ("is longer than the 10.0 s that its start tells of: no more was read" if more else "")
        assert heard == pytest.approx(10, abs=0.1)


def test_a_length_that_was_not_known_when_the_header_was_written_is_no_claim(tmp_path):
    soundfile.write(tmp_path / "a.wav", music(5, 16000), 16000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    for at in (4, content.index(b"data") + 4):
        content[at : at + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(content)
    with open_sound(tmp_path / "a.wav") as sound:
        assert sum(map(len, read_blocks(sound, 8000))) == 5 * 8000
        assert "should be" in sound.extra_info
        assert cut_short(sound) == ""


QUIET = """
import os, sys
from tqdm import tqdm
from stages.audio.decode import open_sound, quiet_codecs, read_blocks
with quiet_codecs():
    for _ in tqdm([1], "bar"):
        with open_sound(sys.argv[1]) as sound:
            print(sum(map(len, read_blocks(sound, 8000))))
    os.write(2, b"chatter")
    print("ours", file=sys.stderr)
os.write(2, b"after")
sys.exit("error")
"""


def test_codecs_are_quiet_and_python_is_not(tmp_path):
    soundfile.write(tmp_path / "a.mp3", music(20, 16000), 16000)
    content = bytearray((tmp_path / "a.mp3").read_bytes())
    content[20_000:30_000] = np.random.default_rng(0).bytes(10_000)
    (tmp_path / "a.mp3").write_bytes(content)

    def stderr_of(code):
        command = [sys.executable, "-c", code, tmp_path / "a.mp3"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert int(done.stdout) > 8000
        return done.stderr

    said = stderr_of(QUIET)
    assert re.fullmatch(r"\n(bar: .*\n)*bar: 100%\S* 1/1 .*\nours\naftererror\n", said), said
    loud = stderr_of(QUIET.replace("with quiet_codecs():", "if quiet_codecs:"))
    assert "Illegal Audio-MPEG-Header" in loud
    assert "chatter" in loud
