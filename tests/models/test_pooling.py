"""Pooling over time."""

import torch

from stages.models.pooling import MeanAndMaximum


def test_the_mean_and_the_maximum_over_time_stand_side_by_side():
    x = torch.arange(2 * 3 * 4 * 5).float().view(2, 3, 4, 5) % 7
    pooled = MeanAndMaximum()(x)
    assert pooled.shape == (2, 6, 5)
    for sample, both in zip(x, pooled, strict=True):
        for channel in range(3):
            columns = list(zip(*sample[channel].tolist(), strict=True))
            assert both[channel].tolist() == [sum(column) / 4 for column in columns]
            assert both[3 + channel].tolist() == [max(column) for column in columns]
