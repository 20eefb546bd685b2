"""From audio files to clips of one second at one sampling rate, as the front end wants them.

A file is read, averaged to mono, resampled and cut in blocks: memory stays flat however long it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import soxr

from stages.audio.container import DecodeError
from stages.audio.pieces import Piece

if TYPE_CHECKING:
    from hashlib import _Hash

BLOCK_SECONDS = 4  # of a sound that are analysed together
CLIPS_BYTES = 2**24  # of the clips that are handed on together: a small hop makes many of one block
LOUDEST = 1e6  # the root mean square of some moments; full scale is 1, and squares of more soon leave float32
# Of the types of samples that are integers: full scale, and where zero is.
SCALES = {np.dtype("u1"): (2**7, 2**7)} | {np.dtype(f"i{n}"): (2 ** (8 * n - 1), 0) for n in (2, 4, 8)}
CANCELLED = 0.1  # of the energy that unrelated channels would leave in their mean; encoders leave less in low sounds
LOW = 1400  # Hz; at a low bit rate an encoder gives what is higher to both channels alike


def why_unusable(error: Exception) -> str:
    """Return why a file cannot be used, whatever went wrong, without its name."""
    if isinstance(error, DecodeError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"cannot be used ({type(error).__name__}: {error})"


def to_clips(sound: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """Resample a mono sound and cut it into seconds; a last piece shorter than a second is dropped.

    Args:
        sound: floating-point samples in [-1, 1], shape (samples,).
        rate: their sampling rate in Hz.
        sample_rate: the clips' sampling rate in Hz.

    Returns:
        Shape (n, sample_rate), dtype of `sound`.
    """
    resampled = soxr.resample(sound, rate, sample_rate, quality="HQ")
    n = len(resampled) // sample_rate
    return resampled[: n * sample_rate].reshape(n, sample_rate)


def read_blocks(pieces: Iterable[Piece], sample_rate: int) -> Iterator[np.ndarray]:
    """Yield a sound as mono float32 at `sample_rate`, in blocks of any length.

    float32 holds 16 and 24 bits exactly.

    Args:
        pieces: each channel's samples, integers or floating point in [-1, 1], of BLOCK_SECONDS at most, and their rate
            in Hz.
        sample_rate: the blocks' sampling rate in Hz.

    Raises:
        DecodeError: if it holds NaN, infinity or what is no sound, is silent throughout, or its channels cancel out.
    """
    stream, rate, n = None, 0, 0
    room, held = np.empty(0, np.float32), 0  # what is to be resampled: much at once is faster
    before = unrelated = after = 0.0  # energy of a channel, of a mean of as many unrelated ones, and of their mean
    low = np.zeros(2)  # the latter two, of low sounds
    try:
        for number, (samples, own) in enumerate(pieces):
            if own != rate:
                if stream:
                    yield stream.resample_chunk(room[:held], last=True)
                stream, rate = soxr.ResampleStream(own, sample_rate, 1, dtype="float32", quality="HQ"), own
                room, held = np.empty(BLOCK_SECONDS * rate, np.float32), 0
            elif held + len(samples[0]) > len(room):
                yield stream.resample_chunk(room[:held])
                held = 0
            mono = room[held : held + len(samples[0])]
            energy, channels = _average(samples, mono)
            left = _energy(mono)
            if not left <= LOUDEST**2 * len(mono):
                raise DecodeError("holds NaN or infinity, or numbers far beyond full scale")
            held, n = held + len(mono), n + len(mono)
            before, unrelated, after = before + energy, unrelated + energy / len(channels), after + left
            if number % 8 == 0:  # enough to tell, and faster
                low += _low_energies(channels, max(1, own // LOW))
        if stream:  # it must know what is the last
            yield stream.resample_chunk(room[:held], last=True)
    finally:
        del stream  # else an error keeps it, and soxr complains of it when the program ends
    _check_energies(before / max(n, 1), unrelated / max(n, 1), after / max(n, 1), low)


def hashing(blocks: Iterable[np.ndarray], into: "_Hash") -> Iterator[np.ndarray]:
    """Yield the blocks of a sound, and add them to a hash: another tag or lossless format changes nothing there."""
    for block in blocks:
        into.update(block)
        yield block


def sound_hash(whole: "_Hash") -> str:
    """Return the hash of a sound as tables have it."""
    return whole.hexdigest()[:32]


def _average(samples: Sequence[np.ndarray], mono: np.ndarray) -> tuple[float, Sequence[np.ndarray]]:
    """Average the channels of a piece into `mono`, shape (n,), float32 in [-1, 1].

    Returns:
        The channels' mean energy, and the channels as float32, as large as they are.
    """
    full_scale, middle = SCALES.get(samples[0].dtype, (1, 0))
    with np.errstate(over="ignore"):  # infinity is refused later
        if middle:
            samples = [channel.astype(np.float32) - middle for channel in samples]
        if isinstance(samples, np.ndarray):  # side by side in memory, where they are fastest taken together
            channels = samples.astype(np.float32)
            energy = _energy(channels.ravel("K"))
            np.matmul(np.ones(len(channels), np.float32), channels, out=mono)
        else:
            channels = [np.ascontiguousarray(channel, np.float32) for channel in samples]
            energy = sum(map(_energy, channels))
            mono[:] = sum(channels[1:], channels[0])
        mono *= np.float32(1 / (full_scale * len(channels)))
    return energy / (full_scale**2 * len(channels)), channels


def _energy(sound: np.ndarray) -> float:
    return float(sound @ sound)


def _low_energies(channels: list[np.ndarray], length: int) -> tuple[float, float]:
    """Return the energy of a mean of unrelated channels and that of the mean, of sums of so many neighbours."""
    n = len(channels[0]) // length
    sums = [channel[: n * length].reshape(n, length) @ np.ones(length, np.float32) for channel in channels]
    return sum(map(_energy, sums)) / len(sums) ** 2, _energy(sum(sums) / len(sums))


def _check_energies(before: float, unrelated: float, after: float, low: np.ndarray) -> None:
    if not before:
        raise DecodeError("is silent throughout")
    if after < CANCELLED * unrelated or (after < unrelated and low[1] < CANCELLED * low[0]):
        told = [f"{10 * np.log10(energy):.0f} dB" if energy else "nothing" for energy in (before, after)]
        raise DecodeError(
            f"has channels that cancel each other out: {told[0]} before they are averaged, {told[1]} after"
        )


def windows(blocks: Iterable[np.ndarray], sample_rate: int, hop: int, keep_rest: bool = True) -> Iterator[np.ndarray]:
    """Cut a sound that comes in blocks into clips of a second that start every `hop` samples.

    What is left at the end is a clip too if it is half a second or longer and was not heard in the clip before; zeros
    fill it up. With `keep_rest` false it is dropped.

    Args:
        blocks: one sound in pieces of any length.
        sample_rate: its sampling rate in Hz.
        hop: samples from one clip's start to the next one's.
        keep_rest: whether the rest at the end may be a clip.

    Yields:
        Clips, shape (n, sample_rate), dtype of the blocks.
    """
    at_once = max(1, CLIPS_BYTES // (4 * sample_rate))
    left = np.zeros(0, np.float32)
    heard = 0  # samples at the start of `left` that have been in a clip already
    skip = 0  # samples to come before the next clip starts
    for block in blocks:
        left = np.concatenate([left, block])
        left, skip = left[skip:], max(0, skip - len(left))
        n = (len(left) - sample_rate) // hop + 1
        if n > 0:
            clips = np.lib.stride_tricks.sliding_window_view(left, sample_rate)[::hop][:n]
            for start in range(0, n, at_once):
                yield clips[start : start + at_once].copy()
            left, skip, heard = left[n * hop :], max(0, n * hop - len(left)), max(0, sample_rate - hop)
    if keep_rest and len(left) >= sample_rate // 2 and len(left) > heard:
        yield np.pad(left, (0, sample_rate - len(left)))[None]
