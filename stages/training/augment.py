"""Augmentation: a batch's samples, varied anew in every epoch.

In this order, each where the recipe asks for it:

- mixup: sample i becomes s x_i + (1 - s) x_j, its classes' shares likewise, with j from a permutation of the batch and
  a share s ~ Beta(alpha, alpha) of its own (Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018, section 2);
- input noise: a number ~ Normal(0, deviation) is added to each (Bishop, Training with Noise is Equivalent to
  Tikhonov Regularization, 1995);
- SpecAugment: of a picture of time x bands one run of frames and one of bands become 0, which is the mean if samples
  are standardized; how many is uniform from 0 to a width (Park et al., SpecAugment, 2019, section 2).

As the batches, all of this is drawn on the CPU from the run's seed.
"""

import numpy as np
import torch

from stages.training.job import Recipe


def augment(x: torch.Tensor, y: torch.Tensor, recipe: Recipe, draw: np.random.Generator) -> None:
    """Change a batch in place: samples x, shape (B, ...), and with mixup the classes' shares y, shape (B, classes)."""
    if recipe.mixup:
        mix([x, y], recipe.mixup, draw)
    if recipe.input_noise:
        x.add_(like(x, draw.standard_normal(x.shape, np.float32)), alpha=recipe.input_noise)
    if x.dim() == 3:
        mask(x, 1, recipe.spec_augment["frames"], draw)
        mask(x, 2, recipe.spec_augment["bands"], draw)


def mix(batch: list[torch.Tensor], alpha: float, draw: np.random.Generator) -> None:
    """Mix each row with another's, alike in all tensors of a batch."""
    shares = draw.beta(alpha, alpha, len(batch[0]))
    others = torch.from_numpy(draw.permutation(len(shares))).to(batch[0].device)
    for each in batch:
        own = like(each, shares).view(-1, *[1] * (each.dim() - 1))
        each.copy_(torch.lerp(each[others], each, own))


def mask(x: torch.Tensor, axis: int, most: int, draw: np.random.Generator) -> None:
    """Set a run of 0 to `most` places along an axis of each picture, shape (B, time, bands), to 0."""
    if not most:
        return
    widths = draw.integers(most, size=len(x), endpoint=True)
    starts = draw.integers(x.shape[axis] - widths, endpoint=True)
    from_start = np.arange(x.shape[axis]) - starts[:, None]
    kept = (from_start < 0) | (from_start >= widths[:, None])
    x.mul_(like(x, kept).unsqueeze(3 - axis))


def like(tensor: torch.Tensor, numbers: np.ndarray) -> torch.Tensor:
    """Return numbers with a tensor's type, on its device."""
    return torch.from_numpy(numbers).to(tensor)
