"""Tracks: what one process of `features` does: from some tracks to their samples and what tracks.csv says of them."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from stages.audio.decode import hashing, read_blocks, sound_hash, why_unusable, windows
from stages.audio.ffmpeg import open_sound
from stages.audio.front_end import FRONT_ENDS, shape_of
from stages.audio.recordings import Energies
from stages.audio.silence import is_silent
from stages.common.writing import write_json


class Track(NamedTuple):
    """What is known of a track; `problem` says what is wrong with it, and without a clip it is not in the data set."""

    file: str
    seconds: float
    clips: int
    silent: int  # seconds left out because they are silent
    rate: int
    sound: str  # a hash of what was decoded, the same whatever file holds it
    words: str  # what it is known by in another encoding, or cut: stages/audio/recordings.py; hexadecimal
    problem: str


class Piece(NamedTuple):
    """Some tracks to analyse together, and where to leave what comes of them, whose name is what it is made from."""

    files: list[str]  # below the folder
    folder: Path
    place: Path
    sample_rate: int
    representations: tuple[str, ...]

    def sample_bytes(self, representation: str) -> int:
        """Return how many bytes one sample takes, as float32."""
        return 4 * prod(shape_of(representation, self.sample_rate))

    def done(self) -> Path:
        """Return the file that stands when the piece does: what tracks.csv says of its tracks."""
        return self.place.with_suffix(".json")

    def numbers(self, representation: str) -> Path:
        """Return where a representation's samples are, raw."""
        return self.place.with_suffix(f".{representation}")


def read_header(place: tuple[Path, str]) -> Track:
    """Return what a track's header says about it, given the folder of all and the track's name."""
    folder, name = place
    rate, seconds, problem = 0, 0.0, ""
    try:
        with open_sound(folder / name) as sound:
            rate, seconds = sound.rate, sound.seconds
    except Exception as error:  # one track's error does not stop the others
        problem = why_unusable(error)
    return Track(name, seconds, 0, 0, rate, "", "", problem)


def analyse(piece: Piece) -> list[str]:
    """Write the samples of a piece's tracks, raw, then what is to be said of them; return their files.

    Raises:
        OSError: naming the folder, if they cannot be written.
    """
    use_one_thread()
    try:
        with ExitStack() as stack:
            raw = {name: stack.enter_context(piece.numbers(name).open("wb")) for name in piece.representations}
            tracks = [analyse_track(piece, file, raw) for file in piece.files]
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(piece.place.parent)) from None
    write_json(piece.done(), tracks)
    return piece.files


def analyse_track(piece: Piece, file: str, raw: dict[str, BinaryIO]) -> Track:
    """Add a track's samples to the raw files and return what is known of it."""
    before = {name: out.tell() for name, out in raw.items()}
    clips, silent, samples, rate, problem = 0, 0, 0, 0, ""
    whole, energies = sha256(), Energies(piece.sample_rate)

    def counted(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        nonlocal samples
        for block in blocks:
            samples += len(block)
            yield block

    try:
        with open_sound(piece.folder / file) as sound:
            rate = sound.rate
            blocks = energies.through(counted(hashing(read_blocks(sound.pieces(), piece.sample_rate), whole)))
            for heard in windows(blocks, piece.sample_rate, hop=piece.sample_rate, keep_rest=False):
                kept = ~is_silent(heard)
                write(raw, {name: FRONT_ENDS[name](heard)[kept] for name in raw})
                clips += int(kept.sum())
                silent += int((~kept).sum())
            problem = sound.problem()
    except NotWrittenError as error:  # a full disk is no problem of the track's
        raise error.__cause__ from None
    except Exception as error:  # one track's error does not stop the others
        problem, clips = why_unusable(error), 0
    if not clips:
        problem = problem or ("is silent throughout" if silent else "is shorter than a second")
        for name, out in raw.items():
            out.truncate(before[name])
            out.seek(before[name])
    sound, words = (sound_hash(whole), energies.text()) if clips else ("", "")
    return Track(file, samples / piece.sample_rate, clips, silent, rate, sound, words, problem)


class NotWrittenError(Exception):
    """Samples could not be written."""


def write(raw: dict[str, BinaryIO], samples: dict[str, np.ndarray]) -> None:
    """Add samples to the raw files.

    Raises:
        NotWrittenError: from the OSError that says why.
    """
    try:
        for name, array in samples.items():
            raw[name].write(array.tobytes())
    except OSError as error:
        raise NotWrittenError from error


@cache
def use_one_thread() -> None:
    """Keep linear algebra to one thread in this process, a cluster's worker too: other threads, other last bits."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
