"""Units: their classes against counting one by one, where each class stands, and memory that goes by the samples."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from memory import runs_within

from stages.common.units import class_of_units, heads_of, members_of, units_of_classes

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=40)


@given(PAIRS)
def test_runs_begin_where_any_column_changes(pairs):
    first, second = np.array(pairs).T
    expected = [i for i, pair in enumerate(pairs) if i == 0 or pair != pairs[i - 1]]
    assert heads_of(first, second).tolist() == expected


@given(PAIRS)
def test_a_unit_is_of_its_most_frequent_class_of_equals_the_first(pairs):
    units, labels = np.array(pairs).T
    units = np.unique(units, return_inverse=True)[1]
    counted = [Counter(labels[units == unit].tolist()) for unit in range(units.max() + 1)]
    expected = [min(each, key=lambda label, each=each: (-each[label], label)) for each in counted]
    assert class_of_units(units, labels).tolist() == expected


@given(PAIRS)
def test_a_unit_counts_for_every_class_that_it_holds(pairs):
    units, labels = np.array(pairs).T
    expected = [len({unit for unit, each in pairs if each == label}) for label in range(labels.max() + 1)]
    assert units_of_classes(units, labels).tolist() == expected


def test_numbers_of_32_bits_do_not_overflow():
    units, labels = np.array([0, 2**30, 2**30], np.int32), np.array([3, 0, 3], np.int32)
    assert units_of_classes(units, labels).tolist() == [1, 0, 0, 2]


@given(st.lists(st.integers(0, 4), max_size=40))
def test_members_are_where_their_class_stands(classes):
    found = members_of(np.array(classes, np.int64), 6)
    assert [each.tolist() for each in found] == [[i for i, c in enumerate(classes) if c == n] for n in range(6)]


def test_memory_goes_by_the_samples_not_by_units_times_classes():
    runs_within(
        64,
        "import numpy as np; from stages.common.units import *; each = np.arange(20_000)",
        "assert (class_of_units(each, each) == each).all(); assert len(members_of(each, 20_000)) == 20_000; "
        "assert (units_of_classes(each, each) == 1).all()",
    )
