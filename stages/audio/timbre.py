"""Timbre: what separates genres of real music where MFCC statistics do not, about 100 numbers a second.

Conventions are those of stages/audio/front_end.py. There are two kinds of frames, without padding, each multiplied by a
periodic Hann window: 39 short ones (50 ms, every 25 ms) and nine long ones (200 ms, every 100 ms). The columns at
22,050 Hz, for which this is meant, in their order:

- 20: means over the short frames of MFCCs (40 Slaney filters up to half the rate, dB, orthonormal DCT-II);
- 60: modulation, how fast each of these 20 moves: ln of its power at about 1 to 3, 4 to 8, and above 8 Hz;
- 7: octave-based spectral contrast of the long frames, dB, after Jiang et al., Music Type Classification by Spectral
  Contrast Feature (ICME 2002); 5 at 8000 Hz, 6 at 16,000 Hz;
- 1: spectral flatness of the long frames, ln;
- 12: means, then deviations, over the short frames of centroid, bandwidth and rolloff (Hz), flatness (ln),
  zero-crossing rate and level (dB): Peeters, A large set of audio features for sound description (2004).
"""

from functools import cache
from itertools import pairwise

import numpy as np

from stages.audio.filters import bins_of, dct_columns, hann, slaney_filters

N_COEFFICIENTS = 20
N_FILTERS = 40
N_SHORT = 39  # frames of a clip
SPEEDS = (slice(1, 4), slice(4, 9), slice(9, None))  # bins of the 39 frames' spectrum: bin k is about k Hz
ROLLOFF = 0.85
RUN = 24  # bins
TAIL = 0.05  # of a band's bins: the strongest and the weakest
SOFT = 1e-10  # what a power counts for at least
LEAST = 1e-30  # what amplitudes add up to at least, where they are divided by


def n_columns(sample_rate: int) -> int:
    """Return how many numbers describe a clip of a sampling rate."""
    return N_COEFFICIENTS * (1 + len(SPEEDS)) + len(contrast_bands(sample_rate)) + 1 + 2 * 6


def timbre_block(clips: np.ndarray) -> np.ndarray:
    """Return the timbre of clips, shape (n, sample_rate), as (n, n_columns)."""
    from scipy.fft import rfft

    (n, sample_rate), dtype = clips.shape, clips.dtype
    frame, hop = short_frame(sample_rate), sample_rate // 40
    short = frames_of(clips, frame, hop)
    amplitude = np.abs(rfft(short * hann(frame).astype(dtype), axis=2))
    power = amplitude**2
    mel = np.maximum(power @ slaney_filters(N_FILTERS, frame, sample_rate).astype(dtype), dtype.type(SOFT))
    coefficients = (10 * np.log10(mel)) @ dct_columns(N_FILTERS, N_COEFFICIENTS).astype(dtype)
    long = frames_of(clips, sample_rate // 5, sample_rate // 10)
    spectrum = np.abs(rfft(long * hann(long.shape[2]).astype(dtype), axis=2))
    shape = np.stack([*spectral_shape(amplitude, sample_rate), flatness(power), *waveform(clips, frame, hop)], axis=1)
    return np.concatenate(
        [
            coefficients.mean(axis=1),
            modulation(coefficients).reshape(n, -1),
            contrast(spectrum, sample_rate),
            flatness(spectrum**2).mean(axis=1, keepdims=True),
            shape.mean(axis=2),
            shape.std(axis=2),
        ],
        axis=1,
    )


def frames_of(clips: np.ndarray, length: int, hop: int) -> np.ndarray:
    """Return a view of the whole frames of clips, shape (n, frames, length)."""
    return np.lib.stride_tricks.sliding_window_view(clips, length, axis=1)[:, ::hop]


def short_frame(sample_rate: int) -> int:
    """Return the samples of a short frame. With a hop of sample_rate // 40 there are 39 at any rate."""
    return round(sample_rate / 20)


def modulation(coefficients: np.ndarray) -> np.ndarray:
    """Return how much each coefficient moves slowly, faster and fast: (n, frames, 20) to (n, speeds, 20)."""
    from scipy.fft import rfft

    series = coefficients - coefficients.mean(axis=1, keepdims=True)
    power = np.abs(rfft(series, axis=1)) ** 2 / series.shape[1]
    return np.stack([np.log(power[:, bins].sum(axis=1) + power.dtype.type(1e-3)) for bins in SPEEDS], axis=1)


def contrast(spectrum: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the strongest against the weakest amplitudes of each band in dB: (n, frames, bins) to (n, bands)."""
    bands = contrast_bands(sample_rate)
    low, high = np.empty((2, *spectrum.shape[:2], len(bands)), spectrum.dtype)
    for number, (first, last) in enumerate(bands):
        k = tail(first, last)
        band = np.sort(spectrum[:, :, first:last], axis=2)  # several times faster than to partition at two places
        band[:, :, :k].mean(axis=2, out=low[:, :, number])
        band[:, :, -k:].mean(axis=2, out=high[:, :, number])
    soft = spectrum.dtype.type(1e-5)
    return (20 * np.log10((high + soft) / (low + soft))).mean(axis=1)


def tail(first: int, last: int) -> int:
    """Return how many bins of a band count as its strongest, and as its weakest."""
    return max(1, round(TAIL * (last - first)))


def flatness(power: np.ndarray) -> np.ndarray:
    """Return ln of the geometric over the arithmetic mean of each frame's powers, without bin 0."""
    soft, n = power.dtype.type(SOFT), power.shape[2] - 1
    share = np.append(0, np.full(n, 1 / n)).astype(power.dtype)  # a product with it is a mean, in half the time
    logarithms = power + soft
    return np.log(logarithms, out=logarithms) @ share - np.log(power @ share + soft)


def spectral_shape(amplitude: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return centroid, bandwidth and rolloff of each frame in Hz, shape (n, frames) each; of a silent frame 0."""
    frequency = bins_of(short_frame(sample_rate), sample_rate).astype(amplitude.dtype)
    total, moment = np.moveaxis(amplitude @ np.stack([np.ones_like(frequency), frequency], axis=1), 2, 0)
    total = np.maximum(total, amplitude.dtype.type(LEAST))
    centroid = moment / total
    away = frequency - centroid[..., None]
    spread = np.einsum("...i,...i", amplitude, np.square(away, out=away))
    return centroid, np.sqrt(spread / total), frequency[rolloff(amplitude)]


def rolloff(amplitude: np.ndarray) -> np.ndarray:
    """Return the first bin of each frame up to which ROLLOFF of all its amplitudes lie, shape (n, frames).

    First by runs of bins, then inside the one: to add up all bins, one after the other, takes twice the time.
    """
    n_bins = amplitude.shape[2]
    starts = np.arange(0, n_bins, RUN)
    ends = np.cumsum(np.add.reduceat(amplitude, starts, axis=2), axis=2)
    enough = amplitude.dtype.type(ROLLOFF) * ends[:, :, -1:]
    run = (ends < enough).sum(axis=2, keepdims=True)
    bins = RUN * run + np.arange(RUN - 1)  # without the last, at the latest behind all others
    before = np.where(run > 0, np.take_along_axis(ends, np.maximum(run, 1) - 1, axis=2), 0)
    inside = np.cumsum(np.take_along_axis(amplitude, np.minimum(bins, n_bins - 1), axis=2), axis=2)
    return bins[:, :, 0] + (before + inside < enough).sum(axis=2)


def waveform(clips: np.ndarray, frame: int, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """Return zero-crossing rate and level in dB of each frame: (n, samples) to (n, frames) each."""
    negative, frames = np.signbit(clips), frames_of(clips, frame, hop)
    crossings = frames_of(negative[:, 1:] != negative[:, :-1], frame - 1, hop).sum(axis=2, dtype=np.uint16)
    square = np.einsum("...i,...i", frames, frames)
    return crossings / clips.dtype.type(frame - 1), 10 * np.log10(square / frame + clips.dtype.type(SOFT))


@cache
def contrast_bands(sample_rate: int) -> list[tuple[int, int]]:
    """Return the first bin of each band of a long frame, and the one behind its last.

    The bands' edges are 200 Hz and its doubles, as far as they lie below 0.8 of half the rate.
    """
    edges = [200.0]
    while 2 * edges[-1] < 0.8 * sample_rate / 2:
        edges.append(2 * edges[-1])
    frequency = bins_of(sample_rate // 5, sample_rate)
    places = [1, *np.searchsorted(frequency, edges).tolist(), len(frequency)]
    return list(pairwise(places))
