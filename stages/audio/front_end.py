"""The front end: one second of audio becomes 26 MFCC statistics, a mel-spectrogram of 21 x 128, or its timbre.

Conventions: a clip is one second of mono audio, so its length is its sampling rate: 8000 floating-point samples in
[-1, 1] for the course's. Clips come first, `(n, sample_rate)`; anything else is a ValueError. A frame is 50 ms,
rounded down to whole samples: at 22,050 Hz 1102 samples. Everything is computed and returned in the dtype of the clips:
float64 agrees with the libraries named below to 1e-9 (MFCC) and 1e-3 dB (mel), float32 runs twice as fast.

`mfccs` and `melgrams` are defined by the two libraries that made the course's arrays, so that a network trained on
those arrays gets a new song in the same form:

- `mfccs`: pyAudioAnalysis, `ShortTermFeatures.py` (`dc_normalize`, `mfcc_filter_banks`, `mfcc`);
- `melgrams`: librosa 0.11, `feature.melspectrogram` and `power_to_db(ref=np.max)`;
- `timbre`: stages/audio/timbre.py.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from stages.audio.filters import dct_columns, hann, slaney_filters
from stages.audio.timbre import n_columns, short_frame, timbre_block

SAMPLE_RATE = 8000  # the course's, Hz
N_FRAMES = 20  # frames of a clip; they do not overlap (hop_length = window length)
N_MFCC = 13
N_MELS = 128

BLOCK = 32  # clips of 8000 samples worked on at a time: their spectra stay in the processor's cache


def mfccs(clips: np.ndarray) -> np.ndarray:
    """Return the means, then the population standard deviations, of 13 MFCCs over 20 frames, shape (n, 26)."""
    return _in_blocks("mfccs", _mfcc_block, clips)


def melgrams(clips: np.ndarray) -> np.ndarray:
    """Return mel-spectrograms in dB below each clip's maximum, from -80 to 0, shape (n, 21, 128): time first."""
    return _in_blocks("melgrams", _melgram_block, clips)


def timbre(clips: np.ndarray) -> np.ndarray:
    """Return the timbre of clips, as stages/audio/timbre.py defines it, shape (n, columns): 100 at 22,050 Hz."""
    return _in_blocks("timbre", timbre_block, clips)


COURSE = {front_end.__name__: front_end for front_end in (mfccs, melgrams)}  # what its arrays hold
FRONT_ENDS = COURSE | {"timbre": timbre}


def shape_of(representation: str, sample_rate: int) -> tuple[int, ...]:
    """Return the shape of one sample, a key of FRONT_ENDS, at a sampling rate."""
    shapes = {"mfccs": (2 * N_MFCC,), "melgrams": (N_FRAMES + 1, N_MELS), "timbre": (n_columns(sample_rate),)}
    return shapes[representation]


def settings(representation: str, shape: tuple[int, ...], sample_rate: int) -> dict | None:
    """Return what a model's card says about the front end that it was trained with.

    None if there is no front end here that gives samples of that name and shape at that rate.
    """
    if representation not in FRONT_ENDS or shape_of(representation, sample_rate) != shape:
        return None
    frame = sample_rate // N_FRAMES
    return {
        "mfccs": {
            "definition": "pyAudioAnalysis 0.3.14, mean and deviation over frames",
            "sample_rate": sample_rate,
            "window_length": frame,
            "hop_length": frame,
            "n_mfcc": N_MFCC,
            "n_filters": 40,
        },
        "melgrams": {
            "definition": "librosa 0.11, power_to_db(ref=np.max)",
            "sample_rate": sample_rate,
            "n_fft": frame,
            "hop_length": frame,
            "n_mels": N_MELS,
            "top_db": 80,
        },
        "timbre": {
            "definition": "MFCC means and modulation, contrast, flatness, spectral shape",
            "sample_rate": sample_rate,
            "window_length": short_frame(sample_rate),
            "hop_length": sample_rate // 40,
        },
    }[representation]


def _in_blocks(representation: str, front_end: Callable, clips: np.ndarray) -> np.ndarray:
    if clips.ndim != 2 or clips.shape[1] < SAMPLE_RATE or not np.issubdtype(clips.dtype, np.floating):
        raise ValueError(
            f"clips: found {clips.dtype} of shape {clips.shape}, expected floating-point samples in [-1, 1] "
            f"of shape (n, sample_rate), at least {SAMPLE_RATE}"
        )
    features = np.empty((len(clips), *shape_of(representation, clips.shape[1])), clips.dtype)
    block = max(1, BLOCK * SAMPLE_RATE // clips.shape[1])
    for start in range(0, len(clips), block):
        features[start : start + block] = front_end(clips[start : start + block])
    return features


def _mfcc_block(clips: np.ndarray) -> np.ndarray:
    from scipy.fft import rfft

    dtype, sample_rate = clips.dtype, clips.shape[1]
    centred = clips - clips.mean(axis=1, keepdims=True)
    centred /= np.maximum(centred.max(axis=1), -centred.min(axis=1))[:, None] + dtype.type(1e-10)
    frame = sample_rate // N_FRAMES
    frames = centred[:, : N_FRAMES * frame].reshape(-1, frame)
    if dtype == np.float32:
        # A constant changes bin 0 alone, which no filter uses; without it a silent frame is silent in float32 too.
        frames -= frames[:, :1].copy()
    magnitude = np.abs(rfft(frames, axis=1)[:, mfcc_bins(sample_rate)])
    energy = magnitude @ mfcc_filters(sample_rate).astype(dtype)
    log_energy = np.log(energy + dtype.type(np.finfo(np.float64).eps))
    coefficients = (log_energy @ dct_matrix().astype(dtype)).reshape(len(clips), N_FRAMES, N_MFCC)
    return np.concatenate([coefficients.mean(axis=1), coefficients.std(axis=1)], axis=1)


def _melgram_block(clips: np.ndarray) -> np.ndarray:
    from scipy.fft import rfft

    dtype, sample_rate = clips.dtype, clips.shape[1]
    frame = sample_rate // N_FRAMES
    padded = np.zeros((len(clips), (N_FRAMES + 1) * frame), dtype)  # centred frames: zeros beyond either end
    padded[:, frame // 2 : frame // 2 + sample_rate] = clips
    frames = padded.reshape(-1, frame)
    frames *= hann(frame).astype(dtype)
    spectrum = rfft(frames, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    filters = mel_filters(sample_rate).astype(dtype)
    mel = np.empty((len(power), N_MELS), dtype)
    for columns, bins in mel_bands(sample_rate):
        np.matmul(power[:, bins], filters[bins, columns], out=mel[:, columns])
    mel = np.maximum(mel, dtype.type(1e-10), out=mel).reshape(len(clips), N_FRAMES + 1, N_MELS)
    mel /= mel.max(axis=(1, 2), keepdims=True)
    decibels = np.log(mel, out=mel)
    decibels *= dtype.type(10 / np.log(10))
    return np.maximum(decibels, dtype.type(-80), out=decibels)


def mfcc_bins(sample_rate: int) -> slice:
    """Return the bins of a frame's spectrum that the filters see: all below half of them but bin 0."""
    return slice(1, sample_rate // N_FRAMES // 2)


@cache
def mfcc_filters(sample_rate: int) -> np.ndarray:
    """Return the 40 triangular filters, shape (bins, 40), for magnitudes |FFT|; the library's 1 / n_bins is in them.

    At 8000 Hz there are 199 bins.
    """
    n_bins = sample_rate // N_FRAMES // 2
    edges = np.empty(42)
    edges[:13] = 133.33 + np.arange(13) * 200 / 3
    edges[13:] = edges[12] * 1.0711703 ** np.arange(1, 30)
    # The library labels bin k with k * fs / n_bins Hz, twice its true frequency. The quirk is part of the definition.
    frequency = np.arange(n_bins) * sample_rate / n_bins
    filters = np.zeros((n_bins, 40))
    for i, (low, centre, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        height = 2 / (high - low)
        first, middle, last = (int(np.floor(f * n_bins / sample_rate)) + 1 for f in (low, centre, high))
        rising, falling = slice(first, middle), slice(middle, last)
        filters[rising, i] = height / (centre - low) * (frequency[rising] - low)
        filters[falling, i] = height / (high - centre) * (high - frequency[falling])
    return filters[mfcc_bins(sample_rate)] / n_bins


@cache
def dct_matrix() -> np.ndarray:
    """Return the first 13 rows of the DCT-II as columns, shape (40, 13), over ln 10: ln in, log10 out."""
    return dct_columns(40, N_MFCC) / np.log(10)


@cache
def mel_bands(sample_rate: int) -> list[tuple[slice, slice]]:
    """Return the filters of each half of the mel scale and the bins they cover: half the arithmetic of one product."""
    bands = []
    for columns in (slice(0, N_MELS // 2), slice(N_MELS // 2, N_MELS)):
        used = np.flatnonzero(mel_filters(sample_rate)[:, columns].any(axis=1))
        bands.append((columns, slice(int(used[0]), int(used[-1]) + 1)))
    return bands


def mel_filters(sample_rate: int) -> np.ndarray:
    """Return the filters of `melgrams`, shape (bins, 128); at 8000 Hz there are 201 bins."""
    return slaney_filters(N_MELS, sample_rate // N_FRAMES, sample_rate)
