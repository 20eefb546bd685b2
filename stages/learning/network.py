"""The networks: from one sample to one logit a class."""

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# The CNN: four convolutions, each halving the picture, and two hidden layers.
CHANNELS, KERNEL, DENSE = (1, 16, 32, 64, 128), 5, (256, 32)
AT_ONCE = 2**26  # numbers that a layer puts out at once: 256 MiB, and as much again of the layer before


def check_network(network: str, shape: tuple[int, ...]) -> None:
    """Hold that a network can take samples of a shape.

    Raises:
        ValueError: if they are no pictures of time x bands, or too small, and the network is the CNN.
    """
    if network == "cnn" and (len(shape) != 2 or min(shape) < 16):
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
        return _mlp([prod(shape), *hidden, n_classes]) if network == "mlp" else _cnn(shape, n_classes)


def multiply_adds(network: str, shape: tuple[int, ...], hidden: list[int], n_classes: int) -> int:
    """Count the multiplications of one sample's way through the linear and convolutional layers; needs no torch."""
    if network == "mlp":
        return sum(inputs * outputs for inputs, outputs in pairwise([prod(shape), *hidden, n_classes]))
    convolutions = sum(
        KERNEL**2 * inputs * outputs * (shape[0] >> i) * (shape[1] >> i)
        for i, (inputs, outputs) in enumerate(pairwise(CHANNELS))
    )
    return convolutions + sum(inputs * outputs for inputs, outputs in pairwise([_flat(shape), *DENSE, n_classes]))


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


def _mlp(sizes: list[int]) -> "torch.nn.Sequential":
    from torch import nn

    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _cnn(shape: tuple[int, ...], n_classes: int) -> "torch.nn.Sequential":
    from torch import nn

    layers: list[nn.Module] = [nn.Unflatten(1, (1, shape[0]))]
    for inputs, outputs in pairwise(CHANNELS):
        convolution = nn.Conv2d(inputs, outputs, kernel_size=KERNEL, padding=KERNEL // 2)
        layers += [convolution, nn.ReLU(), nn.MaxPool2d(2)]
    layers.append(nn.Flatten())
    for inputs, outputs in pairwise([_flat(shape), *DENSE, n_classes]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _flat(shape: tuple[int, ...]) -> int:
    """Return how many numbers the convolutions leave of a picture that each of them halves."""
    return CHANNELS[-1] * (shape[0] >> 4) * (shape[1] >> 4)
