"""Units: samples that belong together, such as the seconds of a track; a split deals them out, a bootstrap draws them.

Conventions: units are numbered from 0, each number occurs, and `units` has each sample's, shape (n,). Only pairs that
occur are counted: a table of all units and classes, or a mask for each, would be larger than the samples.
"""

from collections.abc import Iterator

import numpy as np

AT_ONCE = 2**20  # samples: to index by all at once would take 8 bytes for each


def heads_of(*columns: np.ndarray) -> np.ndarray:
    """Return where runs of equal samples begin, ascending; columns have shape (n,). Most equal their neighbours."""
    changed = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return np.concatenate([[0], 1 + np.flatnonzero(changed)])


def slices_of(n: int) -> Iterator[slice]:
    """Yield slices that make up n samples, in order."""
    yield from (slice(start, min(start + AT_ONCE, n)) for start in range(0, n, AT_ONCE))


def of_units(units: np.ndarray, column: np.ndarray, n: int) -> np.ndarray:
    """Return the value in a column, shape (n,), of each of n units' last sample."""
    values = np.zeros(n, column.dtype)
    for some in slices_of(len(units)):
        values[units[some]] = column[some]
    return values


def torn(units: np.ndarray, column: np.ndarray, n: int) -> tuple[int, int] | None:
    """Return a row whose unit, of n, has another value in a column elsewhere, and that value; None if there is none."""
    values = of_units(units, column, n)
    for some in slices_of(len(units)):
        odd = np.flatnonzero(values[units[some]] != column[some])
        if len(odd):
            row = some.start + int(odd[0])
            return row, int(values[units[row]])
    return None


def members_of(classes: np.ndarray, n_classes: int) -> list[np.ndarray]:
    """Return the places of each class in `classes` (class numbers, shape (n,)), ascending."""
    ends = np.cumsum(np.bincount(classes, minlength=n_classes))
    return np.split(np.argsort(classes, kind="stable"), ends[:-1])


def class_of_units(units: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return each unit's most frequent class, shape (units,), given class numbers, shape (n,); ties go to the first."""
    unit, label, counts = _pairs(units, labels)
    order = np.lexsort((-counts, unit))  # stable: of a tie the first class stays in front
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
