"""Songs and groups of them: which of them each sample is of, what they are called, and which part each song is in.

`tracks.npy` says which song a sample is of, `groups.npy` what no split cuts in two. Where there is one of them alone, a
group is a song, unless audio.json says otherwise.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.arrays.dataset import Arrays, numbered
from stages.arrays.npy import ArrayFile, entry_at
from stages.common.files import TABLE, UserError, is_there, open_regular, shown
from stages.common.records import PARTS, UNITS
from stages.common.units import class_of_units, of_units, torn


class Songs(NamedTuple):
    """Songs in order, by name or number, and the place among these of each sample's, shape (n,)."""

    names: Sequence[str | int]
    numbers: np.ndarray


class Units(NamedTuple):
    """What belongs together: no split cuts it in two, and a bootstrap draws it."""

    kind: str  # a key of UNITS
    numbers: np.ndarray | None  # each sample's, shape (n,); None of blocks, which depend on the split
    songs: Songs | None  # if known

    @property
    def songs_apart(self) -> np.ndarray | None:
        """The song of each sample, shape (n,), where songs are known and are not the units."""
        return self.songs.numbers if self.songs and self.kind == "group" else None


def read_units(arrays: Arrays, unit: str, classes: list[str], labels: np.ndarray) -> Units:
    """Return what samples belong together, given any representation's arrays and the class numbers, shape (n,).

    `unit`, "track" or "group", is what groups.npy numbers if there is no tracks.npy. A song in two classes or groups is
    refused.
    """
    if not arrays.tracks:
        known = Songs(*numbered(arrays.groups)) if arrays.groups else None
        return Units(unit, known.numbers, known if unit == "track" else None) if known else Units("block", None, None)
    songs = Songs(*numbered(arrays.tracks))
    check_whole(songs, labels, "classes", classes)
    if arrays.groups:
        names, groups = numbered(arrays.groups)
        check_whole(songs, groups, "groups", names)
        if len(names) < len(songs.names):
            return Units("group", groups, songs)
    return Units("track", songs.numbers, songs)


def check_whole(songs: Songs, column: np.ndarray, what: str, names: Sequence[str | int]) -> None:
    """Check that no song is in two classes, or groups, given each sample's number among these names, shape (n,)."""
    found = torn(songs.numbers, column, len(songs.names))
    if found:
        row, other = found
        one, another = (shown(repr(str(names[number]))) for number in sorted((int(column[row]), other)))
        raise UserError(
            f"tracks.npy: song {shown(songs.names[songs.numbers[row]])} is in the {what} {one} and {another}, expected "
            f"one; correct tracks.npy or {'labels' if what == 'classes' else what}.npy"
        )


def check_apart(folder: Path, units: Units, parts: np.ndarray, files: list[ArrayFile]) -> None:
    """Check that no unit is in two parts of a split that was given; the files are those that number units."""
    found = None if units.numbers is None else torn(units.numbers, parts, int(units.numbers.max()) + 1)
    if found:
        row, other = found
        one, another = (PARTS[number] for number in sorted((int(parts[row]), other)))
        what = UNITS[units.kind]
        raise UserError(
            f"{folder}: {what} {shown(entry_at(files, row))} is in {one} and in {another}, which inflates every score, "
            f"expected it in one part; move its samples or, if each part numbers its {what}s on its own, give them "
            f"other numbers in {another}"
        )


def lines_of_songs(
    dataset: Path, classes: list[str], labels: np.ndarray, parts: np.ndarray, units: Units
) -> Iterable[tuple[str, str, str, int]]:
    """Return each song's name, class, part and number of samples, in order; none if songs are unknown.

    Labels are class numbers and parts places in PARTS, shape (n,) each.
    """
    songs = units.songs
    if songs is None:
        return []
    return zip(
        names_of(dataset, songs.names),
        (classes[number] for number in class_of_units(songs.numbers, labels)),
        (PARTS[number] for number in of_units(songs.numbers, parts, len(songs.names))),
        np.bincount(songs.numbers).tolist(),
        strict=True,
    )


def names_of(dataset: Path, songs: Sequence[str | int]) -> Iterator[str]:
    """Yield the names of songs in order: of a number, the file in that line (from 0) of the data set's tracks.csv."""
    table = dataset / TABLE
    if isinstance(songs, list) or not is_there(table):
        yield from map(str, songs)
        return
    wanted = iter(songs.tolist())
    number = next(wanted)
    try:
        with open_regular(table) as file:
            for line, row in enumerate(csv.DictReader(TextIOWrapper(file, "utf-8", "surrogateescape", newline=""))):
                if line == number:
                    yield row["file"]
                    number = next(wanted, None)
    except (csv.Error, KeyError) as error:
        raise UserError(f"{table}: not a table with the column file ({shown(error)}); correct or remove it") from None
    if number is not None:
        raise UserError(f"{table}: found no line {number}, expected one for each song; correct or remove it")
