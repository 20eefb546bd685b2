"""Silence: a silent second is not a sample of a data set and has no vote on a song's genre.

A second is silent if its level is below -70 dBFS: the absolute gate of ITU-R BS.1770-5 (Algorithms to measure audio
programme loudness and true-peak audio level, annex 1). The level is the plain mean square here, without that standard's
K-weighting, its offset of -0.691 dB and its blocks of 400 ms.
"""

import numpy as np

GATE = 1e-7  # mean square: 10 log10(1e-7) = -70 dBFS
MARGIN = (
    50  # the first and last 1/50 of a clip, 20 ms, where a resampler rings with the neighbouring sound (to -56 dBFS)
)


def is_silent(clips: np.ndarray) -> np.ndarray:
    """Return whether the level of each clip without its edges, 10 log10(mean square), is below -70 dBFS.

    Args:
        clips: seconds of mono sound, floating point, full scale being 1, shape (n, samples).

    Returns:
        Shape (n,), bool.
    """
    edge = clips.shape[1] // MARGIN
    return np.square(clips[:, edge : clips.shape[1] - edge], dtype=np.float64).mean(axis=1) < GATE
