"""Columns: the numbers of samples that come block by block, checked; their mean and deviation, column by column.

Within a block the deviations are from the block's mean; blocks are merged as Chan, Golub and LeVeque do ("Updating
formulae and a pairwise algorithm for computing sample variances", 1979, formulas 2.1). All in float64.
"""

from collections.abc import Iterator

import numpy as np

from stages.arrays.npy import ArrayFile
from stages.common.files import UserError

TILE = 4 * 2**20  # bytes of float64 that are computed with at once; one row at least


def survey(X: list[ArrayFile], train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Check every number of a representation, in one pass; return the training set's `Columns.standardization`.

    Each file continues the one before it; `train`, shape (n,), says which of all samples are in the training set.
    """
    columns, before = Columns(X[0].shape[1:]), 0
    for file in X:
        bad, first_bad = 0, None
        for first, block in file.blocks():
            with np.errstate(invalid="ignore"):
                ends = np.array([block.min(), block.max()])  # where there is a NaN, it is both
            if _fits(ends).all():
                columns.add(block, np.flatnonzero(train[before + first : before + first + len(block)]))
            else:
                wrong = np.flatnonzero(~_fits(block).reshape(len(block), -1).all(axis=1))
                first_bad = first + wrong[0] if first_bad is None else first_bad
                bad += len(wrong)
        if bad:
            raise UserError(
                f"{file.path}: found NaN, infinity or numbers beyond float32 in {bad} of {len(file)} samples "
                f"(first: sample {first_bad}), expected finite numbers; fix or drop those samples"
            )
        before += len(file)
    return columns.standardization()


def _fits(X: np.ndarray) -> np.ndarray:
    """Return which numbers float32 can hold; comparing with NaN gives false."""
    return np.abs(X) <= np.finfo(np.float32).max


def tiles(rows: np.ndarray, numbers: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield rows of so many numbers each, as many at once as TILE holds, after the number of rows before them."""
    height = max(1, TILE // (8 * numbers))
    for start in range(0, len(rows), height):
        yield start, rows[start : start + height]


class Columns:
    """Mean, deviation and constancy of the columns of samples of a shape, which come block by block."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        """Start without any sample."""
        self.n, self.mean, self.squares = 0, np.zeros(shape), np.zeros(shape)  # squares: of deviations from the mean
        self.sample: np.ndarray | None = None  # the first, and in which columns any other differs from it
        self.varies = np.zeros(shape, bool)

    def add(self, block: np.ndarray, rows: np.ndarray) -> None:
        """Take in rows of a block, which has shape (any, ...)."""
        if not len(rows):
            return
        mean = self._sum(block, rows) / len(rows)
        squares = self._sum(block, rows, mean)
        delta, n = mean - self.mean, self.n + len(rows)
        self.mean += delta * (len(rows) / n)
        self.squares += squares + delta**2 * (self.n * len(rows) / n)
        self.n = n

    def _sum(self, block: np.ndarray, rows: np.ndarray, mean: np.ndarray | None = None) -> np.ndarray:
        """Return the sum of the rows, or, given their mean, of the squares of what they deviate from it.

        Tile by tile, with the sum so far in front: rows are added one by one, as NumPy does with all of them at once.
        """
        total = np.zeros_like(self.mean)
        for _, some in tiles(rows, total.size):
            tile = block[some].astype(np.float64)
            if mean is None:
                self.sample = tile[0] if self.sample is None else self.sample
                self.varies |= (tile != self.sample).any(axis=0)
            else:
                np.square(np.subtract(tile, mean, out=tile), out=tile)
            total = np.concatenate([total[None], tile]).sum(axis=0)
        return total

    def standardization(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation, float64; of no samples 0 and 1.

        A constant column has nothing to scale: its deviation is given as 1.
        """
        return self.mean, np.where(self.varies, np.sqrt(self.squares / max(1, self.n)), 1)
