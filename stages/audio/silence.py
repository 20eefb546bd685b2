"""Silence: seconds in which there is nothing to judge are no samples of a data set and have no vote on a song.

A second is silent if its level is below -70 dBFS: the absolute gate of ITU-R BS.1770-5 (Algorithms to measure audio
programme loudness and true-peak audio level, annex 1). The level is the plain mean square here, without that standard's
K-weighting, its offset of -0.691 dB and its blocks of 400 ms.
"""

import numpy as np

GATE = 1e-7  # mean square: 10 log10(1e-7) = -70 dBFS


def is_silent(clips: np.ndarray) -> np.ndarray:
    """Return whether each clip's level, 10 log10(mean square), is below -70 dBFS; zeros that fill a clip up count.

    Args:
        clips: mono, floating point, full scale being 1, shape (n, samples).

    Returns:
        Shape (n,), bool.
    """
    return np.square(clips, dtype=np.float64).mean(axis=1) < GATE
