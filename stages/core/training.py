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


def _closed_form(
    model: nn.Sequential, x: torch.Tensor, y: torch.Tensor, recipe: Recipe
) -> Callable[[torch.Tensor], float]:
    """Prepare training by the closed-form gradient; the function returned trains one epoch in the given order.

    Everything a step needs is allocated here, once: each batch has its views of the shuffled data and of the buffers.
    The model's own weights become views of the matrices trained here, so that it can be validated and saved at any time.
    """
    linears = [layer for layer in model if isinstance(layer, nn.Linear)]
    weights = [_homogeneous(torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach()) for layer in linears]
    for layer, weight in zip(linears, weights, strict=True):
        layer.weight = nn.Parameter(weight[:, : layer.in_features])
        layer.bias = nn.Parameter(weight[:, layer.in_features])

    n = len(x)
    data = _homogeneous(torch.cat([x.flatten(1), x.new_ones(n, 1)], dim=1))
    targets = one_hot(y, linears[-1].out_features).to(x.dtype)
    shuffled, shuffled_targets = torch.empty_like(data), torch.empty_like(targets)
    logits = torch.empty_like(targets)
    activations = [
        _homogeneous(torch.cat([x.new_zeros(recipe.batch_size, layer.out_features), x.new_ones(recipe.batch_size, 1)], 1))
        for layer in linears[:-1]
    ]
    deltas = [x.new_empty(recipe.batch_size, layer.out_features) for layer in linears]
    steps = []
    for batch in range(0, n, recipe.batch_size):
        rows = slice(batch, min(batch + recipe.batch_size, n))
        size = rows.stop - rows.start
        inputs = [shuffled[rows], *(activation[:size] for activation in activations)]
        outputs = [a[:size, : layer.out_features] for a, layer in zip(activations, linears, strict=False)]
        batch_deltas = [delta[:size] for delta in deltas]
        steps.append((inputs, [*outputs, logits[rows]], shuffled_targets[rows], batch_deltas))

    @torch.inference_mode()
    def train_epoch(order: torch.Tensor) -> float:
        torch.index_select(data, 0, order, out=shuffled)
        torch.index_select(targets, 0, order, out=shuffled_targets)
        for step in steps:
            closed_form_step(weights, *step, recipe.lr)
        return cross_entropy(logits, shuffled_targets).item()

    return train_epoch


def _homogeneous(rows: torch.Tensor) -> torch.Tensor:
    """Pad rows with zeros to whole cache lines: matrix products of aligned rows are a fifth faster."""
    return nn.functional.pad(rows, (0, -rows.shape[1] % CACHE_LINE)).contiguous()


def closed_form_step(
    weights: list[torch.Tensor],
    inputs: list[torch.Tensor],
    outputs: list[torch.Tensor],
    targets: torch.Tensor,
    deltas: list[torch.Tensor],
    lr: float,
) -> None:
    """Do one step of stochastic gradient descent on a batch, in place, without autograd.

    Layer l maps a_l to z_l = a_l W_l^T. Bias is part of W_l, as the column that meets a 1 at the end of a_l; zeros may
    follow it. Between layers a_(l+1) = max(z_l, 0); at the end p = softmax(z) and the loss is L = -mean_i log p_i[y_i].
    With B samples in the batch and one-hot targets t, writing delta_l = B dL/dz_l,

        delta_last = p - t
        delta_(l-1) = (delta_l W_l) where a_l > 0, else 0
        dL/dW_l    = delta_l^T a_l / B
        W_l       <- W_l - lr/B delta_l^T a_l

    (Rumelhart, Hinton and Williams, Nature 323, 1986). delta_(l-1) is taken before W_l moves.

    Args:
        weights: W_l, shape (outputs, inputs + 1 + padding).
        inputs: a_l, shape (B, inputs + 1 + padding): the batch, then the hidden layers' buffers.
        outputs: z_l, shape (B, outputs): views of the next layer's inputs without the 1, and the logits, written.
        targets: t, shape (B, classes).
        deltas: buffers, shape (B, outputs).
        lr: the learning rate.
    """
    last = len(weights) - 1
    for layer, weight in enumerate(weights):
        torch.mm(inputs[layer], weight.t(), out=outputs[layer])
        if layer < last:
            outputs[layer].relu_()
    torch.softmax(outputs[last], dim=1, out=deltas[last]).sub_(targets)
    rate = -lr / len(targets)
    for layer in range(last, -1, -1):
        if layer > 0:
            below, units = deltas[layer - 1], outputs[layer - 1]
            torch.mm(deltas[layer], weights[layer][:, : units.shape[1]], out=below)
            torch.ops.aten.threshold_backward.grad_input(below, units, 0, grad_input=below)
        weights[layer].addmm_(deltas[layer].t(), inputs[layer], alpha=rate)
