"""Splits that are exact, stratified and never cut a track; what a bootstrap draws."""

import sys
from collections import Counter
from fractions import Fraction
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from memory import runs_within

from stages.arrays import split as split_module
from stages.arrays.split import (
    TooFewError,
    blocks_of_neighbours,
    check_classes,
    count_parts,
    draw_parts,
    part_counts,
    rows_of,
    shared_group,
    whole_units,
)
from stages.common.files import UserError
from stages.common.records import PARTS

HALVES = {"train": 0.6, "val": 0.2, "test": 0.2}


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(12, 60), min_size=2, max_size=5),
    shares=st.tuples(st.integers(2, 6), st.integers(1, 3), st.integers(1, 3)),
    seed=st.integers(0, 99),
)
def test_single_samples_split_exactly_and_alike_in_every_class(sizes, shares, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    split = {part: share / sum(shares) for part, share in zip(PARTS, shares, strict=True)}
    rows = rows_of(draw_parts(len(sizes), labels, None, split, seed))
    np.testing.assert_array_equal(np.sort(np.concatenate(list(rows.values()))), np.arange(len(labels)))
    assert {part: len(r) for part, r in rows.items()} == part_counts(len(labels), split)
    for part in PARTS:  # rounding in train and in val may each move a sample
        in_part = np.bincount(labels[rows[part]], minlength=len(sizes))
        np.testing.assert_allclose(in_part, np.array(sizes) * len(rows[part]) / len(labels), atol=2)


@settings(max_examples=60)
@given(
    group_sizes=st.lists(st.integers(1, 9), min_size=18, max_size=60),
    n_classes=st.integers(2, 4),
    seed=st.integers(0, 99),
)
def test_no_track_stands_in_two_parts(group_sizes, n_classes, seed):
    groups = np.repeat(np.arange(len(group_sizes)), group_sizes)
    labels = groups % n_classes
    parts = draw_parts(n_classes, labels, groups, HALVES, seed)
    rows = rows_of(parts)
    np.testing.assert_array_equal(np.sort(np.concatenate(list(rows.values()))), np.arange(len(labels)))
    tracks = [set(groups[rows[part]]) for part in PARTS]
    assert not (tracks[0] & tracks[1] or tracks[0] & tracks[2] or tracks[1] & tracks[2])
    check_classes("", [str(i) for i in range(n_classes)], count_parts(parts, labels, n_classes))
    for part, share in HALVES.items():  # a boundary errs by half a track at most, in every class
        assert abs(len(rows[part]) - share * len(labels)) <= n_classes * (max(group_sizes) + 1)


def test_the_missions_split_comes_out_exactly_by_track():
    groups = np.repeat(np.arange(672), 8)
    labels = groups // 168
    rows = rows_of(draw_parts(4, labels, groups, {"train": 3200, "val": 800, "test": 1376}, 0))
    assert [len(rows[part]) for part in PARTS] == [3200, 800, 1376]
    assert [np.bincount(labels[rows[part]]).tolist() for part in PARTS] == [[800] * 4, [200] * 4, [344] * 4]
    assert [len(np.unique(groups[rows[part]])) for part in PARTS] == [400, 100, 172]
    drawn = np.concatenate(list(rows.values())).astype("<i8").tobytes()  # for ever the same, and so the demo's results
    assert sha256(drawn).hexdigest() == "bef4effe28e9f172d833c105bf35adee3aafe961266f1667d8f71e073e5b8f2a"


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=20), target=st.integers(0, 60))
def test_a_cut_falls_at_the_nearest_end_of_equals_the_first(sizes, target):
    ends = np.cumsum(sizes)
    assert split_module._nearest(ends, target) == np.abs(ends - target).argmin()


def test_the_seed_draws_the_split():
    labels = np.arange(100) % 2
    first, same, other = (draw_parts(2, labels, None, HALVES, seed).tolist() for seed in (1, 1, 2))
    assert first == same != other


MISSIONS = {"train": 3200, "val": 800, "test": 1376}


@given(n=st.integers(0, 10**9), shares=st.tuples(*[st.integers(1, 10**6)] * 3), scale=st.sampled_from([0.001, 2, 7.5]))
@example(n=5376, shares=(3200, 800, 1376), scale=2)
def test_counts_are_a_proportion(n, shares, scale):
    counts = part_counts(n, dict(zip(PARTS, shares, strict=True)))
    assert sum(counts.values()) == n
    for count, share in zip(counts.values(), shares, strict=True):
        assert abs(count - Fraction(n * share, sum(shares))) < 1 + 1e-6
    assert part_counts(sum(shares), dict(zip(PARTS, shares, strict=True))) == dict(zip(PARTS, shares, strict=True))
    others = part_counts(n, {part: share * scale for part, share in zip(PARTS, shares, strict=True)})
    assert all(abs(others[part] - counts[part]) <= 1 for part in PARTS)  # of a tie, the last bit may decide


def test_the_missions_proportion_of_other_numbers():
    assert part_counts(5376, MISSIONS) == MISSIONS
    assert part_counts(100, MISSIONS) == {"train": 59, "val": 15, "test": 26}
    groups = np.repeat(np.arange(60), 30)
    rows = rows_of(draw_parts(2, groups % 2, groups, MISSIONS, 0))
    assert [len(np.unique(groups[rows[part]])) for part in PARTS] == [36, 8, 16]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("large", PARTS)
def test_every_part_gets_something_of_every_class_however_small_its_share(large):
    labels = np.arange(20) % 2
    split = dict.fromkeys(PARTS, 1) | {large: 10**12}
    counts = count_parts(draw_parts(2, labels, None, split, 0), labels, 2)
    assert {part: own.sum() for part, own in counts.items()} == dict.fromkeys(PARTS, 2) | {large: 16}
    check_classes("mine", ["a", "b"], counts)


def test_classes_must_be_in_every_part():
    counts = {"train": np.array([3, 2]), "val": np.array([2, 0])}
    with pytest.raises(UserError, match=r"^mine: labels.npy: class b has no sample in the val part"):
        check_classes("mine", ["a", "b"], counts)
    with pytest.raises(UserError, match=r"^mine: labels.npy: found one class only"):
        check_classes("mine", ["a"], {})


def test_what_a_bootstrap_resamples():
    labels = np.array([0] * 70 + [1] * 40)
    blocks = [0] * 30 + [1] * 30 + [2] * 10 + [3] * 30 + [4] * 10
    np.testing.assert_array_equal(blocks_of_neighbours(labels, None, 2), blocks)
    mixed = np.random.default_rng(0).permutation(110)  # neighbours are counted class by class
    assert np.bincount(blocks_of_neighbours(labels[mixed], None, 2)).tolist() == [30, 30, 10, 30, 10]
    given = np.repeat(np.arange(3, dtype=np.int8), (50, 30, 30))
    in_parts = blocks_of_neighbours(labels, given, 2)
    assert np.bincount(in_parts).tolist() == [30, 20, 20, 10, 30]
    assert set(in_parts[given == 1]).isdisjoint(in_parts[given == 0])


def test_many_classes_and_parts_in_few_bits(monkeypatch):
    """Nothing overflows, and everything is as it is of 64 bits counted one by one."""
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.arange(128), rng.integers(0, 128, 400)]).astype(np.int8)
    parts = rng.integers(0, 3, len(labels)).astype(np.int8)
    counted = Counter(zip(parts.tolist(), labels.tolist(), strict=True))
    counts = count_parts(parts, labels, 128)
    assert list(counts) == list(PARTS)
    assert [each.tolist() for each in counts.values()] == [[counted[p, c] for c in range(128)] for p in range(3)]
    monkeypatch.setattr(split_module, "BLOCK", 2)
    expected, seen, numbers = [], Counter(), {}
    for kind in zip(parts.tolist(), labels.tolist(), strict=True):
        expected.append((*kind, seen[kind] // 2))
        seen[kind] += 1
    for key in sorted(set(expected)):
        numbers[key] = len(numbers)
    assert blocks_of_neighbours(labels, parts, 128).tolist() == [numbers[key] for key in expected]


@pytest.mark.parametrize(
    ("shares", "counts"),
    [((0.52, 0.28, 0.2), [5, 3, 2]), ((0.55, 0.25, 0.2), [6, 2, 2]), ((0.1, 0.45, 0.45), [1, 5, 4])],
)
def test_what_is_left_over_goes_to_the_largest_remainders_and_of_equals_to_the_first(shares, counts):
    assert list(part_counts(10, dict(zip(PARTS, shares, strict=True))).values()) == counts


def test_a_class_of_too_few_is_refused():
    with pytest.raises(TooFewError) as refusal:
        draw_parts(2, np.array([0] * 9 + [1]), None, HALVES, 0)
    assert refusal.value.args == (1, 1)


def test_a_group_that_counts_for_another_class_is_found():
    labels, groups = np.array([0, 0, 1, 1, 2, 2, 2, 1]), np.array([0, 0, 0, 1, 2, 2, 2, 2])
    assert shared_group(labels, groups, 1) == (2, 0)
    assert shared_group(labels, groups, 0) is shared_group(labels, groups, 2) is None


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=60),
    n_classes=st.integers(2, 4),
    most=st.integers(1, 100),
    seed=st.integers(0, 9),
)
def test_units_are_drawn_whole_the_same_share_of_every_class(sizes, n_classes, most, seed):
    units = np.repeat(np.arange(len(sizes)) * 7 + 5, sizes)
    labels = units % n_classes
    rows = whole_units(labels, units, most, seed)
    drawn = set(units[rows])
    assert rows.tolist() == [i for i, unit in enumerate(units) if unit in drawn]
    in_class = [[unit for unit in set(units) if unit % n_classes == number] for number in set(labels)]
    taken = [sum(unit in drawn for unit in own) for own in in_class]
    assert min(taken) >= 1
    assert len(rows) <= most or max(taken) == 1
    for own, some in zip(in_class, taken, strict=True):  # nobody has more than a unit of lead over the others' share
        assert all((some - 1) / len(own) <= other / len(others) for others, other in zip(in_class, taken, strict=True))
    if len(units) <= most:
        assert len(rows) == len(units)


def test_the_last_class_of_a_small_type_does_not_overflow():
    labels = np.repeat(np.arange(128, dtype=np.int8), 3)
    assert whole_units(labels, np.arange(384) // 3, 384, 0).tolist() == list(range(384))


def test_as_many_units_as_fit_are_drawn_and_the_seed_draws_them():
    units, labels = np.arange(1000) // 10, np.arange(1000) // 10 % 2
    rows = whole_units(labels, units, 305, 0)
    assert len(rows) == 300
    assert np.bincount(labels[rows]).tolist() == [150, 150]
    assert rows.tolist() == whole_units(labels, units, 305, 0).tolist() != whole_units(labels, units, 305, 1).tolist()


MANY = (
    "import numpy as np; from stages.arrays.split import TooFewError, blocks_of_neighbours, draw_parts, whole_units; "
)


@pytest.mark.parametrize(
    ("mib", "call"),
    [
        (24, 'draw_parts(10, labels, tracks, {"train": 0.6, "val": 0.2, "test": 0.2}, 0)'),
        (48, 'draw_parts(10, labels, None, {"train": 0.6, "val": 0.2, "test": 0.2}, 0)'),
        (80, "whole_units(labels, tracks, 10_000, 0)"),
    ],
)
def test_memory_is_a_few_bytes_a_sample(mib, call):
    """Three million samples."""
    runs_within(mib, f"{MANY} tracks = np.arange(3_000_000) // 30; labels = tracks % 10", call)


def test_a_label_for_every_sample_is_refused_before_memory_runs_out():
    work = """
try:
    draw_parts(20_000, np.arange(20_000), None, {"train": 0.6, "val": 0.2, "test": 0.2}, 0)
    raise SystemExit("not refused")
except TooFewError as error:
    assert error.args == (0, 1)
"""
    runs_within(64, MANY, work)


def test_many_tracks_of_many_classes_take_memory_by_their_samples():
    work = """
tracks = np.arange(200_000) // 2
draw_parts(500, tracks % 500, tracks, {"train": 0.6, "val": 0.2, "test": 0.2}, 0)
blocks_of_neighbours(tracks % 500, None, 500)
"""
    runs_within(64, MANY, work)


def test_blocks_are_numbered_in_as_many_steps_however_many_classes_there_are():
    assert lines_run(blocks_of_neighbours, np.arange(900), None, 900) == lines_run(
        blocks_of_neighbours, np.arange(900) % 3, None, 3
    )


def lines_run(function, *arguments):
    """Return how many lines of the module a call goes through."""
    lines = 0

    def trace(frame, event, _):
        nonlocal lines
        lines += event == "line"
        return trace if frame.f_code.co_filename == split_module.__file__ else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*arguments)
    finally:
        sys.settrace(before)
    return lines
