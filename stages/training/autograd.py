"""Training by torch's autograd: any network, any first-order optimizer of torch.optim, dropout.

Dropout (Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, JMLR 15, 2014): in
training, each output of a hidden fully connected layer is 0 with probability p, else divided by 1 - p, so that the
network needs no change where it only answers. As the batches, these masks are drawn on the CPU from the run's seed.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from stages.training import graphs
from stages.training.job import Recipe, class_weights, decays, lengths
from stages.training.optimizer import make_optimizer, take_step


class Batch(NamedTuple):
    """A batch in memory that stays where it is: of each network, or of one, without the first dimension."""

    x: torch.Tensor  # samples, shape (networks, B, ...)
    y: torch.Tensor  # class numbers, shape (networks, B)
    masks: torch.Tensor  # of dropout, shape (networks, B, units of all layers that have it)


def trainer(
    models: list[nn.Sequential], x: torch.Tensor, y: torch.Tensor, recipe: Recipe, seeds: Sequence[int]
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that trains the networks, in place, for one epoch in given orders.

    It takes orders of shape (networks, n) and returns the networks' mean losses, shape (networks,). Their gradients are
    found side by side; one optimizer moves all their weights, each by itself.

    Args:
        models: networks of one shape.
        x: samples, shape (n, ...).
        y: class numbers, shape (n,).
        recipe: how to train.
        seeds: of each network's dropout.
    """
    parameters = [parameter for model in models for parameter in model.parameters()]
    optimizer = make_optimizer(recipe.optimizer, recipe.optimizer_args, recipe.lr, parameters)
    units = hidden_units(models[0]) if recipe.dropout else []
    draws = [torch.Generator().manual_seed(-1 - seed) for seed in seeds]  # counted down: no batches are drawn from it
    left, totals, steps = decays(recipe, len(x)), x.new_zeros(len(models)), {}
    weights = class_weights(recipe, y, models[0][-1].out_features)
    weights = None if weights is None else weights.to(x.dtype)
    for size in lengths(len(x), recipe.batch_size):
        lead = len(models), size
        batch = Batch(x.new_empty(*lead, *x.shape[1:]), y.new_zeros(lead), x.new_zeros(*lead, sum(units)))
        own = [Batch(*each) for each in zip(*batch, strict=True)]
        works = [partial(add_gradient, *each, units, weights) for each in zip(models, own, totals, strict=True)]
        steps[size] = batch, graphs.replayable(partial(find_gradients, optimizer, works, x.device), [totals])

    def train_epoch(orders: torch.Tensor) -> torch.Tensor:
        totals.zero_()
        for rows in orders.split(recipe.batch_size, dim=1):
            batch, find = steps[rows.shape[1]]
            torch.index_select(x, 0, rows.reshape(-1), out=batch.x.flatten(0, 1))
            torch.index_select(y, 0, rows.reshape(-1), out=batch.y.flatten())
            if units:
                batch.masks.copy_(torch.stack([draw_masks(batch.masks[0], recipe.dropout, each) for each in draws]))
            find()
            take_step(optimizer, recipe.lr * next(left))
        return totals / len(x)

    return train_epoch


def find_gradients(optimizer: torch.optim.Optimizer, works: list[graphs.Work], device: torch.device) -> None:
    """Let each network's work add its gradient to nothing.

    All graphs, one for each length of a batch, must write it to one place. Without graphs it is made anew for every
    batch, which is a tenth faster.
    """
    optimizer.zero_grad(set_to_none=not graphs.uses_graphs(device))
    graphs.side_by_side(works, device)


def add_gradient(
    model: nn.Sequential, batch: Batch, total: torch.Tensor, units: list[int], weights: torch.Tensor | None
) -> None:
    """Add the gradient of the mean loss on a batch to what is there, and the sum of its losses to a total.

    Args:
        model: a network.
        batch: its own.
        total: shape ().
        units: of each layer with dropout; none if there is no dropout.
        weights: of the classes, for the gradient alone.
    """
    logits = forward(model, batch.x, batch.masks.split(units, dim=1)) if units else model(batch.x)
    loss, n = cross_entropy(logits, batch.y), len(batch.y)
    goal = loss if weights is None else cross_entropy(logits, batch.y, weights, reduction="sum") / n
    goal.backward()
    total.add_(loss.detach(), alpha=n)


def hidden_units(model: nn.Sequential) -> list[int]:
    """Return how many units each hidden fully connected layer has."""
    return [layer.out_features for layer in model if isinstance(layer, nn.Linear)][:-1]


def draw_masks(like: torch.Tensor, p: float, generator: torch.Generator) -> torch.Tensor:
    """Return masks of dropout with probability p on the CPU, of the shape and type of a tensor."""
    return torch.empty(like.shape, dtype=like.dtype).bernoulli_(1 - p, generator=generator).div_(1 - p)


def forward(model: nn.Sequential, x: torch.Tensor, masks: Sequence[torch.Tensor]) -> torch.Tensor:
    """Send samples x through a network, what comes out of each hidden fully connected layer times its mask."""
    left = iter(masks)
    for before, layer in pairwise([None, *model]):
        x = layer(x)
        if isinstance(before, nn.Linear):  # the ReLU behind it has just been passed
            x = x * next(left)
    return x
