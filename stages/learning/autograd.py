"""Training by torch's autograd: any network, any first-order optimizer of torch.optim, dropout.

Dropout (Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, JMLR 15, 2014): in
training, each output of a hidden fully connected layer is 0 with probability p, else divided by 1 - p, so that the
network needs no change where it only answers. As the batches, these masks are drawn on the CPU from the run's seed.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from stages.learning import graphs
from stages.learning.optimizer import make_optimizer, take_step
from stages.learning.recipe import Recipe, balanced_weights, decays, lengths


def trainer(
    models: list[nn.Sequential], x: torch.Tensor, y: torch.Tensor, recipe: Recipe, seeds: Sequence[int]
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that trains the networks, in place, for one epoch in given orders.

    It takes orders of shape (networks, n) and returns the networks' mean losses, shape (networks,).

    Args:
        models: any networks.
        x: samples, shape (n, ...).
        y: class numbers, shape (n,).
        recipe: how to train.
        seeds: of each network's dropout.
    """
    trainers = [trainer_of_one(model, x, y, recipe, seed) for model, seed in zip(models, seeds, strict=True)]

    def train_epoch(orders: torch.Tensor) -> torch.Tensor:
        return torch.stack([train_one(order) for train_one, order in zip(trainers, orders, strict=True)])

    return train_epoch


def trainer_of_one(
    model: nn.Sequential, x: torch.Tensor, y: torch.Tensor, recipe: Recipe, seed: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that trains one network for one epoch in an order of shape (n,) and returns its mean loss."""
    optimizer = make_optimizer(recipe.optimizer, recipe.optimizer_args, recipe.lr, model.parameters())
    # All graphs, one for each length of a batch, must write the gradient to one place. Without graphs it is made anew
    # for every batch, which is a tenth faster.
    anew = not graphs.uses_graphs(x.device)
    total = x.new_zeros(())
    weights = balanced_weights(y, model[-1].out_features).to(x.dtype) if recipe.class_weights == "balanced" else None
    units = hidden_units(model) if recipe.dropout else []
    draws = torch.Generator().manual_seed(-1 - seed)  # counted down: no run's batches are drawn from it

    def gradient_of(size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Callable[[], None]]:
        """Return the buffers for a batch and its masks, and what finds the gradient there."""
        batch_x, batch_y = x.new_empty(size, *x.shape[1:]), y.new_zeros(size)
        masks = x.new_zeros(size, sum(units))
        by_layer = masks.split(units, dim=1)

        def gradient() -> None:
            optimizer.zero_grad(set_to_none=anew)
            logits = forward(model, batch_x, by_layer) if units else model(batch_x)
            loss = cross_entropy(logits, batch_y)
            goal = loss if weights is None else cross_entropy(logits, batch_y, weights, reduction="sum") / size
            goal.backward()
            total.add_(loss.detach(), alpha=size)

        return batch_x, batch_y, masks, graphs.replayable(gradient, [total])

    gradients = {size: gradient_of(size) for size in lengths(len(x), recipe.batch_size)}
    left = decays(recipe, len(x))

    def train_epoch(order: torch.Tensor) -> torch.Tensor:
        total.zero_()
        for rows in order.split(recipe.batch_size):
            batch_x, batch_y, masks, gradient = gradients[len(rows)]
            torch.index_select(x, 0, rows, out=batch_x)
            torch.index_select(y, 0, rows, out=batch_y)
            if units:
                masks.copy_(draw_masks(masks, recipe.dropout, draws))
            gradient()
            take_step(optimizer, recipe.lr * next(left))
        return total / len(x)

    return train_epoch


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
