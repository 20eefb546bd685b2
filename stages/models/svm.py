"""The support vector machine as a network: from samples to logits by layers, kept as safetensors like any other.

scikit-learn's SVC (an RBF kernel, one machine per pair of classes) learns it. A class's score is the mean of its pairs'
decision values: unlike their vote it is a smooth function, and the same sum of kernels as each pair's, with other
weights. Logits are scores divided by a temperature (stages/models/calibration.py), which is part of its last layer.
"""

from itertools import combinations
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from stages.models.calibration import fit_temperature

if TYPE_CHECKING:
    from sklearn.svm import SVC


class Columns(nn.Module):
    """From pictures, (n, time, bands), to rows: each band's mean and deviation over time; rows stay as they are."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map samples x, shape (n, ...), to (n, columns)."""
        if x.ndim > 2:
            mean = x.mean(dim=1)
            x = torch.cat([mean, torch.sqrt(((x - mean[:, None]) ** 2).mean(dim=1))], dim=1)
        return x.flatten(1)


class Kernels(nn.Module):
    """How near a row of d columns, standardized, is to each of m support vectors: exp(-gamma |row - vector|^2)."""

    def __init__(self, m: int, d: int) -> None:
        """Allocate the parameters."""
        super().__init__()
        for name, shape in {"vectors": (m, d), "centre": (d,), "scale": (d,), "gamma": ()}.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape), requires_grad=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows x, shape (n, d), to (n, m)."""
        rows = (x - self.centre) / self.scale
        squares = (rows**2).sum(dim=1, keepdim=True) + (self.vectors**2).sum(dim=1)
        return torch.exp(-self.gamma * (squares - 2 * rows @ self.vectors.T).clamp(min=0))


class Svm(nn.Sequential):
    """A machine of `vectors` support vectors, for samples of a shape."""

    def __init__(self, vectors: int, shape: tuple[int, ...], n_classes: int) -> None:
        """Allocate the parameters."""
        d = 2 * prod(shape[1:]) if len(shape) > 1 else shape[0]
        super().__init__(Columns(), Kernels(vectors, d), nn.Linear(vectors, n_classes))
        self.requires_grad_(False)


def fit(x: np.ndarray, y: np.ndarray, class_weight: str | None) -> Svm:
    """Learn samples x, shape (n, ...) float32, of classes y, shape (n,); `class_weight` is scikit-learn's."""
    from sklearn.svm import SVC

    rows = Columns()(torch.from_numpy(x)).numpy()
    centre, scale = rows.mean(axis=0), rows.std(axis=0)
    scale[scale == 0] = 1
    learnt = SVC(class_weight=class_weight).fit((rows - centre) / scale, y)
    machine = Svm(len(learnt.support_vectors_), x.shape[1:], len(learnt.classes_))
    _, kernels, linear = machine
    weights, bias = scores_of(learnt)
    numbers = {kernels.vectors: learnt.support_vectors_, kernels.centre: centre, kernels.scale: scale}
    numbers |= {kernels.gamma: learnt._gamma, linear.weight: weights.T, linear.bias: bias}
    for parameter, values in numbers.items():
        parameter.copy_(torch.as_tensor(np.asarray(values, np.float32)))
    return machine


def scores_of(learnt: "SVC") -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of the support vectors, shape (m, classes), and the bias, of the classes' scores.

    libsvm keeps, for a vector of class i, its weight against class j in row j, or in row j - 1 if j > i.
    """
    n, ends = len(learnt.n_support_), np.cumsum(learnt.n_support_)
    own = [slice(end - size, end) for end, size in zip(ends, learnt.n_support_, strict=True)]
    weights, bias = np.zeros((ends[-1], n)), np.zeros(n)
    for (i, j), intercept in zip(combinations(range(n), 2), learnt._intercept_, strict=True):
        for rows, row in ((own[i], j - 1), (own[j], i)):
            weights[rows, i] += learnt._dual_coef_[row, rows]
            weights[rows, j] -= learnt._dual_coef_[row, rows]
        bias[[i, j]] += intercept, -intercept
    return weights / (n - 1), bias / (n - 1)


@torch.inference_mode()
def calibrate(machine: Svm, x: torch.Tensor, y: torch.Tensor, train_y: torch.Tensor) -> None:
    """Divide the machine's scores by the temperature that suits samples x, of classes y, after training on train_y."""
    temperature = fit_temperature(machine(x), y, train_y)
    machine[-1].weight /= temperature
    machine[-1].bias /= temperature
