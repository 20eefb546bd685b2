"""Pooling over time: what a convolutional network keeps of a second."""

import torch
from torch import nn


class MeanAndMaximum(nn.Module):
    """The mean and the maximum over time, side by side."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, channels, time, bands) to (n, 2 channels, bands)."""
        return torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)
