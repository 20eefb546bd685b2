"""The networks: from one sample to one logit a class."""

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

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


def multiply_adds(model: "torch.nn.Sequential", shape: tuple[int, ...]) -> int:
    """Count the multiplications of one sample's way through the linear and convolutional layers."""
    import torch

    count = 0

    def add(layer: torch.nn.Module, _: tuple, output: torch.Tensor) -> None:
        nonlocal count
        count += layer.weight.numel() * output.numel() // output.shape[1] if output.dim() > 2 else layer.weight.numel()

    layers = [layer for layer in model if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    with torch.inference_mode():
        model(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return count


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

    channels = (1, 16, 32, 64, 128)
    layers: list[nn.Module] = [nn.Unflatten(1, (1, shape[0]))]
    for inputs, outputs in pairwise(channels):
        layers += [nn.Conv2d(inputs, outputs, kernel_size=5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    flat = channels[-1] * (shape[0] // 16) * (shape[1] // 16)
    layers += [nn.Flatten(), nn.Linear(flat, 256), nn.ReLU(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, n_classes)]
    return nn.Sequential(*layers)
