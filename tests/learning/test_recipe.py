"""How long batches and chunks are."""

import pytest

from stages.learning.recipe import lengths


@pytest.mark.parametrize(("n", "size", "found"), [(32, 16, {16}), (37, 16, {16, 5}), (5, 16, {5}), (16, 16, {16})])
def test_the_last_piece_may_be_shorter(n, size, found):
    assert lengths(n, size) == found
