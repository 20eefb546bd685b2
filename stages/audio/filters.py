"""What several front ends compute with: windows, filters and cosines, each made once for a sampling rate."""

from functools import cache

import numpy as np


@cache
def hann(frame: int) -> np.ndarray:
    """Return the periodic Hann window, shape (frame,)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)


def bins_of(frame: int, sample_rate: int) -> np.ndarray:
    """Return the frequencies of a frame's spectrum in Hz, shape (frame // 2 + 1,)."""
    return np.arange(frame // 2 + 1) * sample_rate / frame


@cache
def slaney_filters(n_filters: int, frame: int, sample_rate: int) -> np.ndarray:
    """Return Slaney-scale, Slaney-normalised filters up to half the sampling rate, shape (bins, n_filters).

    Source: Slaney, Auditory Toolbox (1998): linear below 1000 Hz, logarithmic above, triangles of equal area.
    """
    log_step = np.log(6.4) / 27
    mel_max = 15 + np.log(sample_rate / 2 / 1000) / log_step  # 1000 Hz is 15 mel
    mels = np.linspace(0, mel_max, n_filters + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(log_step * (mels - 15)))
    frequency = bins_of(frame, sample_rate)
    rising = (frequency[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])


@cache
def dct_columns(n_filters: int, n_coefficients: int) -> np.ndarray:
    """Return the first rows of the orthonormal DCT-II as columns, shape (n_filters, n_coefficients)."""
    from scipy.fft import dct

    return dct(np.eye(n_filters), type=2, norm="ortho", axis=1)[:, :n_coefficients]
