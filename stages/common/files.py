"""Files: where the stages leave them, how they are read, and errors that people can fix."""

import csv
import hashlib
import json
import os
import stat
from collections.abc import Callable, Collection, Iterator
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

FEW = 10  # entries of a list that the data make long, in a line
TEMPORARY = Path("data/tmp")  # songs worked out so far, and the lock; git does not see it
AUDIO = Path("data/audio")  # songs, as people put them there
FEATURES = Path("data/features")
TABLE = "tracks.csv"  # of songs: in data/audio what people say about them, in data/features what was found in them too
SOUND = "audio.json"  # of a data set
RECORDINGS = "recordings.json"  # in data/features: what each sound, by its hash, is known again by
PREPARED = Path("data/prepared")
DESCRIPTION = PREPARED / "dataset.json"
SONGS = Path("data/songs.csv")  # each song and its part
BASELINES = Path("data/baselines.json")
SNAPSHOTS = Path("data/snapshots")
MODEL = Path("data/model")
VERDICTS = Path("data/verdicts")  # on the test set's songs
METRICS = Path("metrics")
SELECTED = METRICS / "select.json"
EVALUATED = METRICS / "evaluate.json"
SCORES = METRICS / "scores"
COMPARED = METRICS / "compare.json"
CONFUSION = METRICS / "confusion"
CURVES = METRICS / "curves"
F1, MODELS, RELIABILITY, SECONDS = (
    METRICS / "plots" / f"{name}.json" for name in ("f1", "models", "reliability", "seconds")
)


def tensors_path(representation: str) -> Path:
    """Return where a representation's prepared tensors are."""
    return PREPARED / f"{representation}.safetensors"


def history_path(device: str) -> Path:
    """Return where the epochs of a device's runs are recorded."""
    return SNAPSHOTS / device / "history.json"


def snapshot_path(device: str, representation: str, run: int, epoch: int) -> Path:
    """Return where the weights after an epoch are; runs and epochs count from 0."""
    return SNAPSHOTS / device / representation / f"run_{run:02}" / f"epoch_{epoch:02}.safetensors"


def timing_path(device: str) -> Path:
    """Return where a device's times are recorded."""
    return METRICS / f"train_{device}.json"


def weights_path(representation: str) -> Path:
    """Return where a chosen model's weights are."""
    return MODEL / f"{representation}.safetensors"


def card_path(representation: str) -> Path:
    """Return where a chosen model's card is."""
    return MODEL / f"{representation}.json"


class UserError(Exception):
    """Something the user can fix; its message names the file or key, what was found, what was expected, what to do.

    Any function of this program that reads files, parameters or arguments may raise it; running.py prints it.
    """


def mixed(path: Path) -> str:
    """Return the message for a file that was made from other inputs than the files beside it."""
    return (
        f"{path}: was made from other data or parameters than the rest, as an interrupted run can leave it; run "
        "`dvc repro`"
    )


KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "disk",
}


def kind(path: Path) -> str | None:
    """Return what is at `path`, links followed: "file", "folder", "pipe", ...; None if nothing; OSError in a circle."""
    try:
        return KINDS[stat.S_IFMT(path.stat().st_mode)]
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_there(path: Path) -> bool:
    """Return whether anything is at `path`, even a broken link; OSError if its folder cannot be read."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; OSError if `path` is, or links to, anything else: a pipe or a device may never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for somebody to write
    found = KINDS[stat.S_IFMT(os.fstat(descriptor).st_mode)]
    if found != "file":
        os.close(descriptor)
        raise OSError(None, f"found a {found}, expected a file", str(path))
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path) -> bytes:
    """Read a file of an earlier stage; OSError as `open_regular`."""
    try:
        with open_regular(path) as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: not found; `dvc repro` makes it") from None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """Read JSON."""
    try:
        return json.loads(read_bytes(path), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); remove it and run `dvc repro`") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def read_csv(path: Path, columns: dict[str, Callable[[str], Any]]) -> Iterator[list]:
    """Yield the rows of a CSV that has these columns, given the function that converts each one's text."""
    try:
        with open_regular(path) as file:
            rows = csv.reader(TextIOWrapper(file, "utf-8", "surrogateescape", newline=""), strict=True)
            head = next(rows, [])
            if head != list(columns):
                raise ValueError(f"found the columns {few_of(head)}, expected {few_of(columns)}")
            for row in rows:
                yield [make(cell) for make, cell in zip(columns.values(), row, strict=True)]
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: not found; `dvc repro` makes it") from None
    except (ValueError, KeyError, OverflowError, csv.Error) as error:
        raise UserError(f"{path}: not a valid table ({shown(error)}); remove it and run `dvc repro`") from None


def shown(content: Any, most: int = 200) -> str:
    """Return something as one line of text, of at most so many characters; unprintable ones are escaped."""
    text = str(content)
    line = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text[: most + 1])
    return line if len(line) <= most else f"{line[: most - 1]}…"


def few_of(entries: Collection, between: str = ", ", most: int = FEW) -> str:
    """Return entries as one line, each as `shown` formats it; of many, the first ones and how many more there are."""
    more = [f"and {len(entries) - most} more"] if len(entries) > most else []
    return between.join([*(shown(each, 400) for each in islice(entries, most)), *more])
