"""Training: one loop over epochs, which serves the closed form and autograd, the CPU and the GPU.

Conventions: x is (n, ...) float32, y is (n,) class numbers; losses are means over samples of the cross-entropy in nats.
The order of the batches is drawn on the CPU from the run's seed, so every device sees the same batches.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from math import isfinite
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from stages.core import graphs
from stages.core.network import multiply_adds
from stages.core.optimizer import make_optimizer
from stages.core.scoring import scores

CACHE_LINE = 16  # float32 numbers
CHUNK = 64  # batches shuffled at once: the cost of one call spread thin, and 11 MB of the widest samples


# A step of fewer multiply-adds than this goes faster on one thread than on several; measured by bench/training.py (its
# table "threads"). A rule rather than a race at every start: another number of threads may round differently, and the
# same machine must give the same bytes.
THREADS_PAY = 4_000_000
MAX_THREADS = 4  # two were measured; a step of 16 samples has little to share out among many more


class Recipe(NamedTuple):
    """How to train: an optimizer of torch.optim with its arguments, the learning rate, epochs, samples a batch."""

    optimizer: str
    optimizer_args: dict[str, Any]
    lr: float
    epochs: int
    batch_size: int


class Clock:
    """Adds up the seconds of each part of a run; the host waits for the device at either end of a part."""

    def __init__(self, device: torch.device) -> None:
        """Start at nothing."""
        self.seconds: dict[str, float] = {}
        self.device = device

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a block."""
        self._synchronize()
        start = perf_counter()
        try:
            yield
        finally:
            self._synchronize()
            self.seconds[name] = self.seconds.get(name, 0) + perf_counter() - start

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def threads_for(model: nn.Sequential, shape: tuple[int, ...], batch_size: int) -> int:
    """Return how many threads to train on a CPU with: one for small steps, else one a core."""
    small = batch_size * multiply_adds(model, shape) < THREADS_PAY
    return 1 if small else min(len(os.sched_getaffinity(0)), MAX_THREADS)


def fit(
    models: list[nn.Sequential],
    train: tuple[torch.Tensor, torch.Tensor],
    val: tuple[torch.Tensor, torch.Tensor],
    recipe: Recipe,
    seeds: list[int],
    clock: Clock,
) -> Iterator[list[dict[str, float] | None]]:
    """Train networks of one shape side by side, in place, each on batches drawn from its own seed.

    Yields after each epoch what history.json records of it, one record a network; None for a network that has diverged:
    its loss is not finite. The iteration ends early when all have.
    """
    x, y = train
    prepare = _closed_form if has_closed_form(models[0], recipe) else _autograd
    with clock.part("warmup"):
        train_epoch = prepare(models, x, y, recipe)
    shuffles = [torch.Generator().manual_seed(seed) for seed in seeds]
    diverged = [False] * len(models)
    for _ in range(recipe.epochs):
        with clock.part("train"):
            orders = torch.stack([torch.randperm(len(x), generator=shuffle) for shuffle in shuffles])
            train_losses = train_epoch(orders.to(x.device))
        with clock.part("validate"):
            records = validate(models, train_losses, *val)
        diverged = [
            before or not (isfinite(record["train_loss"]) and isfinite(record["val_loss"]))
            for before, record in zip(diverged, records, strict=True)
        ]
        if all(diverged):
            return
        yield [None if gone else record for gone, record in zip(diverged, records, strict=True)]


@torch.inference_mode()
def validate(
    models: list[nn.Sequential], train_losses: torch.Tensor, x: torch.Tensor, y: torch.Tensor
) -> list[dict[str, float]]:
    """Return each network's training loss (given), validation loss, accuracy and macro F1.

    Losses and confusion counts are found on the device and come to the host in one transfer.
    """
    told = []
    for model, train_loss in zip(models, train_losses, strict=True):
        logits = model(x)
        n_classes = logits.shape[1]
        cells = torch.arange(n_classes**2, device=x.device)
        counts = (y * n_classes + logits.argmax(dim=1) == cells[:, None]).sum(dim=1)
        told.append(torch.cat([torch.stack([train_loss, cross_entropy(logits, y)]).double(), counts.double()]))
    records = []
    for train_loss, val_loss, *counts in torch.stack(told).tolist():
        result = scores(np.array(counts, np.int64).reshape(n_classes, n_classes))
        records.append(
            {
                "train_loss": train_loss,
                "val_loss": val_loss,
                "val_accuracy": result["accuracy"],
                "val_f1_macro": result["f1_macro"],
            }
        )
    return records


def has_closed_form(model: nn.Sequential, recipe: Recipe) -> bool:
    """Tell whether `_closed_form` serves: fully connected layers, trained by SGD without extras."""
    return (
        recipe.optimizer == "SGD"
        and not recipe.optimizer_args
        and all(isinstance(layer, nn.Flatten | nn.Linear | nn.ReLU) for layer in model)
    )


def _autograd(
    models: list[nn.Sequential], x: torch.Tensor, y: torch.Tensor, recipe: Recipe
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Prepare training by autograd; the function returned trains one epoch in the given orders.

    It takes orders of shape (networks, n) and returns the networks' mean losses, shape (networks,).
    """
    trainers = [_autograd_one(model, x, y, recipe) for model in models]

    def train_epoch(orders: torch.Tensor) -> torch.Tensor:
        return torch.stack([train_one(order) for train_one, order in zip(trainers, orders, strict=True)])

    return train_epoch


def _autograd_one(
    model: nn.Sequential, x: torch.Tensor, y: torch.Tensor, recipe: Recipe
) -> Callable[[torch.Tensor], torch.Tensor]:
    optimizer = make_optimizer(recipe.optimizer, recipe.optimizer_args, recipe.lr, model.parameters())
    # All graphs, one for each length of a batch, must write the gradient to one place. Without graphs it is made anew
    # for every batch, which is a tenth faster.
    anew = not graphs.uses_graphs(x.device)
    total = x.new_zeros(())

    def gradient_of(size: int) -> tuple[torch.Tensor, torch.Tensor, Callable[[], None]]:
        """Return the buffers for a batch and what finds the gradient there."""
        batch_x, batch_y = x.new_empty(size, *x.shape[1:]), y.new_zeros(size)

        def gradient() -> None:
            optimizer.zero_grad(set_to_none=anew)
            loss = cross_entropy(model(batch_x), batch_y)
            loss.backward()
            total.add_(loss.detach(), alpha=size)

        return batch_x, batch_y, graphs.replayable(gradient, [total])

    gradients = {size: gradient_of(size) for size in _lengths(len(x), recipe.batch_size)}

    def train_epoch(order: torch.Tensor) -> torch.Tensor:
        total.zero_()
        for rows in order.split(recipe.batch_size):
            batch_x, batch_y, gradient = gradients[len(rows)]
            torch.index_select(x, 0, rows, out=batch_x)
            torch.index_select(y, 0, rows, out=batch_y)
            gradient()
            optimizer.step()
        return total / len(x)

    return train_epoch


def _lengths(n: int, size: int) -> set[int]:
    """Return how long the pieces of n samples are that are cut into pieces of `size`."""
    return {min(n, size), n % size} - {0}


class Layer(NamedTuple):
    """One layer as one batch of B samples meets it: views of buffers that are allocated once.

    `weight` is W, shape (outputs, inputs + 1 + padding), the bias in the column that meets the 1 in `a`.
    """

    a: torch.Tensor  # what comes in, shape (B, inputs + 1 + padding): the samples, 1, zeros
    z: torch.Tensor  # what goes out, shape (B, outputs): a view of the next layer's `a`, or the logits
    delta: torch.Tensor  # B times the loss's gradient by what goes out before the ReLU, shape (B, outputs)
    delta_t: torch.Tensor
    weight: torch.Tensor
    weight_t: torch.Tensor
    connections: torch.Tensor  # W without the bias, shape (outputs, inputs)


def closed_form_step(layers: list[Layer], targets: torch.Tensor, lr: float) -> None:
    """Do one step of stochastic gradient descent on a batch, in place, without autograd.

    Layer l maps a_l to z_l = a_l W_l^T. The bias is part of W_l, as the column that meets a 1 in a_l; zeros may follow
    it. Between layers a_(l+1) = max(z_l, 0); at the end p = softmax(z) and the loss is L = -mean_i log p_i[y_i]. With B
    samples in the batch and one-hot targets t, writing delta_l = B dL/dz_l,

        delta_last = p - t
        delta_(l-1) = delta_l W_l where a_l > 0, else 0
        dL/dW_l    = delta_l^T a_l / B
        W_l       <- W_l - lr/B delta_l^T a_l

    (Rumelhart, Hinton and Williams, Nature 323, 1986). delta_(l-1) is taken before W_l moves; when W_l has moved, the
    signs of a_l are all that is still wanted of it, and take its place.

    Several networks of one shape take their step at once if every tensor has one more dimension, (networks, ...).

    Args:
        layers: from the first to the last.
        targets: t, shape (B, classes).
        lr: the learning rate.
    """
    several = targets.dim() == 3
    product, add_product = (torch.bmm, torch.Tensor.baddbmm_) if several else (torch.mm, torch.Tensor.addmm_)
    for layer in layers[:-1]:
        product(layer.a, layer.weight_t, out=layer.z)
        layer.z.relu_()
    last = layers[-1]
    product(last.a, last.weight_t, out=last.z)
    torch.softmax(last.z, dim=-1, out=last.delta).sub_(targets)
    rate = -lr / targets.shape[-2]
    for layer, below in zip(layers[:0:-1], layers[-2::-1], strict=True):
        product(layer.delta, layer.connections, out=below.delta)
        add_product(layer.weight, layer.delta_t, layer.a, alpha=rate)
        below.delta.mul_(below.z.sign_())
    add_product(layers[0].weight, layers[0].delta_t, layers[0].a, alpha=rate)


def _closed_form(
    models: list[nn.Sequential], x: torch.Tensor, y: torch.Tensor, recipe: Recipe
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Prepare training by the closed-form gradient; the function returned trains one epoch in the given orders.

    It takes orders of shape (networks, n) and returns the networks' mean losses, shape (networks,). The models' own
    weights become views of the matrices trained here, so that they can be validated and saved at any time. Samples are
    shuffled into a buffer CHUNK batches at a time: however many there are, no second copy is made.
    """
    x, size, n_models = x.flatten(1), recipe.batch_size, len(models)
    networks = [[layer for layer in model if isinstance(layer, nn.Linear)] for model in models]
    inputs = [linear.in_features for linear in networks[0]]
    widths = [linear.out_features for linear in networks[0]]
    lead = () if n_models == 1 else (n_models,)  # matrices of a single network need no dimension to tell networks apart

    def with_ones(rows: int, columns: int) -> torch.Tensor:
        return _aligned(torch.cat([x.new_zeros(*lead, rows, columns), x.new_ones(*lead, rows, 1)], dim=-1))

    weights = []
    for linears in zip(*networks, strict=True):
        stacked = torch.stack([torch.cat([each.weight, each.bias[:, None]], dim=1) for each in linears]).detach()
        weight = _aligned(stacked.reshape(*lead, *stacked.shape[1:]))
        for linear, own in zip(linears, weight.reshape(n_models, *weight.shape[-2:]), strict=True):
            linear.weight = nn.Parameter(own[:, : linear.in_features])
            linear.bias = nn.Parameter(own[:, linear.in_features])
        weights.append(weight)

    one_hots = one_hot(y, widths[-1]).to(x.dtype)
    chosen = torch.zeros(n_models, min(CHUNK * size, len(x)), dtype=torch.int64, device=x.device)
    samples = with_ones(chosen.shape[1], x.shape[1])
    targets = x.new_zeros(*lead, chosen.shape[1], widths[-1])
    logits, losses = torch.empty_like(targets), x.new_zeros(lead or 1)
    hidden = [with_ones(size, width) for width in widths[:-1]]
    deltas = [x.new_zeros(*lead, size, width) for width in widths]

    def layers_of(start: int, stop: int) -> list[Layer]:
        rows = stop - start
        a = [samples[..., start:stop, :], *(buffer[..., :rows, :] for buffer in hidden)]
        z = [*(b[..., :rows, :width] for b, width in zip(hidden, widths, strict=False)), logits[..., start:stop, :]]
        delta = [buffer[..., :rows, :] for buffer in deltas]
        return [
            Layer(a[i], z[i], delta[i], delta[i].mT, weight, weight.mT, weight[..., : inputs[i]])
            for i, weight in enumerate(weights)
        ]

    def chunk_of(rows: int) -> Callable[[], None]:
        """Return what trains on the first `rows` chosen samples."""
        steps = [
            (layers_of(start, stop), targets[..., start:stop, :])
            for start, stop in pairwise([*range(0, rows, size), rows])
        ]
        buffers = [buffer.reshape(n_models, *buffer.shape[-2:]) for buffer in (samples, targets)]

        @torch.inference_mode()
        def train_chunk() -> None:
            for order, own_samples, own_targets in zip(chosen, *buffers, strict=True):
                torch.index_select(x, 0, order[:rows], out=own_samples[:rows, : x.shape[1]])
                torch.index_select(one_hots, 0, order[:rows], out=own_targets[:rows])
            for layers, batch_targets in steps:
                closed_form_step(layers, batch_targets, recipe.lr)
            log_likelihood = torch.log_softmax(logits[..., :rows, :], dim=-1) * targets[..., :rows, :]
            losses.sub_(log_likelihood.sum(dim=(-2, -1)))

        return graphs.replayable(train_chunk, [*weights, losses])

    chunks = {rows: chunk_of(rows) for rows in _lengths(len(x), chosen.shape[1])}

    def train_epoch(orders: torch.Tensor) -> torch.Tensor:
        losses.zero_()
        for chunk in orders.split(chosen.shape[1], dim=1):
            chosen[:, : chunk.shape[1]] = chunk
            chunks[chunk.shape[1]]()
        return losses / len(x)

    return train_epoch


def _aligned(rows: torch.Tensor) -> torch.Tensor:
    """Pad rows with zeros to whole cache lines: products of aligned rows are up to a fifth faster."""
    return nn.functional.pad(rows, (0, -rows.shape[-1] % CACHE_LINE)).contiguous()
