"""How long batches and chunks are, how the learning rate goes down, what a class weighs."""

from itertools import islice

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from stages.training.job import Recipe, class_weights, decays, lengths


@pytest.mark.parametrize(("n", "size", "found"), [(32, 16, {16}), (37, 16, {16, 5}), (5, 16, {5}), (16, 16, {16})])
def test_the_last_piece_may_be_shorter(n, size, found):
    assert lengths(n, size) == found


def test_the_learning_rate_stays_or_goes_down_as_torchs_own_schedule_stepped_at_every_step():
    recipe = Recipe("SGD", {}, 0.3, 4, 16)
    assert list(islice(decays(recipe, 37), 99)) == [1.0] * 99
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule, expected = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12), []
    for _ in range(12):
        expected.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    found = [recipe.lr * decay for decay in decays(recipe._replace(schedule="cosine"), 37)]
    assert found == pytest.approx(expected, rel=1e-12)


def test_what_is_not_known_is_taken_for_nothing_else():
    recipe = Recipe("SGD", {}, 0.3, 4, 16, schedule="linear", class_weights="rare")
    with pytest.raises(KeyError, match="linear"):
        decays(recipe, 37)
    with pytest.raises(KeyError, match="rare"):
        class_weights(recipe, torch.tensor([0, 1]), 2)


def test_a_class_weighs_what_it_weighs_in_scikit_learn():
    y = np.array([2, 0, 0, 1, 0, 0, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=y)
    recipe = Recipe("SGD", {}, 0.3, 4, 16)
    assert class_weights(recipe, torch.tensor(y), 3) is None
    weights = class_weights(recipe._replace(class_weights="balanced"), torch.tensor(y), 3)
    assert weights.tolist() == pytest.approx(expected.tolist(), rel=1e-15)
    assert weights[y].mean().item() == pytest.approx(1)
