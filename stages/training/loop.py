"""Training: one loop over epochs, which serves the closed form and autograd, the CPU and the GPU.

Conventions: x is (n, ...) float32, y is (n,) class numbers; losses are means over samples of the cross-entropy in nats,
whatever the weights of the classes: those are for the gradient alone, so that losses can be compared.
The order of the batches is drawn on the CPU from the run's seed, so every device sees the same batches.
"""

from collections.abc import Callable, Iterator
from functools import partial
from math import isfinite

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from stages.common.records import Epoch
from stages.models.network import samples_at_once
from stages.models.scoring import count, scores
from stages.training import autograd, closed_form, graphs
from stages.training.job import Recipe
from stages.training.timing import Clock

Part = tuple[torch.Tensor, torch.Tensor]  # x and y


def fit(
    models: list[nn.Sequential], parts: dict[str, Part], recipe: Recipe, seeds: list[int], clock: Clock
) -> Iterator[list[Epoch | None]]:
    """Train networks of one shape side by side, in place, each on batches, dropout and augmentation of its own seed.

    Networks and parts ("train" and "val") are on the clock's device. Yields after each epoch a record of it for each
    network, or None for a network that has diverged: its loss is not finite. Ends early when all have.
    """
    x, y = parts["train"]
    with clock.part("warmup"):
        train_epoch = trainer(models, x, y, recipe, seeds)
        validate = validator(models, *parts["val"])
    shuffles = [torch.Generator().manual_seed(seed) for seed in seeds]
    diverged = [False] * len(models)
    for _ in range(recipe.epochs):
        with clock.part("train"):
            orders = torch.stack([torch.randperm(len(x), generator=shuffle) for shuffle in shuffles])
            train_losses = train_epoch(orders.to(x.device))
        with clock.part("validate"):
            epochs = validate(train_losses)
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


def validator(models: list[nn.Sequential], x: torch.Tensor, y: torch.Tensor) -> Callable[[torch.Tensor], list[Epoch]]:
    """Return what judges the networks as they are on samples x, shape (n, ...), of classes y, shape (n,).

    It takes the epoch's training losses, shape (networks,), and returns each network's record of the epoch. What is
    wanted of the logits, losses and predictions, comes to the host in one transfer.
    """
    actual, n_classes, together = y.cpu().numpy(), models[0][-1].out_features, nn.ModuleList(models).eval()
    answers = x.new_zeros(len(models), 1 + len(x), dtype=torch.float64)
    work = graphs.replayable(partial(answer, models, pieces_of(models[0], x, y), answers), [answers])

    def validate(train_losses: torch.Tensor) -> list[Epoch]:
        together.eval()
        work()
        found = torch.cat([train_losses.double()[:, None], answers], dim=1).cpu().numpy()
        return [epoch_of(*row[:2].tolist(), row[2:].astype(np.int64)) for row in found]

    def epoch_of(train_loss: float, val_loss: float, predicted: np.ndarray) -> Epoch:
        scored = scores(count(actual, predicted, n_classes))
        return Epoch(
            train_loss=train_loss, val_loss=val_loss, val_accuracy=scored["accuracy"], val_f1_macro=scored["f1_macro"]
        )

    return validate


def pieces_of(model: nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> list[Part]:
    """Return x, shape (n, ...), and y, shape (n,), in pieces that may go through a network at once."""
    size = samples_at_once(model, x)
    return list(zip(x.split(size), y.split(size), strict=True))


@torch.inference_mode()
def answer(models: list[nn.Sequential], pieces: list[Part], answers: torch.Tensor) -> None:
    """Write each network's mean loss on the pieces, then its n predicted classes, into answers, (networks, 1 + n)."""
    sizes = [len(y) for _, y in pieces]
    for model, (loss, predicted) in zip(models, (row.split([1, sum(sizes)]) for row in answers), strict=True):
        loss.zero_()
        for (x, y), into in zip(pieces, predicted.split(sizes), strict=True):
            logits = model(x)
            loss.add_(cross_entropy(logits, y), alpha=len(y) / sum(sizes))
            into.copy_(logits.argmax(dim=1))
