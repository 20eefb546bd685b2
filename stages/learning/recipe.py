"""How to train: what the closed form and autograd both take."""

from typing import Any, NamedTuple


class Recipe(NamedTuple):
    """An optimizer of torch.optim with its arguments, the learning rate, epochs, samples a batch."""

    optimizer: str
    optimizer_args: dict[str, Any]
    lr: float
    epochs: int
    batch_size: int


def lengths(n: int, size: int) -> set[int]:
    """Return how long the pieces of n samples are that are cut into pieces of `size`: the last may be shorter."""
    return {min(n, size), n % size} - {0}
