"""Calibration: the temperature is the best there is, by another search, and finite where a model is always right."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.nn.functional import cross_entropy

from stages.models.calibration import MOST, fit_temperature
from stages.models.scoring import calibration_error, reliability


def answers(sharper, n=5000, n_classes=4):
    """Return logits that say how likely each class is, times a factor, and classes drawn as likely as that."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (n, n_classes))
    likely = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (likely.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return torch.from_numpy(sharper * logits), torch.from_numpy(y)


@pytest.mark.parametrize("sharper", [0.2, 1.0, 5.0])
def test_a_model_that_is_too_sure_is_told_by_how_much(sharper):
    logits, y = answers(sharper)
    temperature = fit_temperature(logits, y, y)
    assert temperature == pytest.approx(sharper, rel=0.03)
    calibrated = torch.softmax(logits / temperature, dim=1).numpy()
    assert calibration_error(reliability(calibrated, y.numpy())) < 0.02
    if sharper != 1:
        raw = torch.softmax(logits, dim=1).numpy()
        assert calibration_error(reliability(raw, y.numpy())) > 0.1


@pytest.mark.parametrize("n", [20, 300])
def test_it_is_what_another_search_finds(n):
    logits, y = answers(3.0, n)
    targets = (torch.nn.functional.one_hot(y, 4) * n + 1) / (n + 4)
    found = minimize_scalar(lambda log: cross_entropy(logits / np.exp(log), targets.double()).item(), (-1, 1), tol=1e-9)
    assert fit_temperature(logits, y, y) == pytest.approx(np.exp(found.x), rel=1e-5)


def test_a_model_that_is_always_right_does_not_become_infinitely_sure():
    y = torch.arange(40) % 4
    logits = torch.eye(4)[y]
    confidence = torch.softmax(logits / fit_temperature(logits, y, y), dim=1).max(dim=1).values
    torch.testing.assert_close(confidence, torch.full((40,), 41 / 44))


def test_a_class_weighs_as_much_as_in_training():
    """If validation holds a class's samples four times, but training does not, it is as if they were there once."""
    logits, y = answers(3.0)
    logits[y == 0] *= 3  # a class of its own kind, so that its share matters
    rows = torch.cat([torch.arange(len(y)), torch.nonzero(y == 0)[:, 0].repeat(3)])
    known = fit_temperature(logits, y, y)
    assert fit_temperature(logits[rows], y[rows], y) == pytest.approx(known, rel=1e-3)
    assert fit_temperature(logits[rows], y[rows], y[rows]) != pytest.approx(known, rel=0.1)


@pytest.mark.parametrize("logits", [torch.zeros(4, 4), torch.eye(4), torch.eye(4).roll(1, 0), 1e30 * torch.eye(4)])
def test_few_answers_of_any_kind_give_a_number_within_its_limits(logits):
    """One of each class: of a model that knows nothing, is always right, always wrong, and sure beyond measure."""
    y = torch.arange(4)
    for these in (y, y[:2]):  # two classes have none
        assert 0.99 / MOST < fit_temperature(logits[these], these, y) < 1.01 * MOST
