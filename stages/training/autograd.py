"""Training by torch's autograd: any network, any first-order optimizer of torch.optim, dropout, label smoothing.

Dropout (Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, JMLR 15, 2014): in
training, each number that other layers hand to a fully connected layer is 0 with probability p, else divided by 1 - p,
so that the network needs no change where it only answers. As the batches, these masks are drawn on the CPU from the
run's seed.

Label smoothing (Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016, section 7): the
gradient is that of the loss against 1 - e of a sample's class and e / classes of every class.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from stages.training import graphs
from stages.training.augment import augment
from stages.training.job import Recipe, class_weights, decays, lengths
from stages.training.optimizer import make_optimizer, take_step

Goal = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of logits, shape (B, classes), and a batch's y


class Batch(NamedTuple):
    """A batch in memory that stays where it is: of each network, or of one, without the first dimension."""

    x: torch.Tensor  # samples, shape (networks, B, ...)
    y: torch.Tensor  # class numbers, shape (networks, B); with mixup each class's share, (networks, B, classes)
    masks: torch.Tensor  # of dropout, shape (networks, B, inputs of all layers that have it)


Step = tuple[Batch, list[Batch], graphs.Work]  # a batch, each network's part of it, what finds the gradients


def trainer(
    models: list[nn.Sequential], x: torch.Tensor, y: torch.Tensor, recipe: Recipe, seeds: Sequence[int]
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that trains the networks, in place, for one epoch in given orders.

    It takes orders of shape (networks, n) and returns the networks' mean losses, shape (networks,). Their gradients are
    found side by side; one optimizer moves all their weights, each by itself. The networks are of one shape; each has a
    seed for its dropout and augmentation.
    """
    together = nn.ModuleList(models).train()
    if x.device.type == "cpu":  # convolutions and what follows them then take two thirds of the time
        together.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(recipe.optimizer, recipe.optimizer_args, recipe.lr, list(together.parameters()))
    left, totals, n_classes = decays(recipe, len(x)), x.new_zeros(len(models)), models[0][-1].out_features
    inputs = [layer.in_features for layer in dropped(models[0])] if recipe.dropout else []
    how = {"inputs": inputs, "goal": goal_of(recipe, x, y, n_classes)}
    gradients = [partial(add_gradient, model, total, **how) for model, total in zip(models, totals, strict=True)]
    whole = Batch(x, one_hot(y, n_classes).to(x.dtype) if recipe.mixup else y, x.new_empty(0, sum(inputs)))
    state = [totals, *together.buffers()]  # those of batch norm
    steps = {n: new_step(whole, n, gradients, optimizer, state) for n in lengths(len(x), recipe.batch_size)}
    draws = [torch.Generator().manual_seed(-1 - seed) for seed in seeds]  # counted down: no batches are drawn from it
    augmentations = [np.random.default_rng(seed) for seed in seeds]

    def train_epoch(orders: torch.Tensor) -> torch.Tensor:
        together.train()
        totals.zero_()
        for rows in orders.split(recipe.batch_size, dim=1):
            batch, own, find = steps[rows.shape[1]]
            fetch(whole, rows, batch)
            if inputs:
                batch.masks.copy_(torch.stack([draw_masks(batch.masks[0], recipe.dropout, each) for each in draws]))
            for each, draw in zip(own, augmentations, strict=True):
                augment(each.x, each.y, recipe, draw)
            find()
            take_step(optimizer, recipe.lr * next(left))
        return totals / len(x)

    return train_epoch


def goal_of(recipe: Recipe, x: torch.Tensor, y: torch.Tensor, n_classes: int) -> Goal | None:
    """Return the sum of the losses that the gradient is of, or None if it is that of the plain ones."""
    weights = class_weights(recipe, y, n_classes)
    if weights is None and not recipe.label_smoothing:
        return None
    weights = None if weights is None else weights.to(x.dtype)
    return partial(cross_entropy, weight=weights, reduction="sum", label_smoothing=recipe.label_smoothing)


def new_step(
    whole: Batch,
    size: int,
    gradients: list[Callable[[Batch], None]],
    optimizer: torch.optim.Optimizer,
    state: list[torch.Tensor],
) -> Step:
    """Return a step on batches of a size, given each network's `add_gradient` and the state that a step changes.

    `whole` is all samples as one batch; its masks only say how many each sample has.
    """
    batch = Batch(*(each.new_zeros(len(gradients), size, *each.shape[1:]) for each in whole))
    own = [Batch(*each) for each in zip(*batch, strict=True)]
    works = [partial(gradient, each) for gradient, each in zip(gradients, own, strict=True)]
    return batch, own, graphs.replayable(partial(find_gradients, optimizer, works, batch.x.device), state)


def fetch(whole: Batch, rows: torch.Tensor, batch: Batch) -> None:
    """Fetch chosen samples, shape (networks, B), and their classes into a batch."""
    torch.index_select(whole.x, 0, rows.reshape(-1), out=batch.x.flatten(0, 1))
    torch.index_select(whole.y, 0, rows.reshape(-1), out=batch.y.flatten(0, 1))


def find_gradients(optimizer: torch.optim.Optimizer, works: list[graphs.Work], device: torch.device) -> None:
    """Let each network's work add its gradient to nothing.

    All graphs, one for each length of a batch, must write it to one place. Without graphs it is made anew for every
    batch, which is a tenth faster.
    """
    optimizer.zero_grad(set_to_none=not graphs.uses_graphs(device))
    graphs.side_by_side(works, device)


def add_gradient(model: nn.Sequential, total: torch.Tensor, batch: Batch, inputs: list[int], goal: Goal | None) -> None:
    """Add the gradient of the mean loss on a batch to the model's, and the sum of its losses to a total, shape ().

    `inputs` are those of each layer with dropout; none without dropout.
    """
    logits = forward(model, batch.x, batch.masks.split(inputs, dim=1)) if inputs else model(batch.x)
    loss, n = cross_entropy(logits, batch.y), len(batch.y)
    (loss if goal is None else goal(logits, batch.y) / n).backward()
    total.add_(loss.detach(), alpha=n)


def dropped(model: nn.Sequential) -> list[nn.Linear]:
    """Return the fully connected layers whose inputs drop out: all but one that gets the samples themselves."""
    layers = [layer for layer in model if isinstance(layer, nn.Conv2d | nn.Linear)]
    return [layer for layer in layers[1:] if isinstance(layer, nn.Linear)]


def draw_masks(like: torch.Tensor, p: float, generator: torch.Generator) -> torch.Tensor:
    """Return masks of dropout with probability p on the CPU, of the shape and type of a tensor."""
    return torch.empty(like.shape, dtype=like.dtype).bernoulli_(1 - p, generator=generator).div_(1 - p)


def forward(model: nn.Sequential, x: torch.Tensor, masks: Sequence[torch.Tensor]) -> torch.Tensor:
    """Send samples x through a network, what goes into each layer with dropout times its mask."""
    mask_of = dict(zip(dropped(model), masks, strict=True))
    for layer in model:
        x = layer(x * mask_of[layer] if layer in mask_of else x)
    return x
