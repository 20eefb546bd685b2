"""Calibration: the temperature is the best there is, by another search, and finite where a model is always right."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.nn.functional import cross_entropy

from stages.models.calibration import fit_temperature
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
    temperature = fit_temperature(logits, y)
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
    assert fit_temperature(logits, y) == pytest.approx(np.exp(found.x), rel=1e-5)


def test_a_model_that_is_always_right_does_not_become_infinitely_sure():
    y = torch.arange(40) % 4
    logits = torch.eye(4)[y]
    confidence = torch.softmax(logits / fit_temperature(logits, y), dim=1).max(dim=1).values
    torch.testing.assert_close(confidence, torch.full((40,), 41 / 44))
