"""baselines: scikit-learn's models on the same split, and on at most so many samples."""

import numpy as np
import pytest
from conftest import save_dataset
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from stages import baselines, prepare
from stages.files import BASELINES, tensors_path
from stages.results import Baselines


def test_they_are_scikit_learns_on_the_same_split(workplace):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    baselines.main()
    results = Baselines.read(BASELINES).representations
    mfccs, melgrams = (load_file(tensors_path(name)) for name in ("mfccs", "melgrams"))
    over_time = [
        np.concatenate([melgrams[f"{part}_x"].mean(axis=1), melgrams[f"{part}_x"].std(axis=1)], axis=1)
        for part in ("train", "test")
    ]
    inputs = {
        ("mfccs", "svm_rbf", SVC()): (mfccs["train_x"], mfccs["test_x"]),
        ("mfccs", "logistic_regression", LogisticRegression(max_iter=1000)): (mfccs["train_x"], mfccs["test_x"]),
        ("melgrams", "svm_rbf", SVC()): over_time,
    }
    for (name, baseline, model), (train_x, test_x) in inputs.items():
        predicted = make_pipeline(StandardScaler(), model).fit(train_x, mfccs["train_y"]).predict(test_x)
        assert results[name][baseline].f1_macro == pytest.approx(f1_score(mfccs["test_y"], predicted, average="macro"))
    assert results["mfccs"]["majority_class"].accuracy == pytest.approx(1 / 3)
    assert all(result.f1_macro_split_at_random is not None for result in results["mfccs"].values())


@pytest.mark.parametrize(("samples", "learnt"), [(50, 50), (51, 50)])
def test_no_more_samples_are_learnt_from_than_that(monkeypatch, samples, learnt):
    monkeypatch.setattr(baselines, "MOST_SAMPLES", 50)
    fitted, real = [], baselines.columns
    monkeypatch.setattr(baselines, "columns", lambda name, x: fitted.append(len(x)) or real(name, x))
    x, y = np.random.default_rng(0).standard_normal((samples + 20, 3)), np.arange(samples + 20) % 2
    rows = {"train": np.arange(samples), "test": np.arange(samples, samples + 20)}
    baselines.judge("svm_rbf", (x, y, y), rows, 2)
    assert fitted == [learnt, 20]


def test_the_svm_hears_mean_and_deviation_over_time():
    x = np.random.default_rng(0).standard_normal((5, 7, 3))
    over_time = np.concatenate([x.mean(axis=1), x.std(axis=1)], axis=1)
    np.testing.assert_array_equal(baselines.columns("svm_rbf", x), over_time)
    np.testing.assert_array_equal(baselines.columns("logistic_regression", x), x.reshape(5, 21))
    np.testing.assert_array_equal(baselines.columns("svm_rbf", x[:, 0]), x[:, 0])
