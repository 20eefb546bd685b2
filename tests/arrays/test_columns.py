"""Columns: checked and standardized as NumPy does it with all samples at once, whatever the blocks."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stages.arrays.npy
from stages.arrays import columns
from stages.arrays.columns import Columns, survey, tiles
from stages.arrays.npy import ArrayFile
from stages.common.files import UserError


def saved(folder, *arrays, block=2**26):
    """Return arrays as files that are read so many bytes at once."""
    files = []
    for i, array in enumerate(arrays):
        np.save(folder / f"{i}.npy", array)
        with patch.object(stages.arrays.npy, "BLOCK", block):
            files.append(ArrayFile(folder / f"{i}.npy"))
    return files


def with_all_at_once(train):
    """Return mean and deviation as NumPy gives them."""
    mean, std = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    return mean, np.where((train == train[0]).all(axis=0), 1, std)


@settings(max_examples=150)
@given(
    n=st.integers(3, 300),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    kind=st.sampled_from(["<f4", ">f8", "<f2", "i1", ">i4", "<u8"]),
    order=st.sampled_from("CF"),
    block=st.integers(1, 5000),
    tile=st.integers(1, 2000),
    share=st.floats(0.01, 1),
    files=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_mean_and_deviation_are_those_of_the_training_samples(
    tmp_path_factory, n, shape, kind, order, block, tile, share, files, seed
):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, *shape)) * rng.uniform(1, 30, shape) + 50
    X[..., 0] = 50.3  # constant
    X = np.asarray(X, kind, order=order)
    train = rng.uniform(size=n) <= share
    train[-1] |= not train.any()
    pieces = saved(tmp_path_factory.mktemp("columns"), *np.array_split(X, files), block=block)
    with patch.object(columns, "TILE", tile):
        mean, std = survey(pieces, train)
    expected, deviation = with_all_at_once(X[train].astype(np.float64))
    np.testing.assert_allclose(mean, expected, rtol=1e-13)
    np.testing.assert_allclose(std, deviation, rtol=1e-11)
    assert (std[..., 0] == 1).all()
    for mine, theirs in ((mean, expected), (std, deviation)):  # another block may change the last bit of float64 ...
        np.testing.assert_array_max_ulp(mine.astype(np.float32), theirs.astype(np.float32), 1)


@pytest.mark.parametrize("shape", [(2000, 26), (700, 21, 128), (5000, 2)])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16])
def test_one_block_gives_numpys_very_numbers(tmp_path, shape, kind):
    rng = np.random.default_rng(1)
    X = (rng.standard_normal(shape) * 9 + 4).astype(kind)
    train = rng.uniform(size=len(X)) < 0.6
    with patch.object(columns, "TILE", 2**18):
        found = survey(saved(tmp_path, X), train)
    for mine, theirs in zip(found, with_all_at_once(X[train]), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_deviations_far_from_zero_survive_the_merging():
    """The shortcut, mean of squares less square of mean, would keep four digits."""
    X = np.random.default_rng(0).standard_normal((1000, 3)) + 1e6
    whole = Columns((3,))
    for first in range(0, 1000, 7):
        block = X[first : first + 7]
        whole.add(block, np.arange(len(block)))
    np.testing.assert_allclose(whole.standardization()[1], X.std(axis=0), rtol=1e-9)


def test_constant_columns_keep_their_scale():
    train = np.array([[1.0, 5.0, 0.1, 0.0], [3.0, 5.0, 0.1, -0.0]])
    whole = Columns((4,))
    for row in train:
        whole.add(row[None], np.array([0]))
    whole.add(train, np.array([], int))
    mean, std = whole.standardization()
    np.testing.assert_allclose(mean, [2, 5, 0.1, 0])
    np.testing.assert_array_equal(std, [1, 1, 1, 1])
    for found, expected in zip(Columns((2,)).standardization(), ([0, 0], [1, 1]), strict=True):
        np.testing.assert_array_equal(found, expected)  # of no samples


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300, -1e39])
@pytest.mark.parametrize("block", [1, 64 * 10, 2**26])
def test_samples_that_float32_cannot_hold_are_counted_and_the_first_is_named(tmp_path, bad, block):
    X = np.random.default_rng(0).standard_normal((120, 6))
    for rows, says in (([5], "1 of 120 samples .first: sample 5."), ([119, 40, 41], "3 of 120 .*: sample 40.")):
        spoilt = X.copy()
        spoilt[rows, 2:4] = bad
        says = f"found NaN, infinity or numbers beyond float32 in {says}, expected finite numbers"
        for arrays in ([spoilt], [X, spoilt, X]):
            with pytest.raises(UserError, match=says) as refusal:
                survey(saved(tmp_path, *arrays, block=block), np.arange(360) < 3)
            assert str(refusal.value).startswith(f"{tmp_path / str(len(arrays) // 2)}.npy: ")


def test_the_largest_numbers_that_float32_holds_are_good(tmp_path):
    most = np.finfo(np.float32).max
    X = np.array([[most, -most], [0, 0]], np.float64)
    np.testing.assert_array_equal(survey(saved(tmp_path, X), np.array([False, True]))[0], [0, 0])
    for beyond in (np.nextafter(X, np.inf), np.nextafter(X, -np.inf)):
        with pytest.raises(UserError, match="beyond float32"):
            survey(saved(tmp_path, beyond), np.array([False, True]))


def test_rows_in_tiles():
    rows = np.array([0, 3, 4, 9])
    with patch.object(columns, "TILE", 8 * 6):
        assert [(start, some.tolist()) for start, some in tiles(rows, 2)] == [(0, [0, 3, 4]), (3, [9])]
        assert [start for start, _ in tiles(rows, 100)] == [0, 1, 2, 3]
