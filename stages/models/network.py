"""The networks: from one sample to one logit a class."""

from collections.abc import Iterator
from itertools import accumulate, pairwise
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# The channels into and out of each network's convolutions; an MLP has none.
CHANNELS = {"mlp": (), "cnn": (1, 8, 16, 32, 64)}
KERNEL = 3  # of convolutions, in frames and bands
POOLS = ((1, 2), (2, 2), (2, 2), (2, 2))  # frames and bands over which each convolution's output is pooled
SMALLEST = tuple(map(prod, zip(*POOLS, strict=True)))  # picture that the pooling leaves something of
AT_ONCE = 2**26  # numbers that a layer puts out at once: 256 MiB, and as much again of the layer before


def check_network(network: str, shape: tuple[int, ...]) -> None:
    """Raise a ValueError if a network cannot take samples of a shape: a CNN needs (time, bands), not too small."""
    if CHANNELS[network] and (len(shape) != 2 or shape[0] < SMALLEST[0] or shape[1] < SMALLEST[1]):
        raise ValueError(
            f"whose samples have the shape {tuple(shape)}, expected (time, bands) of at least {SMALLEST}: it convolves "
            "over both, and halves the time three times and the bands four times"
        )


def build_network(
    network: str, shape: tuple[int, ...], hidden: list[int], n_classes: int, seed: int
) -> "torch.nn.Sequential":
    """Build a network on the CPU with the initial weights that `seed` draws, the same for every device.

    An "mlp" has the hidden layers given, with ReLU between them; a "cnn" four convolutions, each with batch norm, ReLU
    and pooling, then the mean and the maximum over time and one linear layer. The weights are torch's default, uniform
    within 1 / sqrt(inputs).
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _layers(CHANNELS[network], shape, _units(network, shape, hidden, n_classes))


def multiply_adds(network: str, shape: tuple[int, ...], hidden: list[int], n_classes: int) -> int:
    """Count the multiplications that one sample takes in linear and convolutional layers; needs no torch."""
    convolutions = sum(
        KERNEL**2 * inputs * outputs * time * bands
        for (inputs, outputs), (time, bands) in zip(pairwise(CHANNELS[network]), _pictures(shape), strict=False)
    )
    units = _units(network, shape, hidden, n_classes)
    return convolutions + sum(inputs * outputs for inputs, outputs in pairwise(units))


def samples_at_once(model: "torch.nn.Sequential", x: "torch.Tensor") -> int:
    """Return how many of the samples x, shape (n, ...), to send through a network at once, as its widest layer allows.

    Fewer samples than that, as all usual data sets have, go in one piece.
    """
    import torch

    widest, numbers = 1, x[:1]
    with torch.inference_mode():
        for layer in model:
            numbers = layer(numbers)
            widest = max(widest, numbers.numel())
    return max(1, AT_ONCE // widest)


def _pictures(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the time and bands of what enters each convolution, and of what leaves the last pooling."""
    return accumulate(POOLS, lambda size, pool: (size[0] // pool[0], size[1] // pool[1]), initial=shape)


def _units(network: str, shape: tuple[int, ...], hidden: list[int], n_classes: int) -> list[int]:
    """Return how many numbers enter the first fully connected layer, and the units of each."""
    if not CHANNELS[network]:
        return [prod(shape), *hidden, n_classes]
    *_, (_, bands) = _pictures(shape)
    return [2 * CHANNELS[network][-1] * bands, n_classes]


def _layers(channels: tuple[int, ...], shape: tuple[int, ...], units: list[int]) -> "torch.nn.Sequential":
    from torch import nn

    from stages.models.pooling import MeanAndMaximum

    layers: list[nn.Module] = [nn.Unflatten(1, (1, shape[0]))] if channels else []
    for (inputs, outputs), pool in zip(pairwise(channels), POOLS, strict=False):
        convolution = nn.Conv2d(inputs, outputs, KERNEL, padding=KERNEL // 2, bias=False)  # the norm has a bias
        # ReLU after pooling: the same numbers as before it, from half or a quarter of the work.
        layers += [convolution, nn.BatchNorm2d(outputs), nn.MaxPool2d(pool), nn.ReLU()]
    layers += [MeanAndMaximum()] if channels else []
    layers.append(nn.Flatten())
    for inputs, outputs in pairwise(units):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
