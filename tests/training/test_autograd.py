"""Autograd: every optimizer trains as torch says."""

import copy

import pytest
import torch
from conftest import samples
from torch.nn.functional import cross_entropy
from training.training_loop import run, train

from stages.models.network import build_network
from stages.training.autograd import draw_masks
from stages.training.job import Recipe

OPTIMIZERS = ("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop")


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_other_optimizers_train_as_torch_says(optimizer, schedule):
    """Against a plain loop over the same batches, with torch's own optimizer in its default form, and its schedule."""
    recipe = Recipe(optimizer, {}, 0.01, 2, 16, schedule)
    model, plain = (build_network("mlp", (26,), [16], 4, seed=1) for _ in range(2))
    _, weights = run(model, recipe, seed=5)
    x, y = samples(200)
    theirs = getattr(torch.optim, optimizer)(plain.parameters(), lr=0.01)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, T_max=2 * 13)
    shuffle = torch.Generator().manual_seed(5)
    for _ in range(2):
        for rows in torch.randperm(200, generator=shuffle).split(16):
            theirs.zero_grad()
            cross_entropy(plain(x[rows]), y[rows]).backward()
            theirs.step()
            if schedule == "cosine":
                cosine.step()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(weights[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_a_rare_class_weighs_as_much_as_a_frequent_one(network):
    """Against a plain loop over the same batches; the losses told are without weights."""
    recipe = Recipe("SGD", {"momentum": 0.9}, 0.01, 2, 16, class_weights="balanced")
    model, plain = (build_network(network, (16, 16), [9], 3, seed=1).double() for _ in range(2))
    (x, y), val = (samples(n, (16, 16), 3, torch.float64) for n in (75, 30))
    y[: len(y) // 2] = 0
    epochs = train([model], [(x, y), val], recipe, [5])[0]
    weight = torch.tensor([len(y) / (3 * (y == number).sum().item()) for number in range(3)], dtype=torch.float64)
    theirs = torch.optim.SGD(plain.parameters(), lr=0.01, momentum=0.9)
    shuffle = torch.Generator().manual_seed(5)
    for epoch in epochs:
        plain.train()
        total = 0.0
        for rows in torch.randperm(len(y), generator=shuffle).split(16):
            theirs.zero_grad()
            losses = cross_entropy(plain(x[rows]), y[rows], reduction="none")
            (losses * weight[y[rows]]).mean().backward()
            theirs.step()
            total += losses.sum().item()
        plain.eval()
        assert epoch.train_loss == pytest.approx(total / len(y), abs=1e-12)
        assert epoch.val_loss == pytest.approx(cross_entropy(plain(val[0]), val[1]).item(), abs=1e-12)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=1e-12)


SHAPES = {"mlp": (26,), "cnn": (16, 16)}


@pytest.mark.parametrize("network", SHAPES)
def test_dropout_leaves_units_out_of_a_step_and_of_no_answer(network):
    """Against a plain loop over the same batches and masks, and torch's own functions."""
    shape, recipe = SHAPES[network], Recipe("SGD", {"momentum": 0.9}, 0.01, 2, 16, dropout=0.4)
    model, plain = (build_network(network, shape, [9, 7], 3, seed=1).double() for _ in range(2))
    data = [samples(n, shape, 3, torch.float64, n) for n in (75, 30)]
    epochs = train([model], data, recipe, [5])[0]
    (x, y), (val_x, val_y) = data
    *features, last = plain
    theirs = torch.optim.SGD(plain.parameters(), lr=0.01, momentum=0.9)
    shuffle, draws = torch.Generator().manual_seed(5), torch.Generator().manual_seed(-6)
    units = {"mlp": (9, 7), "cnn": (2 * 64 * 1,)}[network]
    for epoch in epochs:
        plain.train()
        for rows in torch.randperm(len(y), generator=shuffle).split(16):
            kept = torch.empty(len(rows), sum(units)).bernoulli_(0.6, generator=draws)
            masks, hidden = list(kept.split(units, dim=1)), x[rows]
            for layer in features:
                hidden = layer(hidden)
                if isinstance(layer, torch.nn.ReLU) and network == "mlp":
                    hidden = hidden * masks.pop(0) / 0.6
            hidden = hidden * masks.pop(0) / 0.6 if network == "cnn" else hidden
            assert masks == []
            theirs.zero_grad()
            cross_entropy(last(hidden), y[rows]).backward()
            theirs.step()
        plain.eval()
        assert epoch.val_loss == pytest.approx(cross_entropy(plain(val_x), val_y).item(), abs=1e-12)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=1e-12)


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_label_smoothing_is_of_the_gradient_alone(weights):
    """Against a plain loop whose targets are shares; the losses told are against the classes."""
    recipe = Recipe("SGD", {}, 0.05, 2, 16, class_weights=weights, label_smoothing=0.3)
    model, plain = (build_network("mlp", (26,), [9], 3, seed=1).double() for _ in range(2))
    (x, y), val = (samples(n, (26,), 3, torch.float64) for n in (75, 30))
    y[: len(y) // 2] = 0
    epochs = train([model], [(x, y), val], recipe, [5])[0]
    weight = torch.tensor([len(y) / (3 * (y == number).sum().item()) for number in range(3)], dtype=torch.float64)
    targets = (0.7 * torch.eye(3)[y] + 0.3 / 3).double() * (weight if weights == "balanced" else 1)
    theirs, shuffle = torch.optim.SGD(plain.parameters(), lr=0.05), torch.Generator().manual_seed(5)
    for epoch in epochs:
        total = 0.0
        for rows in torch.randperm(len(y), generator=shuffle).split(16):
            theirs.zero_grad()
            told = torch.log_softmax(plain(x[rows]), dim=1)
            (-(targets[rows] * told).sum() / len(rows)).backward()
            theirs.step()
            total -= told.gather(1, y[rows, None]).sum().item()
        assert epoch.train_loss == pytest.approx(total / len(y), abs=1e-7)
        assert epoch.val_loss == pytest.approx(cross_entropy(plain(val[0]), val[1]).item(), abs=1e-7)


def test_a_mask_is_zero_as_often_as_it_should_be_and_one_on_average():
    masks = draw_masks(torch.zeros(1000, 1000), 0.25, torch.Generator().manual_seed(0))
    assert masks.unique().tolist() == [0, pytest.approx(1 / 0.75)]
    five_deviations = 5 * (0.25 * 0.75 / masks.numel()) ** 0.5
    assert (masks == 0).double().mean().item() == pytest.approx(0.25, abs=five_deviations)


CHANCE = {"dropout": 0.5, "input_noise": 0.5, "mixup": 0.4, "spec_augment": {"bands": 8, "frames": 0}}


@pytest.mark.parametrize("kind", CHANCE)
def test_chance_is_the_runs_own_whoever_trains_beside_it(kind):
    recipe = Recipe("Adam", {}, 0.01, 3, 16)._replace(**{kind: CHANCE[kind]})
    shape = (2, 13) if kind == "spec_augment" else (26,)
    data = samples(75, shape), samples(30, shape, seed=1)
    alone = [build_network("mlp", shape, [9, 7], 4, seed) for seed in (3, 4)]
    together = copy.deepcopy(alone)
    histories = train(together, data, recipe, [3, 4])
    for seed, network, other, history in zip((3, 4), alone, together, histories, strict=True):
        torch.manual_seed(99)
        for mine, theirs in zip(train([network], data, recipe, [seed])[0], history, strict=True):
            assert mine.model_dump() == pytest.approx(theirs.model_dump(), abs=1e-5)
        for name, value in network.state_dict().items():  # products round by where their numbers lie in memory
            torch.testing.assert_close(value, other.state_dict()[name], rtol=0, atol=1e-5)
