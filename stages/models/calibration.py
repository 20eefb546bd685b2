"""Calibration: one number that makes a model neither surer nor less sure of itself than it is right.

Logits are divided by a temperature, fitted to the validation set: Guo et al., On Calibration of Modern Neural Networks
(2017), section 4.2. It changes no order: the likeliest class stays the likeliest.
"""

import math

import torch
from torch.nn.functional import one_hot

MOST = 100  # a temperature lies between this and one over it
STEPS = 50  # halvings, more than double precision needs


def fit_temperature(logits: torch.Tensor, y: torch.Tensor, train_y: torch.Tensor) -> float:
    """Return the temperature that makes classes y, shape (n,), likeliest, given logits of shape (n, classes).

    A class weighs as much as it does among train_y, in the training set: of few artists, which ones the validation set
    holds is chance, and so are the classes' shares of it. (Lipton, Wang and Smola, Detecting and Correcting for Label
    Shift with Black Box Predictors (2018), section 3, weigh the classes of a training set in this way.)

    What is aimed at is 1 + n for the actual class and 1 for each other one, of n + classes in all, not quite n and 0:
    a model whose answers are all right would become infinitely sure (after Platt, Probabilistic Outputs for Support
    Vector Machines (1999), section 2.2). The loss is convex in 1 / temperature: halving finds where its slope is 0.
    """
    logits, (n, n_classes) = logits.double(), logits.shape
    targets = (one_hot(y, n_classes) * n + 1) / (n + n_classes)
    weights = (torch.bincount(train_y, minlength=n_classes).double() / torch.bincount(y, minlength=n_classes))[y, None]
    low, high = -math.log(MOST), math.log(MOST)
    for _ in range(STEPS):
        middle = (low + high) / 2
        slope = (weights * (torch.softmax(logits * math.exp(middle), dim=1) - targets) * logits).sum()
        low, high = (middle, high) if slope < 0 else (low, middle)
    return math.exp(-low)
