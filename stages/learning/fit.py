"""Training: one loop over epochs, which serves the closed form and autograd, the CPU and the GPU.

Conventions: x is (n, ...) float32, y is (n,) class numbers; losses are means over samples of the cross-entropy in nats,
whatever the weights of the classes: those are for the gradient alone, so that losses can be compared.
The order of the batches is drawn on the CPU from the run's seed, so every device sees the same batches.
"""

from collections.abc import Callable, Iterator
from math import isfinite

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from stages.learning import autograd, closed_form
from stages.learning.network import samples_at_once
from stages.learning.recipe import Recipe
from stages.learning.scoring import count, scores
from stages.learning.timing import Clock
from stages.records import Epoch

Part = tuple[torch.Tensor, torch.Tensor]  # x and y


def fit(
    models: list[nn.Sequential], parts: dict[str, Part], recipe: Recipe, seeds: list[int], clock: Clock
) -> Iterator[list[Epoch | None]]:
    """Train networks of one shape side by side, in place, each on batches drawn from its own seed.

    Args:
        models: the networks, on the clock's device.
        parts: "train" and "val", on that device too.
        recipe: how to train.
        seeds: of each network's batches and dropout.
        clock: adds up the seconds of warm-up, training and validation.

    Yields:
        After each epoch a record of it for each network; None for a network that has diverged: its loss is not finite.
        The iteration ends early when all have.
    """
    x, y = parts["train"]
    with clock.part("warmup"):
        train_epoch = trainer(models, x, y, recipe, seeds)
        val, actual = pieces_of(models[0], *parts["val"]), parts["val"][1].cpu().numpy()
    shuffles = [torch.Generator().manual_seed(seed) for seed in seeds]
    diverged = [False] * len(models)
    for _ in range(recipe.epochs):
        with clock.part("train"):
            orders = torch.stack([torch.randperm(len(x), generator=shuffle) for shuffle in shuffles])
            train_losses = train_epoch(orders.to(x.device))
        with clock.part("validate"):
            epochs = validate(models, train_losses, val, actual)
        diverged = [
            before or not (isfinite(epoch.train_loss) and isfinite(epoch.val_loss))
            for before, epoch in zip(diverged, epochs, strict=True)
        ]
        if all(diverged):
            return
        yield [None if gone else epoch for gone, epoch in zip(diverged, epochs, strict=True)]


def trainer(
    models: list[nn.Sequential], x: torch.Tensor, y: torch.Tensor, recipe: Recipe, seeds: list[int]
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what trains the networks for an epoch, as `autograd.trainer` says: by the closed form where it serves."""
    if closed_form.serves(models[0], recipe):
        return closed_form.trainer(models, x, y, recipe)
    return autograd.trainer(models, x, y, recipe, seeds)


def pieces_of(model: nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> list[Part]:
    """Return x, shape (n, ...), and y, shape (n,), in pieces that may go through a network at once."""
    size = samples_at_once(model, x)
    return list(zip(x.split(size), y.split(size), strict=True))


@torch.inference_mode()
def validate(
    models: list[nn.Sequential], train_losses: torch.Tensor, pieces: list[Part], actual: np.ndarray
) -> list[Epoch]:
    """Return each network's record of an epoch: its training loss as given, its loss and scores on the pieces.

    What is wanted of the logits, losses and predictions, comes to the host in one transfer.

    Args:
        models: the networks.
        train_losses: shape (networks,).
        pieces: as `pieces_of` has them.
        actual: their class numbers once more, on the host, shape (n,).
    """
    found = []
    for model, train_loss in zip(models, train_losses, strict=True):
        loss, predicted = torch.zeros_like(train_loss, dtype=torch.float64), []
        for x, y in pieces:
            logits = model(x)
            loss += cross_entropy(logits, y).double() * (len(y) / len(actual))
            predicted.append(logits.argmax(dim=1).double())
        found.append(torch.cat([torch.stack([train_loss.double(), loss]), *predicted]))
    epochs = []
    for row in torch.stack(found).cpu().numpy():
        scored = scores(count(actual, row[2:].astype(np.int64), logits.shape[1]))
        train_loss, val_loss = row[:2].tolist()
        epochs.append(
            Epoch(
                train_loss=train_loss,
                val_loss=val_loss,
                val_accuracy=scored["accuracy"],
                val_f1_macro=scored["f1_macro"],
            )
        )
    return epochs
