"""Autograd: every optimizer trains as torch says."""

import pytest
import torch
from conftest import samples
from learning.loop import run
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
