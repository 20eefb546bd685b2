"""From sound files to clips of one second at 8000 Hz, as the front end wants them.

A file is read, averaged to mono, resampled and cut in blocks: memory stays flat however long it is.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soxr

from stages.audio.features import SAMPLE_RATE

SUFFIXES = (".flac", ".mp3", ".ogg", ".wav")
BLOCK_SECONDS = 30


class DecodeError(Exception):
    """A sound file that cannot be used; the message says why, without the file's name."""


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


def read_blocks(path: Path) -> Iterator[np.ndarray]:
    """Read a WAV, FLAC, OGG or MP3 file of any rate and yield it as mono float64 at 8000 Hz, some 30 s at a time.

    Raises:
        DecodeError: if it is no sound file, holds NaN or infinity, or turns out to be silent throughout.
        OSError: if it cannot be opened.
    """
    import soundfile

    with path.open("rb") as file:
        try:
            with soundfile.SoundFile(file) as sound:
                silent = True
                stream = soxr.ResampleStream(sound.samplerate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
                while True:
                    # float32 holds 16 and 24 bits exactly, and takes half the time until the front end's float64.
                    samples = _mono(sound.read(BLOCK_SECONDS * sound.samplerate, dtype="float32", always_2d=True))
                    if not np.isfinite(samples.sum()):
                        raise DecodeError("holds NaN or infinity")
                    silent = silent and not samples.any()
                    # The stream wants to be told of the last block, which may be empty.
                    yield stream.resample_chunk(samples, last=len(samples) == 0).astype(np.float64)
                    if len(samples) == 0:
                        break
                if silent:
                    raise DecodeError("is silent throughout")
        except soundfile.LibsndfileError as error:
            reason = error.error_string.rstrip(".").lower()
            raise DecodeError(f"is no WAV, FLAC, OGG or MP3 that can be decoded ({reason})") from None


def _mono(samples: np.ndarray) -> np.ndarray:
    if samples.shape[1] == 2:
        return (samples[:, 0] + samples[:, 1]) * 0.5  # 30 times faster than mean(axis=1)
    return samples.mean(axis=1)


def windows(blocks: Iterable[np.ndarray], hop: int, keep_rest: bool = True) -> Iterator[np.ndarray]:
    """Cut a sound that comes in blocks into clips that start every `hop` samples.

    What is left at the end is a clip too if it is half a second or longer and was not heard in the clip before; zeros
    fill it up. With `keep_rest` false it is dropped.

    Args:
        blocks: one sound at 8000 Hz in pieces of any length.
        hop: samples from one clip's start to the next one's.
        keep_rest: whether the rest at the end may be a clip.

    Yields:
        Clips, shape (n, 8000).
    """
    left, heard = np.zeros(0), 0  # `heard` samples at the start of `left` have been in a clip already
    for block in blocks:
        left = np.concatenate([left, block])
        n = (len(left) - SAMPLE_RATE) // hop + 1
        if n > 0:
            yield np.lib.stride_tricks.sliding_window_view(left, SAMPLE_RATE)[::hop][:n].copy()
            left, heard = left[n * hop :], max(0, SAMPLE_RATE - hop)
    if keep_rest and len(left) >= SAMPLE_RATE // 2 and len(left) > heard:
        yield np.pad(left, (0, SAMPLE_RATE - len(left)))[None]
