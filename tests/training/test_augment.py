"""Augmentation: what a batch becomes, by the definitions, and how often."""

import numpy as np
import pytest
import torch
from conftest import samples
from torch.nn.functional import cross_entropy, one_hot
from training.training_loop import train

from stages.models.network import build_network
from stages.training.augment import augment
from stages.training.job import Recipe

PLAIN = Recipe("SGD", {}, 0.05, 2, 16)
N, SHAPE = 5000, (6, 8)


def augmented(shape=SHAPE, n=N, **changes):
    """Return a batch of ones and of what it is mixed from, before and after."""
    x, y = torch.ones(n, *shape), one_hot(torch.arange(n) % 3, 3).float()
    augment(x, y, PLAIN._replace(**changes), np.random.default_rng(3))
    return x, y


def test_by_default_nothing_is_changed_and_nothing_drawn():
    draw = np.random.default_rng(3)
    augment(x := torch.ones(4, *SHAPE), y := torch.ones(4, 3), PLAIN, draw)
    assert x.eq(1).all() and y.eq(1).all()
    assert draw.random() == np.random.default_rng(3).random()


def test_input_noise_has_its_deviation_in_every_number():
    x, y = augmented(input_noise=0.25)
    assert x.mean().item() == pytest.approx(1, abs=5 * 0.25 / x.numel() ** 0.5)
    assert x.std(dim=0) == pytest.approx(torch.full(SHAPE, 0.25), abs=5 * 0.25 / (2 * N) ** 0.5)
    correlation = np.corrcoef(x.flatten(1).T) - np.eye(x[0].numel())
    assert np.abs(correlation).max() < 6 / N**0.5
    assert torch.equal(y, one_hot(torch.arange(N) % 3, 3).float())


@pytest.mark.parametrize(("axis", "name"), [(1, "frames"), (2, "bands")])
def test_a_mask_is_one_run_whose_width_is_uniform_from_nothing(axis, name):
    x, _ = augmented(spec_augment={"bands": 0, "frames": 0} | {name: 3})
    masked = x.amax(dim=3 - axis) == 0
    assert torch.equal(masked, x.amin(dim=3 - axis) == 0), "a whole frame or band, or none of it"
    widths, size = masked.sum(dim=1), SHAPE[axis - 1]
    assert (masked.int().diff(dim=1, prepend=torch.zeros(N, 1).int()) == 1).sum(dim=1).equal((widths > 0).long())
    five_deviations = 5 * (0.25 * 0.75 / N) ** 0.5
    assert widths.bincount().div(N).tolist() == pytest.approx([0.25] * 4, abs=five_deviations)
    starts = masked[widths == 3].int().argmax(dim=1).bincount(minlength=size)
    assert starts[: size - 2].div(starts.sum()).tolist() == pytest.approx([1 / (size - 2)] * (size - 2), abs=0.06)


def test_both_masks_at_once_may_be_as_wide_as_the_picture_and_others_have_none():
    both = {"frames": 6, "bands": 8}
    x, _ = augmented(spec_augment=both)
    frames, bands = (x.amax(dim=axis) == 0 for axis in (2, 1))
    assert frames.any() and bands.any()
    assert augmented((48,), spec_augment=both)[0].eq(1).all()


@pytest.mark.parametrize("alpha", [0.2, 1, 5])
def test_mixup_shares_samples_and_classes_alike(alpha):
    """Sample i is i: what it has become says with whom it was mixed, and how."""
    x, y = torch.arange(N, dtype=torch.float64)[:, None, None] * torch.ones(SHAPE), torch.eye(N, dtype=torch.float64)
    augment(x, y, PLAIN._replace(mixup=alpha), np.random.default_rng(3))
    torch.testing.assert_close(x, (y @ torch.arange(N).double())[:, None, None].expand(x.shape), rtol=0, atol=1e-9)
    torch.testing.assert_close(y.sum(dim=1), torch.ones(N).double(), rtol=0, atol=1e-12)
    assert ((y > 0).sum(dim=1) <= 2).all()
    share = y.diagonal()
    assert share.mean().item() == pytest.approx(0.5, abs=0.03)
    assert share.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1), "of Beta(alpha, alpha)"
    partners = torch.where(torch.eye(N).bool(), 0, y).argmax(dim=1)[(share < 1) & (share > 0)]
    assert len(partners.unique()) == len(partners), "each is mixed into one other"


def test_a_batch_is_mixed_then_disturbed_then_masked():
    """So that what is masked says nothing."""
    x, _ = augmented(mixup=0.4, input_noise=1.0, spec_augment={"bands": 5, "frames": 0})
    both, mixed = (np.random.default_rng(3) for _ in range(2))
    for draw in (both, mixed):
        draw.beta(0.4, 0.4, N), draw.permutation(N)
    noise = torch.from_numpy(both.standard_normal((N, *SHAPE), np.float32))
    torch.testing.assert_close(x, torch.where(x == 0, 0, 1 + noise), rtol=0, atol=1e-6)
    assert 0.2 < (x == 0).double().mean() < 0.4


def test_training_is_on_what_a_batch_has_become():
    """Against a plain loop: each run's chance is its own seed's, and the loss told is that of the mixed samples."""
    recipe = PLAIN._replace(mixup=0.4, input_noise=0.5, label_smoothing=0.1, spec_augment={"bands": 3, "frames": 2})
    models, plain = ([build_network("mlp", SHAPE, [9], 3, seed).double() for seed in (5, 6)] for _ in range(2))
    (x, y), val = (samples(n, SHAPE, 3, torch.float64, n) for n in (75, 30))
    histories = train(models, [(x, y), val], recipe, [5, 6])
    for seed, model, other, epochs in zip((5, 6), models, plain, histories, strict=True):
        shuffle, draw = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
        optimizer = torch.optim.SGD(other.parameters(), lr=0.05)
        for epoch in epochs:
            total = 0.0
            for rows in torch.randperm(len(y), generator=shuffle).split(16):
                batch, shares = x[rows], one_hot(y[rows], 3).double()
                augment(batch, shares, recipe, draw)
                optimizer.zero_grad()
                told = other(batch)
                cross_entropy(told, 0.9 * shares + 0.1 / 3).backward()
                optimizer.step()
                total += cross_entropy(told, shares, reduction="sum").item()
            assert epoch.train_loss == pytest.approx(total / len(y), abs=1e-7)
        for name, value in other.state_dict().items():
            torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=1e-12)
