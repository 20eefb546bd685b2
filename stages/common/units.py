"""Units: samples that belong together, such as the seconds of a track; a split deals them out, a bootstrap draws them.

Conventions: units are numbered from 0, each number occurs, and `units` says whose each sample is, shape (n,). What is
counted are pairs that occur, after sorting: a table of all units and classes, or a mask for each, would outgrow the
samples. What is asked of every sample is asked of so many at once: NumPy counts and looks up in 64 bits whatever it is
given.
"""

from collections.abc import Iterator

import numpy as np

AT_ONCE = 2**19  # samples


def at_once(n: int) -> Iterator[slice]:
    """Yield the pieces of n samples, in order."""
    for start in range(0, n, AT_ONCE):
        yield slice(start, min(start + AT_ONCE, n))


def tally(numbers: np.ndarray, most: int) -> np.ndarray:
    """Return how often each of the numbers below `most` occurs in `numbers`, shape (most,)."""
    total = np.zeros(most, np.int64)
    for some in at_once(len(numbers)):
        np.add.at(total, numbers[some], 1)
    return total


def look_up(table: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the table's entry for each number, shape (n,)."""
    found = np.empty(len(numbers), table.dtype)
    for some in at_once(len(numbers)):
        found[some] = table[numbers[some]]
    return found


def heads_of(*columns: np.ndarray) -> np.ndarray:
    """Return where runs of equal samples begin, ascending; columns have shape (n,). Most are like their neighbours."""
    heads = [np.array([0])]
    for some in at_once(len(columns[0]) - 1):
        changed = np.any([column[1:][some] != column[:-1][some] for column in columns], axis=0)
        heads.append(some.start + 1 + np.flatnonzero(changed))
    return np.concatenate(heads)


def places_in_class(classes: np.ndarray, n_classes: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield pieces of the samples, and behind each how many of its class came before every sample of the piece.

    Args:
        classes: class numbers, shape (n,).
        n_classes: the number of classes.
    """
    before = np.zeros(n_classes, np.int64)
    for some in at_once(len(classes)):
        own = classes[some]
        counts = np.bincount(own, minlength=n_classes)
        place = np.empty(len(own), np.int64)
        place[np.argsort(own, kind="stable")] = np.arange(len(own)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield some, before[own] + place
        before += counts


def members_of(classes: np.ndarray, n_classes: int) -> list[np.ndarray]:
    """Return, for each class, where in `classes` (class numbers, shape (n,)) it stands, ascending."""
    ends = np.cumsum(tally(classes, n_classes))
    firsts = np.concatenate([[0], ends[:-1]])
    members = np.empty(len(classes), np.int32 if len(classes) < 2**31 else np.int64)
    for some, place in places_in_class(classes, n_classes):
        members[firsts[classes[some]] + place] = np.arange(some.start, some.stop)
    return np.split(members, ends[:-1])


def class_of_units(units: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return each unit's most frequent class, of equals the first, shape (units,).

    Args:
        units: the unit of each sample, shape (n,).
        labels: class numbers, shape (n,).
    """
    unit, label, counts = _pairs(units, labels)
    order = np.lexsort((-counts, unit))  # stable: of equals the first class stays in front
    return label[order[np.diff(unit, prepend=-1) > 0]]


def units_of_classes(units: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how many units hold samples of each class, shape (classes,); shapes as above.

    A unit of several classes, say an artist's songs, counts for each of them.
    """
    return np.bincount(_pairs(units, labels)[1])


def _pairs(units: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs of a unit and a class that occur, in order, and how many samples each has."""
    heads, n_classes = heads_of(units, labels), np.int64(labels.max()) + 1
    pairs, number_of_run = np.unique(units[heads] * n_classes + labels[heads], return_inverse=True)
    return *np.divmod(pairs, n_classes), np.bincount(number_of_run, np.diff(heads, append=len(units)))
