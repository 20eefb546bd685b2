"""Stochastic gradient descent on a fully connected network by the closed-form gradient, in preallocated tensors.

Layer l maps a_l to z_l = a_l W_l^T. The bias is part of W_l, as the column that meets a 1 in a_l; zeros may follow it.
Between layers a_(l+1) = max(z_l, 0); at the end p = softmax(z) and the loss is L = -mean_i log p_i[y_i]. With B samples
in the batch and one-hot targets t, writing delta_l = B dL/dz_l,

    delta_last  = p - t
    delta_(l-1) = delta_l W_l where a_l > 0, else 0
    dL/dW_l     = delta_l^T a_l / B
    W_l        <- W_l - lr/B delta_l^T a_l

(Rumelhart, Hinton and Williams, Nature 323, 1986). Every delta is linear in the last one: where the learning rate
changes from step to step, or a class has a weight, delta_last is multiplied by the factor of either.

Several networks of one shape train at once: every tensor then has one more dimension in front, (networks, ...).
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, pairwise
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import one_hot, pad

from stages.training import graphs
from stages.training.job import Recipe, class_weights, decays, lengths

CACHE_LINE = 16  # float32 numbers
CHUNK = 64  # batches shuffled at once: the cost of one call spread thin, and 11 MB of the widest samples


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


class Batch(NamedTuple):
    """One batch of B samples: views of the buffers."""

    layers: list[Layer]  # from the first to the last
    targets: torch.Tensor  # t, shape (B, classes)
    factors: torch.Tensor | None  # of delta_last, shape (B, 1)


class Buffers(NamedTuple):
    """The memory of one training. C is the number of samples in a chunk, B in a batch."""

    x: torch.Tensor  # all samples, (n, inputs)
    one_hots: torch.Tensor  # and their targets, (n, classes)
    weights: list[torch.Tensor]  # of each layer, shape (outputs, inputs + 1 + padding)
    chosen: torch.Tensor  # rows of the samples of a chunk, always (networks, C)
    factors: torch.Tensor | None  # of their delta_last, (C, 1); None where all are 1
    samples: torch.Tensor  # (C, inputs + 1 + padding): the first layer's `a`, batch after batch
    targets: torch.Tensor  # (C, classes), one-hot
    logits: torch.Tensor  # (C, classes)
    hidden: list[torch.Tensor]  # the other layers' `a`, (B, inputs + 1 + padding)
    deltas: list[torch.Tensor]  # of each layer, (B, outputs)
    losses: torch.Tensor  # summed over the samples of an epoch, always (networks,)


KNOWN = ("lr", "epochs", "batch_size", "schedule", "class_weights")


def serves(model: nn.Sequential, recipe: Recipe) -> bool:
    """Return whether this module can train the network: fully connected layers, SGD, no extras but KNOWN ones."""
    usual = Recipe._field_defaults | {name: getattr(recipe, name) for name in KNOWN}
    return recipe == Recipe(**usual | {"optimizer": "SGD", "optimizer_args": {}}) and all(
        isinstance(layer, nn.Flatten | nn.Linear | nn.ReLU) for layer in model
    )


def trainer(
    models: list[nn.Sequential], x: torch.Tensor, y: torch.Tensor, recipe: Recipe
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that trains the networks, in place, for one epoch in given orders.

    It takes orders of shape (networks, n) and returns the networks' mean losses, shape (networks,). Samples are
    shuffled into a buffer chunk by chunk: however many there are, no second copy is made. The networks are of one shape
    that `serves`; their weights become views of the buffers, so that they can be validated and saved at any time.
    """
    buffers = allocate(models, x.flatten(1), y, recipe)
    chunk, train, left = buffers.chosen.shape[1], {}, decays(recipe, len(x))
    step_of = torch.arange(chunk, device=x.device) // recipe.batch_size
    weights = class_weights(recipe, y, models[0][-1].out_features)
    weight_of = x.new_ones(len(x)) if weights is None else weights.to(x.dtype)[y]
    for rows in lengths(len(x), chunk):
        batches = list(batches_of(buffers, rows, recipe.batch_size))
        work = partial(train_chunk, buffers, batches, rows, recipe.lr)
        train[rows] = graphs.replayable(work, [*buffers.weights, buffers.losses])

    def train_epoch(orders: torch.Tensor) -> torch.Tensor:
        buffers.losses.zero_()
        for order in orders.split(chunk, dim=1):
            rows = order.shape[1]
            buffers.chosen[:, :rows] = order
            if buffers.factors is not None:
                decay = x.new_tensor(list(islice(left, -(-rows // recipe.batch_size))))
                buffers.factors[..., :rows, 0] = decay[step_of[:rows]] * weight_of[order]
            train[rows]()
        return buffers.losses / len(x)

    return train_epoch


def merged_weights(models: list[nn.Sequential]) -> list[torch.Tensor]:
    """Return each layer's weights and biases of all networks in one aligned tensor, of which theirs become views."""
    merged = []
    for linears in zip(*([layer for layer in model if isinstance(layer, nn.Linear)] for model in models), strict=True):
        own = aligned(torch.stack([torch.cat([each.weight, each.bias[:, None]], dim=1) for each in linears]).detach())
        for linear, weight in zip(linears, own, strict=True):
            linear.weight = nn.Parameter(weight[:, : linear.in_features])
            linear.bias = nn.Parameter(weight[:, linear.in_features])
        merged.append(own if len(models) > 1 else own[0])
    return merged


def allocate(models: list[nn.Sequential], x: torch.Tensor, y: torch.Tensor, recipe: Recipe) -> Buffers:
    """Return buffers for the networks and samples x, shape (n, columns), of classes y, shape (n,)."""
    weights, batch_size = merged_weights(models), recipe.batch_size
    plain = (recipe.schedule, recipe.class_weights) == ("constant", "none")
    lead, rows = weights[0].shape[:-2], min(CHUNK * batch_size, len(x))
    widths = [weight.shape[-2] for weight in weights]

    def with_ones(rows: int, columns: int) -> torch.Tensor:
        return aligned(torch.cat([x.new_zeros(*lead, rows, columns), x.new_ones(*lead, rows, 1)], dim=-1))

    return Buffers(
        x=x,
        one_hots=one_hot(y, widths[-1]).to(x.dtype),
        weights=weights,
        chosen=torch.zeros(len(models), rows, dtype=torch.int64, device=x.device),
        factors=None if plain else x.new_zeros(*lead, rows, 1),
        samples=with_ones(rows, x.shape[1]),
        targets=x.new_zeros(*lead, rows, widths[-1]),
        logits=x.new_zeros(*lead, rows, widths[-1]),
        hidden=[with_ones(batch_size, width) for width in widths[:-1]],
        deltas=[x.new_zeros(*lead, batch_size, width) for width in widths],
        losses=x.new_zeros(len(models)),
    )


def batches_of(buffers: Buffers, rows: int, size: int) -> Iterator[Batch]:
    """Yield each batch of a chunk of `rows` samples, views made once and for all."""
    widths = [weight.shape[-2] for weight in buffers.weights]
    inputs = [buffers.x.shape[1], *widths]
    for start, stop in pairwise([*range(0, rows, size), rows]):
        n = stop - start
        a = [buffers.samples[..., start:stop, :], *(each[..., :n, :] for each in buffers.hidden)]
        z = [each[..., :width] for each, width in zip(a[1:], widths, strict=False)]
        z.append(buffers.logits[..., start:stop, :])
        deltas = [each[..., :n, :] for each in buffers.deltas]
        layers = [
            Layer(a[i], z[i], deltas[i], deltas[i].mT, weight, weight.mT, weight[..., : inputs[i]])
            for i, weight in enumerate(buffers.weights)
        ]
        factors = None if buffers.factors is None else buffers.factors[..., start:stop, :]
        yield Batch(layers, buffers.targets[..., start:stop, :], factors)


@torch.inference_mode()
def train_chunk(buffers: Buffers, batches: list[Batch], rows: int, lr: float) -> None:
    """Fetch the first `rows` chosen samples, train on them batch after batch, and add their losses up."""
    several = buffers.samples.dim() == 3
    samples, targets = (each if several else each[None] for each in (buffers.samples, buffers.targets))
    for order, own_samples, own_targets in zip(buffers.chosen, samples, targets, strict=True):
        torch.index_select(buffers.x, 0, order[:rows], out=own_samples[:rows, : buffers.x.shape[1]])
        torch.index_select(buffers.one_hots, 0, order[:rows], out=own_targets[:rows])
    for batch in batches:
        step(batch, lr)
    log_likelihood = torch.log_softmax(buffers.logits[..., :rows, :], dim=-1) * buffers.targets[..., :rows, :]
    buffers.losses.sub_(log_likelihood.sum(dim=(-2, -1)))


def step(batch: Batch, lr: float) -> None:
    """Do one step of stochastic gradient descent on a batch, in place, as the module's head says.

    delta_(l-1) is taken before W_l moves; when W_l has moved, the signs of a_l are all that is still wanted of it, and
    take its place.
    """
    layers, targets, factors = batch
    several = targets.dim() == 3
    product, add_product = (torch.bmm, torch.Tensor.baddbmm_) if several else (torch.mm, torch.Tensor.addmm_)
    for layer in layers[:-1]:
        product(layer.a, layer.weight_t, out=layer.z)
        layer.z.relu_()
    last = layers[-1]
    product(last.a, last.weight_t, out=last.z)
    torch.softmax(last.z, dim=-1, out=last.delta).sub_(targets)
    if factors is not None:
        last.delta.mul_(factors)
    rate = -lr / targets.shape[-2]
    for layer, below in zip(layers[:0:-1], layers[-2::-1], strict=True):
        product(layer.delta, layer.connections, out=below.delta)
        add_product(layer.weight, layer.delta_t, layer.a, alpha=rate)
        below.delta.mul_(below.z.sign_())
    add_product(layers[0].weight, layers[0].delta_t, layers[0].a, alpha=rate)


def aligned(rows: torch.Tensor) -> torch.Tensor:
    """Pad rows with zeros to whole cache lines: products of aligned rows are up to a fifth faster."""
    return pad(rows, (0, -rows.shape[-1] % CACHE_LINE)).contiguous()
