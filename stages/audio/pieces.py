"""Pieces: what FFmpeg decodes, as NumPy arrays of a size that suits a processor's cache."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stages.audio.container import DecodeError

if TYPE_CHECKING:
    from av import AudioFifo, AudioFrame

PIECE_SAMPLES = 2**15  # of all channels together: they stay in the cache
MIN_RATE, MAX_RATE = 1000, 768_000  # Hz
MAX_CHANNELS = 64
SAMPLE_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}

Piece = tuple[Sequence[np.ndarray], int]  # each channel's samples, shape (n,), of the file's own type; their rate in Hz


def check_form(rate: int, channels: int) -> None:
    """Check that there are as many samples a second, and as many channels, as a sound may have."""
    if not (MIN_RATE <= rate <= MAX_RATE and 1 <= channels <= MAX_CHANNELS):
        raise DecodeError(
            f"claims {channels} channels at {rate} Hz, expected 1 to {MAX_CHANNELS} at {MIN_RATE} to {MAX_RATE} Hz"
        )


def piece_samples(rate: int, channels: int) -> int:
    """Return how many samples of each channel are a piece."""
    return min(rate // 2, PIECE_SAMPLES // channels)


def take(queue: "AudioFifo", samples: int) -> Piece:
    """Take so many samples of each channel out of a queue."""
    return as_piece(queue.read(samples))


def as_piece(frame: "AudioFrame") -> Piece:
    """Return a frame's samples, which stay where they are."""
    form, channels = SAMPLE_TYPES[frame.format.packed.name], frame.layout.nb_channels
    planes = frame.planes[:channels]  # of eight, PyAV finds nine
    if frame.format.is_planar:
        return [np.frombuffer(plane, form, frame.samples) for plane in planes], frame.sample_rate
    return np.frombuffer(planes[0], form, frame.samples * channels).reshape(-1, channels).T, frame.sample_rate


def take_all(queue: "AudioFifo", size: int, but: int = 0) -> Iterator[Piece]:
    """Yield what is in a queue, in pieces of a size, but for so many samples at its end."""
    while (left := min(size, queue.samples - but)) > 0:
        yield take(queue, left)
