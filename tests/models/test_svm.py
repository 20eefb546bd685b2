"""The support vector machine: scikit-learn's own answers, from tensors alone, and probabilities that are calibrated."""

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from stages.models import svm
from stages.models.calibration import fit_temperature
from stages.models.network import AT_ONCE, samples_at_once


def data(n_classes, shape=(5,), n=200, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)
    x = rng.normal(3, 2, (n, *shape)) + y.reshape(-1, *[1] * len(shape))
    return x.astype(np.float32), y


def pairs(n):
    return [(i, j) for i in range(n) for j in range(i + 1, n)]


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_a_score_is_the_mean_of_what_scikit_learns_pairs_say(n_classes, class_weight):
    (x, y), (others, _) = data(n_classes), data(n_classes, seed=1)
    learnt = make_pipeline(StandardScaler(), SVC(decision_function_shape="ovo", class_weight=class_weight)).fit(x, y)
    decisions = learnt.decision_function(others).reshape(len(others), -1)
    decisions = -decisions if n_classes == 2 else decisions  # scikit-learn: positive is the second of two
    expected = np.zeros((len(others), n_classes))
    for (i, j), decision in zip(pairs(n_classes), decisions.T, strict=True):
        expected[:, i] += decision / (n_classes - 1)
        expected[:, j] -= decision / (n_classes - 1)
    machine = svm.fit(x, y, class_weight)
    np.testing.assert_allclose(machine(torch.from_numpy(others)).numpy(), expected, atol=1e-3)


def test_pictures_are_their_bands_mean_and_deviation_over_time():
    (x, y), (others, _) = data(3, (7, 4)), data(3, (7, 4), seed=1)
    flat = [np.concatenate([each.mean(axis=1), each.std(axis=1)], axis=1) for each in (x, others)]
    expected = svm.fit(flat[0], y, None)(torch.from_numpy(flat[1]))
    torch.testing.assert_close(svm.fit(x, y, None)(torch.from_numpy(others)), expected, rtol=1e-4, atol=1e-4)


def test_a_constant_column_changes_nothing():
    x, y = data(3)
    more = np.concatenate([x, np.full((len(x), 1), 5, np.float32)], axis=1)
    machine = svm.fit(more, y, None)
    assert machine[1].scale[-1] == 1
    assert torch.isfinite(machine(torch.from_numpy(more))).all()


def test_its_numbers_are_divided_by_the_temperature():
    (x, y), (other_x, other_y) = data(3), data(3, seed=1)
    machine = svm.fit(x, y, None)
    other_x, other_y = torch.from_numpy(other_x), torch.from_numpy(other_y)
    before = machine(other_x)
    train_y = torch.tensor([0, 0, 0, 1, 2])
    temperature = fit_temperature(before, other_y, train_y)
    assert temperature != pytest.approx(1, abs=0.05)
    svm.calibrate(machine, other_x, other_y, train_y)
    torch.testing.assert_close(machine(other_x), before / temperature, rtol=1e-4, atol=1e-5)
    assert fit_temperature(machine(other_x), other_y, train_y) == pytest.approx(1, abs=1e-4)


def test_as_many_samples_go_at_once_as_its_vectors_allow():
    x, y = data(3)
    machine = svm.fit(x, y, None)
    assert samples_at_once(machine, torch.from_numpy(x)) == AT_ONCE // len(machine[1].vectors)
