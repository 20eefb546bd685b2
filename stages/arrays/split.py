"""Splitting: which samples train, which validate, which test; stratified by label, and no track in two parts."""

import numpy as np

from stages.common.files import UserError, shown
from stages.common.records import BLOCK, PARTS
from stages.common.units import class_of_units, members_of


def part_counts(n: int, split: dict[str, int | float]) -> dict[str, int]:
    """Return how many of n samples each part gets, given the parts' shares in any unit: counts, say, or fractions."""
    return dict(zip(split, _share_out(n, np.array(list(split.values()), float)).tolist(), strict=True))


class TooFewError(ValueError):
    """A class has fewer groups than there are parts: its number, and how many groups count for it."""


def draw_parts(
    n_classes: int, labels: np.ndarray, groups: np.ndarray | None, split: dict[str, int | float], seed: int
) -> np.ndarray:
    """Draw a split stratified by label in which no group is in two parts.

    Whole groups are dealt out class by class (a group counts for its most frequent class); where their sizes do not
    allow the exact shares, each part gets as near to its share as whole groups allow.

    Labels are class numbers, groups each sample's track, numbered from 0, shape (n,) both; without groups each sample
    is its own. Returns the place in PARTS of each sample's part, shape (n,) int8. Raises TooFewError if a class has
    fewer groups than there are parts.
    """
    counts = np.array(list(part_counts(len(labels), split).values()))
    if groups is None:
        class_of_group, size_of_group = labels, np.broadcast_to(1, len(labels))
        sizes = np.bincount(labels, minlength=n_classes)
    else:
        class_of_group, size_of_group = class_of_units(groups, labels), np.bincount(groups)
        sizes = np.bincount(class_of_group, weights=size_of_group, minlength=n_classes).astype(np.int64)

    rng = np.random.default_rng(seed)
    part_of_group = np.empty(len(size_of_group), np.int8)
    groups_of_class = members_of(class_of_group, n_classes)
    for number, (own, targets) in enumerate(zip(groups_of_class, _targets(sizes, counts), strict=True)):
        members = rng.permutation(own)
        if len(members) < len(PARTS):
            raise TooFewError(number, len(members))
        for part, chosen in enumerate(np.split(members, _cuts(size_of_group[members], targets))):
            part_of_group[chosen] = part
    return part_of_group if groups is None else part_of_group[groups]


def shared_group(labels: np.ndarray, groups: np.ndarray, number: int) -> tuple[int, int] | None:
    """Return a row of class `number` whose group counts for another class, and that class, or None if there is none.

    Labels and groups as in `draw_parts`.
    """
    rows = np.flatnonzero(labels == number)
    counts_for = class_of_units(groups, labels)[groups[rows]]
    away = np.flatnonzero(counts_for != number)
    return (int(rows[away[0]]), int(counts_for[away[0]])) if len(away) else None


def rows_of(parts: np.ndarray) -> dict[str, np.ndarray]:
    """Return the rows of each part, ascending, given each sample's as `draw_parts` does."""
    return {name: np.flatnonzero(parts == number) for number, name in enumerate(PARTS)}


def count_parts(parts: np.ndarray, labels: np.ndarray, n_classes: int) -> dict[str, np.ndarray]:
    """Return how many samples of each class each part has, shape (classes,), given both of each sample."""
    kinds, n_kinds = kinds_of(parts, labels, n_classes)
    counts = np.bincount(kinds, minlength=n_kinds)
    return dict(zip(PARTS, counts.reshape(len(PARTS), n_classes), strict=True))


def kinds_of(parts: np.ndarray, labels: np.ndarray, n_classes: int) -> tuple[np.ndarray, int]:
    """Number the pairs of a part and a class, of the smallest type; return each sample's, and how many there are."""
    n_kinds = len(PARTS) * n_classes
    return np.multiply(parts, n_classes, dtype=np.min_scalar_type(-n_kinds)) + labels, n_kinds


def check_classes(dataset: str, classes: list[str], counts: dict[str, np.ndarray]) -> None:
    """Check that there are two classes or more and that each is in every part, given each part's counts, (classes,)."""
    if len(classes) < 2:
        raise UserError(
            f"{dataset}: labels.npy: found one class only ({shown(classes[0])}), expected at least two; add another"
        )
    for part, of_class in counts.items():
        missing = np.flatnonzero(of_class == 0)
        if len(missing):
            raise UserError(
                f"{dataset}: labels.npy: class {shown(classes[missing[0]])} has no sample in the {part} part, expected "
                "every class in every part; add samples of it or drop the class"
            )


def _cuts(sizes: np.ndarray, targets: np.ndarray) -> list[int]:
    """Return after how many groups of these sizes to cut, so that the parts come near to their targets.

    A cut falls after the group whose end is nearest to the target; every part keeps at least one group.
    """
    ends = np.cumsum(sizes)
    first, second = (_nearest(ends, target) + 1 for target in np.cumsum(targets)[:-1])
    first = min(first, len(sizes) - 2)
    return [first, min(max(second, first + 1), len(sizes) - 1)]


def _nearest(ends: np.ndarray, target: int) -> int:
    """Return which of some ends, which ascend, is nearest to a target; ties go to the first."""
    after = min(int(np.searchsorted(ends, target)), len(ends) - 1)
    return after - 1 if after and target - ends[after - 1] <= ends[after] - target else after


def _targets(sizes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Share each class among the parts, shape (classes, parts): rows add up to `sizes`, columns to `counts`."""
    left, columns = sizes.copy(), []
    for count in counts[:-1]:
        columns.append(_share_out(count, left))
        left = left - columns[-1]
    return np.stack([*columns, left], axis=1)


def _share_out(total: int, shares: np.ndarray) -> np.ndarray:
    """Share `total` out in whole numbers by the method of largest remainders; ties go to the first."""
    exact = total * shares / (shares.sum() or 1)
    whole = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(whole - exact, kind="stable")
    whole[order[: total - whole.sum()]] += 1
    return whole


def whole_units(labels: np.ndarray, units: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Draw whole units of at most `most` samples, but at least one of each class; return their rows, ascending.

    Every class gives the same share of its units, as nearly as whole units allow. Labels are class numbers, units are
    numbered from 0, shape (n,) both; some units' numbers may be missing.
    """
    number = (np.cumsum(np.bincount(units) > 0) - 1)[units]
    sizes, rng = np.bincount(number), np.random.default_rng(seed)
    share = np.empty(len(sizes))  # of its class, how many come before a unit
    for members in members_of(class_of_units(number, labels), int(labels.max()) + 1):
        share[rng.permutation(members)] = np.arange(len(members)) / len(members)
    order = np.argsort(share, kind="stable")
    kept = np.zeros(len(sizes), bool)
    kept[order] = (np.cumsum(sizes[order]) <= most) | (share[order] == 0)
    return np.flatnonzero(kept[number])


def blocks_of_neighbours(labels: np.ndarray, parts: np.ndarray | None, n_classes: int) -> np.ndarray:
    """Number the units that a bootstrap resamples where tracks are unknown, shape (n,) int32.

    Seconds of one track are alike, so single samples would make every interval too narrow: 30 neighbouring samples of
    a class are taken for a track. Arrays come track by track, and the usual collections' clips are 30 s long. Labels
    are class numbers, shape (n,); given parts, as `draw_parts` returns them, no block reaches from one into another.
    """
    kinds, n_kinds = (labels, n_classes) if parts is None else kinds_of(parts, labels, n_classes)
    counts = np.bincount(kinds, minlength=n_kinds)
    blocks = -(-counts // BLOCK)
    before, first = ((np.cumsum(each) - each).astype(np.int32) for each in (counts, blocks))
    place = np.arange(len(kinds), dtype=np.int32) - np.repeat(before, counts)
    units = np.empty(len(kinds), np.int32)
    units[np.argsort(kinds, kind="stable")] = np.repeat(first, counts) + place // BLOCK
    return units
