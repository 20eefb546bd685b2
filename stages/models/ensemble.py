"""The ensemble: models that answer with the mean of their probabilities.

Lakshminarayanan, Pritzel and Blundell, Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles
(2017), section 2.4.
"""

import math
from collections.abc import Iterable

import torch
from torch import nn


class Ensemble(nn.ModuleList):
    """Models as one, whose softmax is the mean of theirs; its weights are called MEMBER.KEY."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map samples x, shape (n, ...), to (n, classes)."""
        return log_mean_probability(member(x) for member in self)


def together(models: list[nn.Module]) -> nn.Module:
    """Return several models as an Ensemble, a single one as it is."""
    return Ensemble(models) if len(models) > 1 else models[0]


def log_mean_probability(logits: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return the logarithm of the mean of several models' probabilities, from logits taken one by one, (n, classes)."""
    total, members = torch.tensor(-torch.inf), 0
    for each in logits:
        total, members = torch.logaddexp(total, torch.log_softmax(each, dim=1)), members + 1
    return total - math.log(members)
