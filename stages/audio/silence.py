"""Silence: a silent second is not a sample of a data set and has no vote on a song's genre.

A second is silent if its level is below -70 dBFS: the absolute gate of ITU-R BS.1770-5 (Algorithms to measure audio
programme loudness and true-peak audio level, annex 1). The level is the variance here, without that standard's
offset of -0.691 dB, its blocks of 400 ms and its K-weighting, which like it leaves out what is constant.
"""

import numpy as np

GATE = 1e-7  # variance: 10 log10(1e-7) = -70 dBFS
MARGIN = 50  # 1/50 of a clip at each end, 20 ms, where a resampler rings with the neighbouring sound (to -56 dBFS)


def is_silent(clips: np.ndarray) -> np.ndarray:
    """Return whether the level of each clip without its edges, 10 log10(variance), is below -70 dBFS.

    Args:
        clips: seconds of mono sound, floating point, full scale being 1, shape (n, samples).

    Returns:
        Shape (n,), bool.
    """
    edge = clips.shape[1] // MARGIN
    return clips[:, edge : clips.shape[1] - edge].var(axis=1, dtype=np.float64) < GATE
