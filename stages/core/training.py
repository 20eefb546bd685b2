"""Training: one loop over epochs, which serves the closed form and autograd, the CPU and the GPU.

Conventions: x is (n, ...) float32, y is (n,) class numbers; losses are means over samples of the cross-entropy in nats.
The order of the batches is drawn on the CPU from the run's seed, so every device sees the same batches.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from stages.core.scoring import confusion_matrix, scores

CACHE_LINE = 16  # float32 numbers


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
    optimizer = getattr(torch.optim, recipe.optimizer)(model.parameters(), lr=recipe.lr, **recipe.optimizer_args)

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
    rate = -lr / len(targets)
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
    time.
    """
    linears = [layer for layer in model if isinstance(layer, nn.Linear)]
    weights = [_aligned(torch.cat([linear.weight, linear.bias[:, None]], dim=1).detach()) for linear in linears]
    for linear, weight in zip(linears, weights, strict=True):
        linear.weight = nn.Parameter(weight[:, : linear.in_features])
        linear.bias = nn.Parameter(weight[:, linear.in_features])

    data = _aligned(torch.cat([x.flatten(1), x.new_ones(len(x), 1)], dim=1))
    targets = one_hot(y, linears[-1].out_features).to(x.dtype)
    shuffled, shuffled_targets, logits = torch.empty_like(data), torch.empty_like(targets), torch.empty_like(targets)
    ones = x.new_ones(recipe.batch_size, 1)
    hidden = [_aligned(torch.cat([x.new_zeros(len(ones), linear.out_features), ones], 1)) for linear in linears[:-1]]
    deltas = [x.new_empty(len(ones), linear.out_features) for linear in linears]

    def layers_of(rows: slice) -> list[Layer]:
        size = rows.stop - rows.start
        a = [shuffled[rows], *(buffer[:size] for buffer in hidden)]
        z = [
            *(buffer[:size, : linear.out_features] for buffer, linear in zip(hidden, linears, strict=False)),
            logits[rows],
        ]
        delta = [buffer[:size] for buffer in deltas]
        return [
            Layer(a[i], z[i], delta[i], delta[i].t(), weight, weight.t(), linear.weight.detach())
            for i, (linear, weight) in enumerate(zip(linears, weights, strict=True))
        ]

    starts = range(0, len(x), recipe.batch_size)
    slices = [slice(start, min(start + recipe.batch_size, len(x))) for start in starts]
    steps = [(layers_of(rows), shuffled_targets[rows]) for rows in slices]

    @torch.inference_mode()
    def train_epoch(order: torch.Tensor) -> float:
        torch.index_select(data, 0, order, out=shuffled)
        torch.index_select(targets, 0, order, out=shuffled_targets)
        for layers, batch_targets in steps:
            closed_form_step(layers, batch_targets, recipe.lr)
        return cross_entropy(logits, shuffled_targets).item()

    return train_epoch


def _aligned(rows: torch.Tensor) -> torch.Tensor:
    """Pad rows with zeros to whole cache lines: products of aligned rows are up to a fifth faster."""
    return nn.functional.pad(rows, (0, -rows.shape[1] % CACHE_LINE)).contiguous()
