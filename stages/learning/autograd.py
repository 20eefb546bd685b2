"""Training by torch's autograd: any network, any first-order optimizer of torch.optim, dropout.

Dropout (Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, JMLR 15, 2014): in
training, each output of a hidden fully connected layer is 0 with probability p, else divided by 1 - p, so that the
network needs no change where it only answers. As the batches, these masks are drawn on the CPU from the run's seed.
"""

from collections.abc import Callable, Sequence
from functools import partial
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
    # All graphs, one for each length of a batch, must write the gradient to one place. Without graphs it is made anew
    # for every batch, which is a tenth faster.
    anew = not graphs.uses_graphs(x.device)
    totals = x.new_zeros(len(models))
    weights = (
        balanced_weights(y, models[0][-1].out_features).to(x.dtype) if recipe.class_weights == "balanced" else None
    )
    units = hidden_units(models[0]) if recipe.dropout else []
    draws = [torch.Generator().manual_seed(-1 - seed) for seed in seeds]  # counted down: no batches are drawn from it

    def gradient_of(size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Callable[[], None]]:
        """Return the buffers for a batch of each network and its masks, and what finds the gradients there."""
        batch_x, batch_y = x.new_empty(len(models), size, *x.shape[1:]), y.new_zeros(len(models), size)
        masks = x.new_zeros(len(models), size, sum(units))

        def gradient_of_one(i: int) -> None:
            logits = forward(models[i], batch_x[i], masks[i].split(units, dim=1)) if units else models[i](batch_x[i])
            loss = cross_entropy(logits, batch_y[i])
            goal = loss if weights is None else cross_entropy(logits, batch_y[i], weights, reduction="sum") / size
            goal.backward()
            totals[i].add_(loss.detach(), alpha=size)

        works = [partial(gradient_of_one, i) for i in range(len(models))]

        def gradient() -> None:
            optimizer.zero_grad(set_to_none=anew)
            graphs.side_by_side(works, x.device)

        return batch_x, batch_y, masks, graphs.replayable(gradient, [totals])

    gradients = {size: gradient_of(size) for size in lengths(len(x), recipe.batch_size)}
    left = decays(recipe, len(x))

    def train_epoch(orders: torch.Tensor) -> torch.Tensor:
        totals.zero_()
        for rows in orders.split(recipe.batch_size, dim=1):
            batch_x, batch_y, masks, gradient = gradients[rows.shape[1]]
            torch.index_select(x, 0, rows.reshape(-1), out=batch_x.flatten(0, 1))
            torch.index_select(y, 0, rows.reshape(-1), out=batch_y.flatten())
            if units:
                masks.copy_(torch.stack([draw_masks(masks[0], recipe.dropout, each) for each in draws]))
            gradient()
            take_step(optimizer, recipe.lr * next(left))
        return totals / len(x)

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
