"""Splitting: which samples train, which validate, which test; stratified by label, and no track in two parts."""

import numpy as np

from stages.learning.units import class_of_units, members_of
from stages.records import PARTS

BLOCK = 30  # neighbouring samples of a class that are taken for one track where tracks are unknown
MOST_SAMPLES = 10_000  # baselines learn from, and judge: a support vector machine's time grows with their product


def part_counts(n: int, split: dict[str, int | float]) -> dict[str, int]:
    """Return how many of n samples each part gets that has so large a share, in any unit: counts, say, or fractions."""
    return dict(zip(split, _share_out(n, np.array(list(split.values()), float)).tolist(), strict=True))


def split_rows(
    classes: list[str], labels: np.ndarray, groups: np.ndarray | None, split: dict[str, int | float], seed: int
) -> dict[str, np.ndarray]:
    """Draw a split stratified by label in which no group stands in two parts.

    Whole groups are dealt out class by class (a group counts for its most frequent class); where their sizes do not
    allow the exact shares, each part ends as near to its share as whole groups allow.

    Args:
        classes: the classes' names.
        labels: class numbers, shape (n,).
        groups: the track of each sample, numbered from 0, shape (n,), or None: each sample is its own group.
        split: the shares of train, val and test, in any unit.
        seed: draws the split.

    Returns:
        The rows of each part, ascending.

    Raises:
        ValueError: if a class has too few groups for three parts.
    """
    counts = np.array(list(part_counts(len(labels), split).values()))
    class_of_group = labels if groups is None else class_of_units(groups, labels)
    size_of_group = np.ones(len(labels), np.int64) if groups is None else np.bincount(groups)

    rng = np.random.default_rng(seed)
    part_of_group = np.empty(len(size_of_group), np.int8)
    sizes = np.bincount(class_of_group, weights=size_of_group, minlength=len(classes)).astype(np.int64)
    groups_of_class = members_of(class_of_group, len(classes))
    for number, (own, targets) in enumerate(zip(groups_of_class, _targets(sizes, counts), strict=True)):
        members = rng.permutation(own)
        if len(members) < len(PARTS):
            unit = "samples" if groups is None else "tracks"
            raise ValueError(
                f"class {classes[number]} has {len(members)} {unit}, expected {len(PARTS)} or more, one for each part"
            )
        for part, chosen in enumerate(np.split(members, _cuts(size_of_group[members], targets))):
            part_of_group[chosen] = part
    part_of_row = part_of_group if groups is None else part_of_group[groups]
    return {name: np.flatnonzero(part_of_row == part) for part, name in enumerate(PARTS)}


def _cuts(sizes: np.ndarray, targets: np.ndarray) -> list[int]:
    """Return behind how many groups of these sizes to cut, so that the parts come near to their targets.

    A cut falls behind the group whose end is nearest to the target; every part keeps at least one group.
    """
    ends = np.cumsum(sizes)
    first, second = (int(np.abs(ends - target).argmin()) + 1 for target in np.cumsum(targets)[:-1])
    first = min(first, len(sizes) - 2)
    return [first, min(max(second, first + 1), len(sizes) - 1)]


def _targets(sizes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Share each class among the parts, shape (classes, parts): rows add up to `sizes`, columns to `counts`."""
    left, columns = sizes.copy(), []
    for count in counts[:-1]:
        columns.append(_share_out(count, left))
        left = left - columns[-1]
    return np.stack([*columns, left], axis=1)


def _share_out(total: int, shares: np.ndarray) -> np.ndarray:
    """Share `total` out in whole numbers by the method of largest remainders; the first wins a tie."""
    exact = total * shares / (shares.sum() or 1)
    whole = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(whole - exact, kind="stable")
    whole[order[: total - whole.sum()]] += 1
    return whole


def whole_units(labels: np.ndarray, units: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Draw whole units of at most so many samples, but one of each class at least; return their rows, ascending.

    Every class gives the same share of its units, as near as whole units allow.

    Args:
        labels: class numbers, shape (n,).
        units: the unit of each sample, numbered from 0, shape (n,); some numbers may be missing.
        most: how many samples to draw if there are more.
        seed: draws the units.
    """
    number = (np.cumsum(np.bincount(units) > 0) - 1)[units]
    sizes, rng = np.bincount(number), np.random.default_rng(seed)
    share = np.empty(len(sizes))  # of its class, how many come before a unit
    for members in members_of(class_of_units(number, labels), labels.max() + 1):
        share[rng.permutation(members)] = np.arange(len(members)) / len(members)
    order = np.argsort(share, kind="stable")
    kept = np.zeros(len(sizes), bool)
    kept[order] = (np.cumsum(sizes[order]) <= most) | (share[order] == 0)
    return np.flatnonzero(kept[number])


def resampling_units(
    labels: np.ndarray, groups: np.ndarray | None, given_parts: dict[str, np.ndarray] | None
) -> np.ndarray:
    """Number the units that a bootstrap resamples, shape (n,): tracks, or blocks of 30 neighbouring samples of a class.

    Seconds of one track are alike, so single samples would make every interval too narrow. Arrays come track by track,
    and 30 s is how long the clips of the usual collections are.

    Args:
        labels: class numbers, shape (n,).
        groups: the track of each sample, numbered from 0, shape (n,), or None.
        given_parts: rows of each part if the data set came split: no block reaches from one part into another.
    """
    if groups is not None:
        return groups
    units, used = np.empty(len(labels), np.int64), 0
    for rows in (given_parts or {"all": np.arange(len(labels))}).values():
        sizes = np.bincount(labels[rows])
        blocks = -(-sizes // BLOCK)
        first_row, first_block = np.cumsum(sizes) - sizes, np.cumsum(blocks) - blocks  # of each class
        place = np.arange(len(rows)) - np.repeat(first_row, sizes)  # among the samples of its class
        units[rows[np.argsort(labels[rows], kind="stable")]] = used + np.repeat(first_block, sizes) + place // BLOCK
        used += blocks.sum()
    return units
