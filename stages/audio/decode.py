"""From sound files to clips of one second at one sampling rate, as the front end wants them.

A file is read, averaged to mono, resampled and cut in blocks: memory stays flat however long it is.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soxr

from stages.common.files import open_regular

if TYPE_CHECKING:
    import soundfile

BLOCK_SECONDS = 4  # a block of stereo at 44.1 kHz stays in the processor's cache
BLOCK_BYTES = 2**22  # at most, whatever the header claims
CLIPS_BYTES = 2**24  # of the clips that are handed on together: a small hop makes many of one block
MIN_RATE, MAX_RATE = 1000, 768_000  # Hz
MAX_CHANNELS = 64
CLAIM = re.compile(r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be ([1-9]\d*)\)", re.MULTILINE)
MORE = re.compile(rb"\xff[\xe0-\xff]|ID3")  # where one frame of an MP3 ends, another one, or another song, begins
UNKNOWN = 2**31 - 2**16  # bytes that a header claims, and more, where whoever wrote it did not know
SHORT_SECONDS = 0.2  # an MP3 that does not say its length may differ by less from the one that follows from its size
LOUDEST = 1e6  # full scale is 1; squares of more than this soon leave float32


class DecodeError(Exception):
    """A sound file that cannot be used; the message says why, without the file's name."""


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


@contextmanager
def open_sound(path: Path) -> Iterator["soundfile.SoundFile"]:
    """Open a sound file.

    Raises:
        DecodeError: if it is no sound file, or its header claims what no sound file has.
        OSError: if it cannot be opened, or is no file but a pipe, say.
    """
    import soundfile

    with open_regular(path) as file:
        try:
            # A descriptor of libsndfile's own: it would call Python again and again to read a Python file, and version
            # 1.2.0 closes even one that it is only lent.
            with soundfile.SoundFile(os.dup(file.fileno())) as sound:
                if not (MIN_RATE <= sound.samplerate <= MAX_RATE and 1 <= sound.channels <= MAX_CHANNELS):
                    raise DecodeError(
                        f"claims {sound.channels} channels at {sound.samplerate} Hz, expected 1 to {MAX_CHANNELS} at "
                        f"{MIN_RATE} to {MAX_RATE} Hz"
                    )
                yield sound
        except soundfile.LibsndfileError as error:
            why = error.error_string.rstrip(".").lower()
            raise DecodeError(f"is no sound that can be decoded ({why})") from None


def read_blocks(sound: "soundfile.SoundFile", sample_rate: int) -> Iterator[np.ndarray]:
    """Read an open sound of any rate and yield it as mono float32 at `sample_rate`, in blocks.

    float32 holds 16 and 24 bits exactly. Where it breaks off or is damaged it ends; `cut_short` says so then.

    Raises:
        DecodeError: if it holds NaN, infinity or what is no sound, or turns out to be silent throughout.
        soundfile.LibsndfileError: if not even its start can be decoded.
    """
    silent = more = True
    stream = soxr.ResampleStream(sound.samplerate, sample_rate, 1, dtype="float32", quality="HQ")
    # What is stored as 16 bits is read as such, eight times faster than as floating point.
    dtype = np.dtype(np.int16 if sound.subtype == "PCM_16" else np.float32)
    frames = min(BLOCK_SECONDS * sound.samplerate, BLOCK_BYTES // (dtype.itemsize * sound.channels))
    buffer = np.empty((frames, sound.channels), dtype)
    while more:
        read, more = _read(sound, buffer)
        samples = _mono(read)
        if len(samples) and not (samples.min() >= -LOUDEST and samples.max() <= LOUDEST):
            raise DecodeError("holds NaN or infinity, or numbers far beyond full scale")
        silent = silent and not samples.any()
        # The stream must know which block is the last; it may be empty.
        yield stream.resample_chunk(samples, last=not more)
    if silent:
        raise DecodeError("is silent throughout")


def _read(sound: "soundfile.SoundFile", buffer: np.ndarray) -> tuple[np.ndarray, bool]:
    """Read the next samples into a buffer, up to what cannot be decoded; return them, and whether more may follow."""
    import soundfile

    before = sound.tell()
    try:
        samples = sound.read(out=buffer)
    except soundfile.LibsndfileError:
        if sound.tell() == 0:
            raise
        return buffer[: max(0, sound.tell() - before)], False
    return samples, len(samples) > 0


def cut_short(sound: "soundfile.SoundFile") -> str:
    """Return where an open sound that has been read ends before its time, "breaks off after 12.3 s of 30.0 s"; or "".

    Of FLAC and MP3 libsndfile believes the header; of WAV and the like it counts what is there, and its log tells what
    the header claims. OGG's does not say. Of an MP3 of no known length it takes the first frame's bit rate for that of
    all, and of several in one file it hears the first.
    """
    seconds, claimed = sound.tell() / sound.samplerate, sound.frames / sound.samplerate
    if (told := CLAIM.search(sound.extra_info)) and int(told[1]) < UNKNOWN:
        claimed *= int(told[1]) / int(told[2])
    if claimed - seconds > SHORT_SECONDS:
        return f"breaks off after {seconds:.1f} s of {claimed:.1f} s"
    if sound.format == "MP3" and MORE.match(os.pread(sound.name, 3, os.lseek(sound.name, 0, os.SEEK_CUR))):
        return f"is longer than the {seconds:.1f} s that its start tells of: no more was read"
    return ""


@contextmanager
def quiet_codecs() -> Iterator[None]:
    """Keep what C libraries print on stderr from the user, as libmpg123 does of broken MP3s, but not what Python does.

    For the whole work of a command, from its main thread: the descriptor is one for all threads.
    """
    if not sys.stderr:
        yield
        return
    stderr, kept = sys.stderr, os.dup(2)
    if stderr is sys.__stderr__:
        sys.stderr = os.fdopen(kept, "w", 1, stderr.encoding, stderr.errors, closefd=False)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = stderr
        os.dup2(kept, 2)
        os.close(kept)


def _mono(samples: np.ndarray) -> np.ndarray:
    """Average the channels of (n, channels) float32 or int16 samples; return (n,) float32 in [-1, 1]."""
    mono = samples[:, 0].astype(np.float32)
    for channel in range(1, samples.shape[1]):  # 30 times faster than mean(axis=1)
        mono += samples[:, channel]
    full_scale = 32768 if samples.dtype == np.int16 else 1
    mono *= np.float32(1 / (full_scale * samples.shape[1]))
    return mono


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
