"""The front end against the two libraries that define it, and what must hold for any sound."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.audio.front_end import BLOCK, COURSE, FRONT_ENDS, melgrams, mfccs
from stages.audio.front_end import settings as settings_of


@pytest.fixture(scope="module", params=[8000, 22050, 24000])
def golden(request):
    with np.load(Path(__file__).parents[1] / "golden" / f"features_{request.param}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def test_float64_agrees_with_the_libraries(golden):
    clips = golden["clips"] / 32768
    assert mfccs(clips).shape == (len(clips), 26)
    np.testing.assert_allclose(mfccs(clips), golden["mfccs"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(melgrams(clips), golden["melgrams"], rtol=0, atol=1e-3)


def test_float32_agrees_too_also_where_frames_are_silent(golden):
    clips = (golden["clips"] / 32768).astype(np.float32)
    assert mfccs(clips).dtype == melgrams(clips).dtype == np.float32
    np.testing.assert_allclose(mfccs(clips), golden["mfccs"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(melgrams(clips), golden["melgrams"], rtol=0, atol=4e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silence(dtype):
    silence = np.zeros((1, 8000), dtype)
    statistics = mfccs(silence)[0]
    assert statistics[0] == pytest.approx(np.log10(np.finfo(np.float64).eps) * np.sqrt(40), abs=1e-4)
    np.testing.assert_allclose(statistics[1:], 0, atol=1e-4)
    np.testing.assert_array_equal(melgrams(silence), 0)


@settings(max_examples=15)
@given(n=st.integers(0, 2 * BLOCK + 3), seed=st.integers(0, 99))
def test_a_clip_sounds_alike_in_any_company(n, seed):
    clips = np.random.default_rng(seed).uniform(-1, 1, (n, 8000))
    for front_end in FRONT_ENDS.values():
        together = front_end(clips)
        assert len(together) == n
        if n:
            np.testing.assert_allclose(together[-1], front_end(clips[-1:])[0], rtol=0, atol=1e-9)


@settings(max_examples=10)
@given(gain=st.floats(0.01, 1), seed=st.integers(0, 99))
def test_loudness_does_not_matter(gain, seed):
    clip = np.random.default_rng(seed).uniform(-1, 1, (1, 8000))
    for front_end in COURSE.values():
        np.testing.assert_allclose(front_end(gain * clip), front_end(clip), rtol=0, atol=1e-5)


def test_settings_are_of_what_the_front_end_gives():
    assert settings_of("melgrams", (21, 128), 16000)["n_fft"] == 800
    assert settings_of("mfccs", (26,), 8000)["hop_length"] == 400
    assert settings_of("melgrams", (21, 128), 22050)["hop_length"] == 1102
    assert settings_of("timbre", (100,), 22050)["window_length"] == 1102
    for representation, shape, rate in (("mfccs", (13,), 8000), ("chroma", (12,), 8000), ("timbre", (100,), 8000)):
        assert settings_of(representation, shape, rate) is None


@pytest.mark.parametrize("clips", [np.zeros((2, 7999)), np.zeros(8000), np.zeros((2, 8000), np.int16)])
def test_anything_but_clips_is_refused(clips):
    for front_end in FRONT_ENDS.values():
        with pytest.raises(
            ValueError, match=r"expected floating-point samples in \[-1, 1\] of shape \(n, sample_rate\)"
        ):
            front_end(clips)
