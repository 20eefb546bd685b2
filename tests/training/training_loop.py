"""What the tests of training share: a recipe, and the loop that runs `fit` to its end."""

import torch
from conftest import samples

from stages.training.job import Recipe
from stages.training.loop import fit
from stages.training.timing import Clock

SGD = Recipe("SGD", {}, 0.05, 30, 16)


def train(models, parts, recipe, seeds, device="cpu"):
    """Return each network's records of all its epochs."""
    epochs = list(
        fit(models, dict(zip(("train", "val"), parts, strict=True)), recipe, seeds, Clock(torch.device(device)))
    )
    return [[epoch for epoch in own if epoch] for own in zip(*epochs, strict=True)] or [[] for _ in models]


def run(model, recipe, seed=0, shape=(26,)):
    """Train one network on 200 samples; return its epochs and its weights."""
    history = train([model], (samples(200, shape), samples(60, shape, seed=1)), recipe, [seed])[0]
    return history, {name: value.clone() for name, value in model.state_dict().items()}
