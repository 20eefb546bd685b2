"""From sound at any sampling rate to clips of one second, as the front end wants them."""

import numpy as np
import soxr

from stages.audio.features import SAMPLE_RATE


def to_clips(sound: np.ndarray, rate: int) -> np.ndarray:
    """Resample a mono sound to 8000 Hz and cut it into seconds; a last piece shorter than a second is dropped.

    Args:
        sound: floating-point samples in [-1, 1], shape (samples,).
        rate: their sampling rate in Hz.

    Returns:
        Shape (n, 8000), dtype of `sound`.
    """
    resampled = soxr.resample(sound, rate, SAMPLE_RATE, quality="HQ")
    n = len(resampled) // SAMPLE_RATE
    return resampled[: n * SAMPLE_RATE].reshape(n, SAMPLE_RATE)
