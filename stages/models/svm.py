"""The support vector machine as a model like any other: a torch module from samples to logits, kept as safetensors.

scikit-learn's SVC (an RBF kernel, one machine a pair of classes) learns it. A class's score is the mean of what its
pairs say for it: unlike their vote it is a smooth function, and the same sum of kernels as each pair's, with other
weights.
Logits are scores divided by a temperature, fitted to the validation set: Guo et al., On Calibration of Modern Neural
Networks (2017), section 4.2.
"""

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from sklearn.svm import SVC

AT_ONCE = 2**24  # kernel values in memory at once: 64 MiB
TEMPERATURES = np.geomspace(0.01, 100, 2001)  # of which the best is taken


class Svm(nn.Module):
    """A machine of m support vectors of d columns."""

    def __init__(self, m: int, d: int, n_classes: int) -> None:
        """Make room for its numbers."""
        super().__init__()
        shapes = {"vectors": (m, d), "weights": (m, n_classes), "bias": (n_classes,), "centre": (d,), "scale": (d,)}
        for name, shape in {**shapes, "gamma": ()}.items():
            self.register_buffer(name, torch.empty(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map samples x, shape (n, ...), to logits, shape (n, classes)."""
        rows = (columns(x) - self.centre) / self.scale
        pieces = rows.split(max(1, AT_ONCE // len(self.vectors)))
        return torch.cat([self.kernels(piece) @ self.weights + self.bias for piece in pieces])

    def kernels(self, rows: torch.Tensor) -> torch.Tensor:
        """Return exp(-gamma |row - vector|^2), shape (n, m)."""
        squares = (rows**2).sum(dim=1, keepdim=True) + (self.vectors**2).sum(dim=1)
        return torch.exp(-self.gamma * (squares - 2 * rows @ self.vectors.T).clamp(min=0))


def columns(x: torch.Tensor) -> torch.Tensor:
    """Return samples as rows: of pictures, (n, time, bands), each band's mean and deviation over time."""
    if x.ndim > 2:
        x = torch.cat([x.mean(dim=1), x.std(dim=1, correction=0)], dim=1)
    return x.reshape(len(x), -1)


def fit(x: np.ndarray, y: np.ndarray, class_weight: str | None) -> Svm:
    """Learn samples x, shape (n, ...) float32, of classes y, shape (n,); `class_weight` is scikit-learn's."""
    from sklearn.svm import SVC

    rows = columns(torch.from_numpy(x)).numpy()
    centre, scale = rows.mean(axis=0), rows.std(axis=0)
    scale[scale == 0] = 1
    learnt = SVC(class_weight=class_weight).fit((rows - centre) / scale, y)
    machine = Svm(*learnt.support_vectors_.shape, len(learnt.classes_))
    weights, bias = scores_of(learnt)
    numbers = {"vectors": learnt.support_vectors_, "weights": weights, "bias": bias, "centre": centre, "scale": scale}
    for name, values in {**numbers, "gamma": learnt._gamma}.items():
        getattr(machine, name).copy_(torch.as_tensor(np.asarray(values, np.float32)))
    return machine


def scores_of(learnt: "SVC") -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of the support vectors, shape (m, classes), and the bias, of the classes' scores.

    libsvm keeps, for a vector of class i, its weight against class j in row j, or in row j - 1 if j is behind i.
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
def calibrate(machine: Svm, x: torch.Tensor, y: torch.Tensor) -> None:
    """Divide the machine's scores by the temperature that makes samples x, of classes y, likeliest."""
    scores = machine(x).double()
    losses = [nn.functional.cross_entropy(scores / temperature, y).item() for temperature in TEMPERATURES]
    temperature = TEMPERATURES[int(np.argmin(losses))]
    machine.weights /= temperature
    machine.bias /= temperature
