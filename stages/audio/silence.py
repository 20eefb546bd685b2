"""Silence: seconds in which there is nothing to judge are no samples of a data set and have no vote on a song.

A second is silent if its level is below -70 dBFS: the absolute gate of ITU-R BS.1770-5 (Algorithms to measure audio
programme loudness and true-peak audio level, annex 1). The level is the plain mean square here, without that standard's
K-weighting, its offset of -0.691 dB and its blocks of 400 ms.
"""

import numpy as np

GATE = 1e-7  # mean square: 10 log10(1e-7) = -70 dBFS
EDGE = 50  # one part in so many at either end, 20 ms: there a resampler rings, up to -56 dBFS, with what is beside it


def is_silent(clips: np.ndarray) -> np.ndarray:
    """Return whether each clip's level, 10 log10(mean square), but for its edges, is below -70 dBFS.

    Args:
        clips: seconds of mono sound, floating point, full scale being 1, shape (n, samples).

    Returns:
        Shape (n,), bool.
    """
    edge = clips.shape[1] // EDGE
    return np.square(clips[:, edge : clips.shape[1] - edge], dtype=np.float64).mean(axis=1) < GATE
