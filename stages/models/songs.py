"""Songs: what a model says of whole songs, from what it says of their seconds: verdicts, scores, a table.

The table has the mistakes first, then the right verdicts; within each, the surest come first.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.common.files import read_csv
from stages.common.results import Tracks
from stages.common.units import class_of_units
from stages.common.writing import write_csv
from stages.models.scoring import count, scores, verdicts

MOST_MISTAKES = 10  # that a page shows


class Songs(NamedTuple):
    """Songs and a model's verdicts on them, a row for each song."""

    numbers: np.ndarray  # which song, ascending, shape (songs,)
    actual: np.ndarray  # class numbers, shape (songs,)
    probabilities: np.ndarray  # shape (songs, classes)
    seconds: np.ndarray  # how many were taken for each class, shape (songs, classes)


class Verdict(NamedTuple):
    """A song by name, in a table."""

    song: str
    actual: str  # its class
    verdict: str
    probability: float  # of the verdict
    seconds: list[int]  # taken for each class


def judge_songs(probabilities: np.ndarray, actual: np.ndarray, songs: np.ndarray) -> Songs:
    """Return the verdicts on songs, given each second's probabilities, shape (n, classes), class and song, shape (n,).

    A song is of one class; some songs' numbers may be missing.
    """
    numbers, song = np.unique(songs, return_inverse=True)
    shape = (len(numbers), probabilities.shape[1])
    taken_for = song * shape[1] + probabilities.argmax(axis=1)
    seconds = np.bincount(taken_for, minlength=shape[0] * shape[1]).reshape(shape)
    return Songs(numbers, class_of_units(song, actual), verdicts(probabilities, song), seconds)


def score_songs(actual: np.ndarray, predicted: np.ndarray, n_classes: int) -> Tracks:
    """Return accuracy and macro F1 of songs, and how many there are, given their class numbers, shape (songs,)."""
    scored = scores(count(actual, predicted, n_classes))
    return Tracks(accuracy=scored["accuracy"], f1_macro=scored["f1_macro"], tracks=len(actual))


def score_votes(actual: np.ndarray, predicted: np.ndarray, songs: np.ndarray, n_classes: int) -> Tracks:
    """Return the scores of songs for models without probabilities: a song is what most of its seconds are.

    Ties go to the first class. Class numbers and songs are each second's, shape (n,); songs' numbers may be missing.
    """
    song = np.unique(songs, return_inverse=True)[1]
    return score_songs(class_of_units(song, actual), class_of_units(song, predicted), n_classes)


def verdicts_by_name(songs: Songs, classes: list[str], names: Mapping[int, str]) -> Iterator[Verdict]:
    """Yield the songs as the table has them, given the classes' names and the songs' by number."""
    predicted, probability = songs.probabilities.argmax(axis=1), songs.probabilities.max(axis=1)
    for row in np.lexsort((-probability, predicted == songs.actual)):
        name, sure = names[int(songs.numbers[row])], round(float(probability[row]), 4)
        yield Verdict(name, classes[songs.actual[row]], classes[predicted[row]], sure, songs.seconds[row].tolist())


def columns(classes: list[str]) -> dict[str, Callable[[str], Any]]:
    """Return the columns of a table on disk, with the function that converts each one's text."""
    return {"song": str, "class": str, "verdict": str, "probability": float} | {
        f"seconds: {name}": int for name in classes
    }


def write_verdicts(path: Path, classes: list[str], table: Iterable[Verdict]) -> None:
    """Write a table."""
    write_csv(path, list(columns(classes)), ((*each[:-1], *each.seconds) for each in table))


def read_verdicts(path: Path, classes: list[str]) -> Iterator[Verdict]:
    """Yield the lines of a table."""
    for song, actual, verdict, probability, *seconds in read_csv(path, columns(classes)):
        yield Verdict(song, actual, verdict, probability, seconds)


def surest_mistakes(table: Iterable[Verdict]) -> list[Verdict]:
    """Return the surest mistakes of a table, at most MOST_MISTAKES, the surest first."""
    return list(islice(takewhile(lambda each: each.verdict != each.actual, table), MOST_MISTAKES))
