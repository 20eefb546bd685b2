"""Decoding: any rate, mono or stereo, in blocks as in one piece, and every bad sound told by its reason."""

import re
import traceback

import numpy as np
import pytest
import soundfile
import soxr
from audio.written import KINDS, music, write
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.audio.container import DecodeError
from stages.audio.decode import read_blocks, to_clips, windows
from stages.audio.ffmpeg import open_sound


def heard_in(path):
    """Return the blocks of a sound file at 8 kHz."""
    with open_sound(path) as sound:
        return list(read_blocks(sound.pieces(), 8000))


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


@pytest.mark.parametrize(
    ("sound", "says"),
    [
        (np.zeros(20000), "is silent throughout"),
        (np.where(np.arange(9000) == 50, np.nan, 0.1), "holds NaN or infinity, or numbers far beyond full scale"),
        (np.where(np.arange(9000) == 50, np.inf, 0.1), "holds NaN or infinity, or numbers far beyond full scale"),
        (np.full(9000, 2e6), "holds NaN or infinity, or numbers far beyond full scale"),
    ],
)
def test_bad_sounds_say_why(tmp_path, sound, says):
    soundfile.write(tmp_path / "a.wav", sound, 8000, subtype="FLOAT")
    with pytest.raises(DecodeError) as refusal:
        heard_in(tmp_path / "a.wav")
    assert str(refusal.value) == says


def test_samples_of_another_scale_are_heard(tmp_path):
    """Floating point as large as 16 bits: not in the rules, but there."""
    soundfile.write(tmp_path / "a.wav", 32768 * music(2, 8000), 8000, subtype="FLOAT")
    np.testing.assert_allclose(np.concatenate(heard_in(tmp_path / "a.wav")), 32768 * music(2, 8000), rtol=1e-5)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("form", ["u1", "i2", "i4", "f4", "f8"])
def test_channels_of_any_type_are_averaged_wherever_they_lie(form, apart):
    levels = np.array([0.5, -0.25, 0.125])
    full_scale, middle = {"u1": (128, 128), "i2": (2**15, 0), "i4": (2**31, 0)}.get(form, (1, 0))
    sides = (np.tile(levels, (8000, 1)) * full_scale + middle).astype(form)  # (samples, channels)
    (block,) = read_blocks([([*sides.T.copy()] if apart else sides.T, 8000)], 8000)
    assert len(block) == 8000
    np.testing.assert_allclose(block[1000:-1000], levels.mean(), rtol=0, atol=1e-4)


def test_another_rate_on_the_way_loses_nothing():
    sounds = [(np.sin(np.arange(n) / 9).astype(np.float32), rate) for n, rate in ((70_000, 44100), (20_000, 11025))]
    found = np.concatenate(list(read_blocks([([sound], rate) for sound, rate in sounds], 8000)))
    expected = [soxr.resample(sound, rate, 8000, quality="HQ") for sound, rate in sounds]
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["a.wav", "float.wav", "a.mp3", "a.m4a", "a.opus"])
def test_channels_that_cancel_each_other_out_are_no_silence(tmp_path, kind):
    """And no verdict of what rounding or the encoder leaves of them; the levels are those before and after."""
    rate = KINDS[kind][2]
    sound = music(5, rate)
    write(tmp_path / kind, np.stack([sound, -sound], axis=1))
    with pytest.raises(DecodeError) as refusal:
        heard_in(tmp_path / kind)
    said = r"has channels that cancel each other out: (-\d+) dB before they are averaged, (-\d+ dB|nothing) after"
    before, after = re.fullmatch(said, str(refusal.value)).groups()
    assert float(before) == pytest.approx(10 * np.log10(np.square(sound).mean()), abs=0.6)
    assert after == "nothing" or float(after[:-3]) < float(before) - 13


def pink_noise(rate):
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(2 * rate))
    sound = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)).clip(20)))
    return 0.1 * sound / sound.std()


BIT_RATES = {
    "a.mp3": (64, 128),
    "a.m4a": (64, 96, 192),
    "a.opus": (24, 48, 128),
    "a.mp2": (64, 192),
    "a.ac3": (96, 192),
}


@pytest.mark.parametrize(("kind", "bit_rate"), [(kind, each) for kind, rates in BIT_RATES.items() for each in rates])
def test_no_encoder_makes_a_sound_of_channels_that_cancel(tmp_path, kind, bit_rate):
    """Not even of bright noise, whose high sounds it gives to both channels alike."""
    sound = pink_noise(KINDS[kind][2])
    write(tmp_path / kind, np.stack([sound, -sound], axis=1), bit_rate=1000 * bit_rate)
    with pytest.raises(DecodeError, match="has channels that cancel each other out"):
        heard_in(tmp_path / kind)
    write(tmp_path / kind, np.stack([sound, np.roll(sound, 999)], axis=1), bit_rate=1000 * bit_rate)
    assert len(np.concatenate(heard_in(tmp_path / kind))) > 15000


@pytest.mark.parametrize("level", [0, 0.3, 0.6, 0.8, 1])
def test_nor_does_vorbis(tmp_path, level):
    sound = pink_noise(44100)
    for right, cancels in ((-sound, True), (np.roll(sound, 999), False), (-0.5 * sound, False)):
        with soundfile.SoundFile(tmp_path / "a.ogg", "w", 44100, 2, compression_level=level) as file:
            file.write(np.stack([sound, right], axis=1))
        if cancels:
            with pytest.raises(DecodeError, match="has channels that cancel each other out"):
                heard_in(tmp_path / "a.ogg")
        else:
            heard_in(tmp_path / "a.ogg")


@pytest.mark.parametrize("right", [0, 1, -0.5])
def test_channels_that_differ_are_averaged(tmp_path, right):
    """One that is silent, one that is the same, one that is the other's negative, but not as loud."""
    sound = music(3, 8000)
    write_8000(tmp_path / "a.wav", np.stack([sound, right * sound], axis=1))
    np.testing.assert_allclose(np.concatenate(heard_in(tmp_path / "a.wav")), (1 + right) / 2 * sound, atol=1e-4)


def test_many_unrelated_channels_do_not_cancel(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (16000, 64))
    write_8000(tmp_path / "a.wav", noise)
    np.testing.assert_allclose(np.concatenate(heard_in(tmp_path / "a.wav")), noise.mean(axis=1), atol=1e-4)


def write_8000(path, sound):
    soundfile.write(path, sound, 8000)


def test_an_error_keeps_no_resampler(tmp_path):
    """Whose library would complain of it, in twenty lines, when the program ends with the error."""
    soundfile.write(tmp_path / "a.wav", np.zeros(20000), 8000)
    with pytest.raises(DecodeError) as refusal:
        heard_in(tmp_path / "a.wav")
    kept = [value for frame, _ in traceback.walk_tb(refusal.value.__traceback__) for value in frame.f_locals.values()]
    assert len(kept) > 5
    assert not any(isinstance(value, soxr.ResampleStream) for value in kept)
