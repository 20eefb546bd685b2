"""What to train and how, and the result. No torch here: the process that hands out the work needs none."""

from collections.abc import Iterator
from itertools import repeat
from math import cos, pi
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.common.records import Description, Epoch
from stages.models.network import build_network, multiply_adds

if TYPE_CHECKING:
    import torch
    from torch import nn


NO_MASKS = {"bands": 0, "frames": 0}


class Recipe(NamedTuple):
    """An optimizer of torch.optim with its arguments, the learning rate and its schedule, epochs, samples a batch."""

    optimizer: str
    optimizer_args: dict[str, Any]
    lr: float
    epochs: int
    batch_size: int
    schedule: str = "constant"  # or "cosine": see `decays`
    class_weights: str = "none"  # or "balanced": see `class_weights`
    dropout: float = 0.0  # the probability that a hidden unit is left out of a step
    label_smoothing: float = 0.0  # of a sample's class, what all classes share alike
    input_noise: float = 0.0  # this and the next two: see stages/training/augment.py
    mixup: float = 0.0
    spec_augment: dict[str, int] = NO_MASKS


class Job(NamedTuple):
    """Runs on one representation that train side by side in one process: a network from each seed."""

    name: str  # of the representation
    network: str
    shape: tuple[int, ...]  # of one sample
    hidden: list[int]
    n_classes: int
    recipe: Recipe
    seed: int  # of run 0; run r has this plus r
    runs: range
    snapshots: str  # which weights are kept: "improved" (validation macro F1), "every", "last"

    @property
    def seeds(self) -> list[int]:
        """Each run's seed."""
        return [self.seed + run for run in self.runs]

    def new_model(self, seed: int) -> "nn.Sequential":
        """Return the network with the initial weights that `seed` draws."""
        return build_network(self.network, self.shape, self.hidden, self.n_classes, seed)

    def multiply_adds(self) -> int:
        """Return the multiplications of one sample's way through the network."""
        return multiply_adds(self.network, self.shape, self.hidden, self.n_classes)


class Setting(NamedTuple):
    """What all jobs of a training have in common."""

    folder: Path  # where the project is
    device: str  # "cpu" or "gpu"
    description: Description
    learns: str  # the fingerprint of what is learnt
    cores: int  # for a process
    rehearsed: list[Job]  # one of each representation: a little of them is trained before the first run


class Trained(NamedTuple):
    """The result of a job, and where it was computed."""

    job: Job
    epochs: list[list[Epoch]]  # of each run; fewer than asked for if it diverged
    seconds: dict[str, float]  # of each run, by part; the total from start to end
    started: float  # seconds since 1970, which hosts agree on
    ended: float
    threads: int
    process: tuple[str, int]  # host and number
    hardware: dict[str, Any]
    peak_mib: float  # of a GPU's memory; 0 on a CPU


def decays(recipe: Recipe, n: int) -> Iterator[float]:
    """Return the factor of the learning rate, step by step, in a training on n samples.

    constant: always 1. cosine: (1 + cos(pi t / T)) / 2 at step t of T, from 1 down to 0;
    Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017), equation 5, without restarts.
    """
    steps = recipe.epochs * -(-n // recipe.batch_size)
    cosine = ((1 + cos(pi * step / steps)) / 2 for step in range(steps))
    return {"constant": repeat(1.0), "cosine": cosine}[recipe.schedule]


def class_weights(recipe: Recipe, y: "torch.Tensor", n_classes: int) -> "torch.Tensor | None":
    """Return each class's weight, shape (classes,), float64, or None if classes have none.

    balanced: n / (classes x n_c) for each class c, so that all classes weigh the same.

    Their mean over the n samples is 1. A batch's loss is the plain mean of its samples' weighted losses, as in
    scikit-learn: its expectation is the mean of the classes' mean losses. Divided by the sum of the batch's weights, as
    PyTorch does, it would not be, and in a batch of one class the weights would cancel out. King and Zeng, Logistic
    Regression in Rare Events Data (2001). A class that is not in y, shape (n,), has an infinite weight, which nobody
    asks for.
    """
    match recipe.class_weights:
        case "none":
            return None
        case "balanced":
            return len(y) / (n_classes * y.bincount(minlength=n_classes).double())
    raise KeyError(recipe.class_weights)


def lengths(n: int, size: int) -> set[int]:
    """Return the lengths of the pieces of n samples cut into pieces of `size`: the last may be shorter."""
    return {min(n, size), n % size} - {0}
