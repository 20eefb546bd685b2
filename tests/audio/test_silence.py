"""silence: a second is silent below -70 dBFS, and at the border it is not."""

import numpy as np
import pytest
import soxr

from stages.audio.silence import is_silent


def test_the_border_is_exact():
    """Two samples of 1/8 and -1/8 among 312,500, the edges left out, are a variance of 1e-7: -70 dBFS."""
    border = np.float32(1 / 8)
    clips = np.zeros((3, 312_500 + 2 * 6510), np.float32)
    clips[:, 80_000] = np.nextafter(border, np.float32(0)), border, np.nextafter(border, np.float32(1))
    clips[:, 90_000] = -clips[:, 80_000]
    assert is_silent(clips).tolist() == [True, False, False]


@pytest.mark.parametrize("offset", [0.001, -0.05, 1])
def test_an_offset_is_no_sound(offset):
    noise = np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32)
    assert is_silent(np.float32([[2e-4], [5e-4]]) * noise + np.float32(offset)).tolist() == [True, False]


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_the_level_of_a_tone_is_3_db_below_its_peak(rate):
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    peaks = 10 ** ((-70 + 10 * np.log10(2) + np.array([[-0.1], [0.1]])) / 20)
    assert is_silent(peaks * tone).tolist() == [True, False]


def test_a_moment_of_sound_is_enough():
    clips = np.zeros((2, 8000))
    clips[0, 4000:4080] = 0.01  # 10 ms at -40 dBFS: -60 dBFS of the second
    assert is_silent(clips).tolist() == [False, True]


@pytest.mark.parametrize(("rate", "sample_rate"), [(44100, 8000), (16000, 8000), (48000, 22050), (8000, 48000)])
def test_a_silent_second_between_loud_ones_is_silent_behind_the_resampler(rate, sample_rate):
    """Its filter rings for some milliseconds into what is beside a hard edge, above the border."""
    loud = np.random.default_rng(0).choice([-0.9, 0.9], rate)
    resampled = soxr.resample(np.concatenate([loud, np.zeros(rate), loud]), rate, sample_rate, quality="HQ")
    clips = resampled.reshape(3, sample_rate)
    assert np.square(clips[1]).mean() > 1e-7
    assert is_silent(clips).tolist() == [False, True, False]
