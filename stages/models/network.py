"""The networks: from one sample to one logit a class."""

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# What goes in and out of each network's convolutions, of which each halves the picture; an MLP has none.
CHANNELS = {"mlp": (), "cnn": (1, 16, 32, 64, 128)}
KERNEL, DENSE = 5, (256, 32)  # of convolutions, and the units of the hidden layers behind them
AT_ONCE = 2**26  # numbers that a layer puts out at once: 256 MiB, and as much again of the layer before


def check_network(network: str, shape: tuple[int, ...]) -> None:
    """Check that a network can take samples of a shape.

    Raises:
        ValueError: if they are no pictures of time x bands, or too small, and the network is the CNN.
    """
    if CHANNELS[network] and (len(shape) != 2 or min(shape) < 16):
        raise ValueError(
            f"whose samples have the shape {tuple(shape)}, expected (time, bands) of at least (16, 16): it convolves "
            "over both and halves them four times"
        )


def build_network(
    network: str, shape: tuple[int, ...], hidden: list[int], n_classes: int, seed: int
) -> "torch.nn.Sequential":
    """Build a network on the CPU with the initial weights that `seed` draws, the same whatever device trains it.

    Args:
        network: "mlp" (the hidden layers given, ReLU between them) or "cnn" (four convolutions, then 256 and 32).
        shape: one sample's shape.
        hidden: units of each hidden layer of the MLP.
        n_classes: number of logits.
        seed: draws the initial weights: torch's default, uniform within 1 / sqrt(inputs).
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _layers(CHANNELS[network], shape, _units(network, shape, hidden, n_classes))


def multiply_adds(network: str, shape: tuple[int, ...], hidden: list[int], n_classes: int) -> int:
    """Count the multiplications of one sample's way through the linear and convolutional layers; needs no torch."""
    convolutions = sum(
        KERNEL**2 * inputs * outputs * (shape[0] >> i) * (shape[1] >> i)
        for i, (inputs, outputs) in enumerate(pairwise(CHANNELS[network]))
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


def _units(network: str, shape: tuple[int, ...], hidden: list[int], n_classes: int) -> list[int]:
    """Return how many numbers enter the first fully connected layer, and the units of each."""
    if not CHANNELS[network]:
        return [prod(shape), *hidden, n_classes]
    halved = len(CHANNELS[network]) - 1
    return [CHANNELS[network][-1] * (shape[0] >> halved) * (shape[1] >> halved), *DENSE, n_classes]


def _layers(channels: tuple[int, ...], shape: tuple[int, ...], units: list[int]) -> "torch.nn.Sequential":
    from torch import nn

    layers: list[nn.Module] = [nn.Unflatten(1, (1, shape[0]))] if channels else []
    for inputs, outputs in pairwise(channels):
        convolution = nn.Conv2d(inputs, outputs, kernel_size=KERNEL, padding=KERNEL // 2)
        layers += [convolution, nn.ReLU(), nn.MaxPool2d(2)]
    layers.append(nn.Flatten())
    for inputs, outputs in pairwise(units):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
