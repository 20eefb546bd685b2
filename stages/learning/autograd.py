"""Training by torch's autograd: any network, any first-order optimizer of torch.optim."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from stages.learning import graphs
from stages.learning.optimizer import make_optimizer, take_step
from stages.learning.recipe import Recipe, balanced_weights, decays, lengths


def trainer(
    models: list[nn.Sequential], x: torch.Tensor, y: torch.Tensor, recipe: Recipe
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that trains the networks, in place, for one epoch in given orders.

    It takes orders of shape (networks, n) and returns the networks' mean losses, shape (networks,).

    Args:
        models: any networks.
        x: samples, shape (n, ...).
        y: class numbers, shape (n,).
        recipe: how to train.
    """
    trainers = [trainer_of_one(model, x, y, recipe) for model in models]

    def train_epoch(orders: torch.Tensor) -> torch.Tensor:
        return torch.stack([train_one(order) for train_one, order in zip(trainers, orders, strict=True)])

    return train_epoch


def trainer_of_one(
    model: nn.Sequential, x: torch.Tensor, y: torch.Tensor, recipe: Recipe
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that trains one network for one epoch in an order of shape (n,) and returns its mean loss."""
    optimizer = make_optimizer(recipe.optimizer, recipe.optimizer_args, recipe.lr, model.parameters())
    # All graphs, one for each length of a batch, must write the gradient to one place. Without graphs it is made anew
    # for every batch, which is a tenth faster.
    anew = not graphs.uses_graphs(x.device)
    total = x.new_zeros(())
    balanced = recipe.class_weights == "balanced"
    weights = balanced_weights(y, model[-1].out_features).to(x.dtype) if balanced else None

    def gradient_of(size: int) -> tuple[torch.Tensor, torch.Tensor, Callable[[], None]]:
        """Return the buffers for a batch and what finds the gradient there."""
        batch_x, batch_y = x.new_empty(size, *x.shape[1:]), y.new_zeros(size)

        def gradient() -> None:
            optimizer.zero_grad(set_to_none=anew)
            logits = model(batch_x)
            loss = cross_entropy(logits, batch_y)
            goal = cross_entropy(logits, batch_y, weights, reduction="sum") / size if balanced else loss
            goal.backward()
            total.add_(loss.detach(), alpha=size)

        return batch_x, batch_y, graphs.replayable(gradient, [total])

    gradients = {size: gradient_of(size) for size in lengths(len(x), recipe.batch_size)}
    left = decays(recipe, len(x))

    def train_epoch(order: torch.Tensor) -> torch.Tensor:
        total.zero_()
        for rows, decay in zip(order.split(recipe.batch_size), left, strict=False):
            batch_x, batch_y, gradient = gradients[len(rows)]
            torch.index_select(x, 0, rows, out=batch_x)
            torch.index_select(y, 0, rows, out=batch_y)
            gradient()
            take_step(optimizer, recipe.lr * decay)
        return total / len(x)

    return train_epoch
