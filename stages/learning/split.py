"""Splitting: which samples train, which validate, which test; stratified by label, and no track in two parts."""

import numpy as np

from stages.records import PARTS

BLOCK = 30  # neighbouring samples of a class that are taken for one track where tracks are unknown


def part_counts(n: int, split: dict[str, int | float]) -> dict[str, int]:
    """Return how many of n samples each part gets, from counts or fractions.

    Raises:
        ValueError: if counts do not add up to n.
    """
    if all(isinstance(value, int) for value in split.values()):
        total = sum(split.values())
        if total != n:
            raise ValueError(f"found {' + '.join(map(str, split.values()))} = {total}, expected {n}")
        return dict(split)
    return dict(zip(split, _share_out(n, np.array(list(split.values()))).tolist(), strict=True))


def split_rows(
    classes: list[str], labels: np.ndarray, groups: np.ndarray | None, split: dict[str, int | float], seed: int
) -> dict[str, np.ndarray]:
    """Draw a split stratified by label in which no group stands in two parts.

    Whole groups are dealt out class by class (a group counts for its most frequent class); where their sizes do not
    allow the exact counts, each part ends as near to its count as whole groups allow.

    Args:
        classes: the classes' names.
        labels: class numbers, shape (n,).
        groups: the track of each sample, shape (n,), or None: each sample is its own group.
        split: counts or fractions of train, val and test.
        seed: draws the split.

    Returns:
        The rows of each part, ascending.

    Raises:
        ValueError: if counts do not add up, or a class has too few groups for three parts.
    """
    counts = np.array(list(part_counts(len(labels), split).values()))
    group_of_row = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_classes = len(classes)
    table = np.zeros((group_of_row.max() + 1, n_classes), np.int64)
    np.add.at(table, (group_of_row, labels), 1)
    class_of_group, size_of_group = table.argmax(axis=1), table.sum(axis=1)

    rng = np.random.default_rng(seed)
    part_of_group = np.empty(len(table), np.int64)
    sizes = np.bincount(class_of_group, weights=size_of_group, minlength=n_classes).astype(np.int64)
    for number, targets in enumerate(_targets(sizes, counts)):
        members = rng.permutation(np.flatnonzero(class_of_group == number))
        if len(members) < len(PARTS):
            unit = "samples" if groups is None else "tracks"
            raise ValueError(
                f"class {classes[number]} has {len(members)} {unit}, expected {len(PARTS)} or more, one for each part"
            )
        for part, chosen in enumerate(np.split(members, _cuts(size_of_group[members], targets))):
            part_of_group[chosen] = part
    part_of_row = part_of_group[group_of_row]
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
        columns.append(_share_out(count, left / left.sum()))
        left = left - columns[-1]
    return np.stack([*columns, left], axis=1)


def _share_out(total: int, shares: np.ndarray) -> np.ndarray:
    """Share `total` out in whole numbers by the method of largest remainders; the first wins a tie."""
    exact = total * shares / shares.sum()
    whole = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(whole - exact, kind="stable")
    whole[order[: total - whole.sum()]] += 1
    return whole


def resampling_units(
    labels: np.ndarray, groups: np.ndarray | None, given_parts: dict[str, np.ndarray] | None
) -> np.ndarray:
    """Number the units that a bootstrap resamples, shape (n,): tracks, or blocks of 30 neighbouring samples of a class.

    Seconds of one track are alike, so single samples would make every interval too narrow. Arrays come track by track,
    and 30 s is how long the clips of the usual collections are.

    Args:
        labels: class numbers, shape (n,).
        groups: the track of each sample, shape (n,), or None.
        given_parts: rows of each part if the data set came split: no block reaches from one part into another.
    """
    if groups is not None:
        return np.unique(groups, return_inverse=True)[1].astype(np.int64)
    units, used = np.empty(len(labels), np.int64), 0
    for rows in (given_parts or {"all": np.arange(len(labels))}).values():
        for number in np.unique(labels):
            members = rows[labels[rows] == number]
            units[members] = used + np.arange(len(members)) // BLOCK
            used += -(-len(members) // BLOCK)
    return units
