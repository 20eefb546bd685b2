"""Autograd: every optimizer trains as torch says."""

import pytest
import torch
from conftest import samples
from learning.loop import run, train
from torch.nn.functional import cross_entropy

from stages.learning.network import build_network
from stages.learning.recipe import Recipe

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
        total = 0.0
        for rows in torch.randperm(len(y), generator=shuffle).split(16):
            theirs.zero_grad()
            losses = cross_entropy(plain(x[rows]), y[rows], reduction="none")
            (losses * weight[y[rows]]).mean().backward()
            theirs.step()
            total += losses.sum().item()
        assert epoch.train_loss == pytest.approx(total / len(y), abs=1e-12)
        assert epoch.val_loss == pytest.approx(cross_entropy(plain(val[0]), val[1]).item(), abs=1e-12)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=1e-12)
