"""Training: one loop over epochs, which serves the closed form and autograd, the CPU and the GPU.

Conventions: x is (n, ...) float32, y is (n,) class numbers; losses are means over samples of the cross-entropy in nats.
The order of the batches is drawn on the CPU from the run's seed, so every device sees the same batches.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from math import isfinite
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from stages.core.network import multiply_adds
from stages.core.scoring import confusion_matrix, scores

CACHE_LINE = 16  # float32 numbers
CHUNK = 64  # batches shuffled at once: the cost of one call spread thin, and 11 MB of the widest samples


# A step of fewer multiply-adds than this goes faster on one thread than on several; measured by bench/training.py (its
# table "threads"). A rule rather than a race at every start: another number of threads may round differently, and the
# same machine must give the same bytes.
THREADS_PAY = 4_000_000
MAX_THREADS = 4  # two were measured; a step of 16 samples has little to share out among many more

FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.Adagrad)  # have it on the CPU too


class Recipe(NamedTuple):
    """How to train: an optimizer of torch.optim with its arguments, the learning rate, epochs, samples a batch."""

    optimizer: str
    optimizer_args: dict[str, Any]
    lr: float
    epochs: int
    batch_size: int


class Clock:
    """Adds up the seconds of each part of a run, waiting for the device at either end of a part."""

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
    model: nn.Sequential,
    train: tuple[torch.Tensor, torch.Tensor],
    val: tuple[torch.Tensor, torch.Tensor],
    recipe: Recipe,
    seed: int,
    clock: Clock,
) -> Iterator[dict[str, float]]:
    """Train `model` in place and yield after each epoch what history.json records of it.

    A loss that is not finite ends the iteration early, before that epoch is yielded: training has diverged.
    """
    x, y = train
    train_epoch = _closed_form if has_closed_form(model, recipe) else _autograd
    with clock.part("train"):
        train_epoch = train_epoch(model, x, y, recipe)
    shuffle = torch.Generator().manual_seed(seed)
    for _ in range(recipe.epochs):
        with clock.part("train"):
            order = torch.randperm(len(x), generator=shuffle)
            train_loss = train_epoch(order.to(x.device))
        if not isfinite(train_loss):
            return
        with clock.part("validate"):
            record = {"train_loss": train_loss, **validate(model, *val)}
        if not isfinite(record["val_loss"]):
            return
        yield record


@torch.inference_mode()
def validate(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
    """Return the validation loss, accuracy and macro F1."""
    logits = model(x)
    confusion = confusion_matrix(y.cpu().numpy(), logits.argmax(dim=1).cpu().numpy(), logits.shape[1])
    result = scores(confusion)
    return {
        "val_loss": cross_entropy(logits, y).item(),
        "val_accuracy": result["accuracy"],
        "val_f1_macro": result["f1_macro"],
    }


def has_closed_form(model: nn.Sequential, recipe: Recipe) -> bool:
    """Tell whether `_closed_form` serves: fully connected layers, trained by SGD without extras."""
    return (
        recipe.optimizer == "SGD"
        and not recipe.optimizer_args
        and all(isinstance(layer, nn.Flatten | nn.Linear | nn.ReLU) for layer in model)
    )


def _autograd(
    model: nn.Sequential, x: torch.Tensor, y: torch.Tensor, recipe: Recipe
) -> Callable[[torch.Tensor], float]:
    """Prepare training by autograd; the function returned trains one epoch in the given order, and tells its loss."""
    make = getattr(torch.optim, recipe.optimizer)
    # One kernel for all weights where there is one: on a CPU a step of Adam then takes a third of the time.
    arguments = dict(recipe.optimizer_args)
    if make in FUSED and not arguments.keys() & {"foreach", "differentiable"}:
        arguments.setdefault("fused", True)
    optimizer = make(model.parameters(), lr=recipe.lr, **arguments)

    def train_epoch(order: torch.Tensor) -> float:
        batches = zip(x[order].split(recipe.batch_size), y[order].split(recipe.batch_size), strict=True)
        total = torch.zeros((), device=x.device)
        for batch_x, batch_y in batches:
            loss = cross_entropy(model(batch_x), batch_y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch_y)
        return total.item() / len(y)

    return train_epoch


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

    Args:
        layers: from the first to the last.
        targets: t, shape (B, classes).
        lr: the learning rate.
    """
    for layer in layers[:-1]:
        torch.mm(layer.a, layer.weight_t, out=layer.z)
        layer.z.relu_()
    last = layers[-1]
    torch.mm(last.a, last.weight_t, out=last.z)
    torch.softmax(last.z, dim=1, out=last.delta).sub_(targets)
    rate = -lr / targets.shape[0]
    for layer, below in zip(layers[:0:-1], layers[-2::-1], strict=True):
        torch.mm(layer.delta, layer.connections, out=below.delta)
        layer.weight.addmm_(layer.delta_t, layer.a, alpha=rate)
        below.delta.mul_(below.z.sign_())
    layers[0].weight.addmm_(layers[0].delta_t, layers[0].a, alpha=rate)


def _closed_form(
    model: nn.Sequential, x: torch.Tensor, y: torch.Tensor, recipe: Recipe
) -> Callable[[torch.Tensor], float]:
    """Prepare training by the closed-form gradient; the function returned trains one epoch in the given order.

    The model's own weights become views of the matrices trained here, so that it can be validated and saved at any
    time. Samples are shuffled into a buffer CHUNK batches at a time: however many there are, no second copy is made.
    """
    linears = [layer for layer in model if isinstance(layer, nn.Linear)]
    weights = [_aligned(torch.cat([linear.weight, linear.bias[:, None]], dim=1).detach()) for linear in linears]
    for linear, weight in zip(linears, weights, strict=True):
        linear.weight = nn.Parameter(weight[:, : linear.in_features])
        linear.bias = nn.Parameter(weight[:, linear.in_features])

    def with_ones(rows: int, columns: int) -> torch.Tensor:
        return _aligned(torch.cat([x.new_zeros(rows, columns), x.new_ones(rows, 1)], dim=1))

    x, size = x.flatten(1), recipe.batch_size
    one_hots = one_hot(y, linears[-1].out_features).to(x.dtype)
    samples = with_ones(CHUNK * size, x.shape[1])
    targets = one_hots.new_empty(len(samples), one_hots.shape[1])
    logits = torch.empty_like(targets)
    hidden = [with_ones(size, linear.out_features) for linear in linears[:-1]]
    deltas = [x.new_empty(size, linear.out_features) for linear in linears]

    def layers_of(start: int, stop: int) -> list[Layer]:
        rows = stop - start
        outputs = [buffer[:rows, : linear.out_features] for buffer, linear in zip(hidden, linears, strict=False)]
        a = [samples[start:stop], *(buffer[:rows] for buffer in hidden)]
        z = [*outputs, logits[start:stop]]
        delta = [buffer[:rows] for buffer in deltas]
        return [
            Layer(a[i], z[i], delta[i], delta[i].t(), weight, weight.t(), linear.weight.detach())
            for i, (linear, weight) in enumerate(zip(linears, weights, strict=True))
        ]

    @cache  # two lengths at most: whole chunks and the last one
    def steps_of(rows: int) -> list[tuple[list[Layer], torch.Tensor]]:
        ends = [*range(size, rows, size), rows]
        return [(layers_of(start, stop), targets[start:stop]) for start, stop in pairwise([0, *ends])]

    @torch.inference_mode()
    def train_epoch(order: torch.Tensor) -> float:
        total = x.new_zeros(())
        for chunk in order.split(len(samples)):
            rows = len(chunk)
            torch.index_select(x, 0, chunk, out=samples[:rows, : x.shape[1]])
            torch.index_select(one_hots, 0, chunk, out=targets[:rows])
            for layers, batch_targets in steps_of(rows):
                closed_form_step(layers, batch_targets, recipe.lr)
            total += cross_entropy(logits[:rows], targets[:rows], reduction="sum")
        return total.item() / len(x)

    return train_epoch


def _aligned(rows: torch.Tensor) -> torch.Tensor:
    """Pad rows with zeros to whole cache lines: products of aligned rows are up to a fifth faster."""
    return nn.functional.pad(rows, (0, -rows.shape[1] % CACHE_LINE)).contiguous()
