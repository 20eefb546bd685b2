"""The closed form against autograd: one step, thirty epochs, short batches and several chunks."""

import copy

import pytest
import torch
from conftest import samples
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from training.training_loop import SGD, run, train

from stages.models.network import build_network
from stages.training import closed_form
from stages.training.job import Recipe

CHANGES = [
    {},
    {"schedule": "cosine"},
    {"class_weights": "balanced"},
    {"schedule": "cosine", "class_weights": "balanced"},
]


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    n=st.integers(1, 33),
    seed=st.integers(0, 999),
)
def test_one_step_moves_the_weights_along_autograds_gradient(sizes, n, seed):
    inputs, *hidden, n_classes = sizes
    model = build_network("mlp", (inputs,), hidden, n_classes, seed).double()
    x, y = samples(n, (inputs,), n_classes, torch.float64, seed)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    gradients = torch.autograd.grad(cross_entropy(model(x), y), list(model.parameters()))
    closed_form.trainer([model], x, y, Recipe("SGD", {}, 1.0, 1, n))(torch.arange(n)[None])
    for (name, after), gradient in zip(model.named_parameters(), gradients, strict=True):
        torch.testing.assert_close(before[name] - after.detach(), gradient, rtol=0, atol=1e-12)


def test_thirty_epochs_agree_with_autograd():
    by_hand = build_network("mlp", (26,), [128, 32], 4, seed=3)
    by_autograd = copy.deepcopy(by_hand)
    autograd = SGD._replace(optimizer_args={"momentum": 0.0})
    assert closed_form.serves(by_hand, SGD)
    assert not closed_form.serves(by_autograd, autograd)
    ours, our_weights = run(by_hand, SGD)
    theirs, their_weights = run(by_autograd, autograd)
    assert len(ours) == len(theirs) == 30
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.train_loss == pytest.approx(other.train_loss, abs=1e-5)
        assert mine.val_loss == pytest.approx(other.val_loss, abs=1e-5)
    for name, value in our_weights.items():
        torch.testing.assert_close(value, their_weights[name], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", sorted(Recipe._field_defaults.keys() - {"schedule", "class_weights"}))
def test_what_it_does_not_know_is_left_to_autograd(name):
    model = build_network("mlp", (5,), [7], 3, seed=0)
    recipe = Recipe("SGD", {}, 0.05, 2, 16)
    assert closed_form.serves(model, recipe)
    assert not closed_form.serves(model, recipe._replace(**{name: "another"}))


@pytest.mark.parametrize("changes", CHANGES, ids=str)
@pytest.mark.parametrize("networks", [1, 2])
def test_the_last_batch_may_be_short_and_the_chunks_many(networks, changes):
    """85 steps and a short one: more than a chunk of 64."""
    data = [samples(n, (5,), 3, torch.float64, seed=n) for n in (16 * 85 + 3, 30)]
    data[0][1][::3] = 0  # a frequent class
    histories, weights = [], []
    for arguments in ({}, {"momentum": 0.0}):
        models = [build_network("mlp", (5,), [7], 3, seed).double() for seed in range(networks)]
        recipe = Recipe("SGD", arguments, 0.05, 2, 16)._replace(**changes)
        histories.append(train(models, data, recipe, range(networks)))
        weights.append([value for model in models for value in model.state_dict().values()])
        assert closed_form.serves(models[0], recipe) != bool(arguments)
    for mine, other in zip(*histories, strict=True):
        for mine_epoch, other_epoch in zip(mine, other, strict=True):
            assert mine_epoch.model_dump() == pytest.approx(other_epoch.model_dump(), abs=1e-12)
    for mine, other in zip(*weights, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-12)


def test_weights_of_classes_of_one_size_change_nothing():
    data = [(samples(n, (5,), 3)[0], torch.arange(n) % 3) for n in (99, 30)]
    recipes = [SGD._replace(class_weights=each) for each in ("none", "balanced")]
    plain, weighted = (train([build_network("mlp", (5,), [7], 3, 0)], data, recipe, [0]) for recipe in recipes)
    assert plain == weighted
