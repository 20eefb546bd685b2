"""baselines: scikit-learn's models on the same split, and on at most so many samples."""

import numpy as np
import pytest
from conftest import make_arrays, save_arrays, write_params
from memory import runs_within
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from stages import baselines, prepare
from stages.common.files import BASELINES, tensors_path
from stages.common.results import Baselines


@pytest.mark.parametrize(("class_weights", "weight"), [("none", None), ("balanced", "balanced")])
def test_they_are_scikit_learns_on_the_same_split(workplace, class_weights, weight):
    for name, shape in {"mfccs": (6,), "melgrams": (16, 16)}.items():
        X, labels, groups = make_arrays(n=240, shape=shape)
        rare = (labels != "rock") | (groups % 4 == 0)
        save_arrays(workplace / "data" / "mine" / name, X[rare] * 0.5, labels[rare], groups[rare])
    write_params(class_weights=class_weights)
    prepare.main()
    baselines.main()
    results = Baselines.read(BASELINES).representations
    mfccs, melgrams = (load_file(tensors_path(name)) for name in ("mfccs", "melgrams"))
    over_time = [
        np.concatenate([melgrams[f"{part}_x"].mean(axis=1), melgrams[f"{part}_x"].std(axis=1)], axis=1)
        for part in ("train", "test")
    ]
    near = KNeighborsClassifier(5)
    inputs = {
        ("mfccs", "k_nearest_neighbours", near): (mfccs["train_x"], mfccs["test_x"]),
        ("melgrams", "k_nearest_neighbours", near): over_time,
        ("mfccs", "svm_rbf", SVC(class_weight=weight)): (mfccs["train_x"], mfccs["test_x"]),
        ("mfccs", "logistic_regression", LogisticRegression(max_iter=1000, class_weight=weight)): (
            mfccs["train_x"],
            mfccs["test_x"],
        ),
        ("melgrams", "svm_rbf", SVC(class_weight=weight)): over_time,
    }
    for (name, baseline, model), (train_x, test_x) in inputs.items():
        predicted = make_pipeline(StandardScaler(), model).fit(train_x, mfccs["train_y"]).predict(test_x)
        found, songs, actual = results[name][baseline], mfccs["test_unit"], mfccs["test_y"]
        assert found.f1_macro == pytest.approx(f1_score(actual, predicted, average="macro"))
        votes = [np.bincount(predicted[songs == song], minlength=3).argmax() for song in np.unique(songs)]
        truth = [actual[songs == song][0] for song in np.unique(songs)]
        assert found.track.f1_macro == pytest.approx(f1_score(truth, votes, average="macro"))
        assert found.track.tracks == len(votes)
    assert results["mfccs"]["majority_class"].accuracy == pytest.approx((mfccs["test_y"] == 0).mean())
    assert all(result.f1_macro_split_at_random is not None for result in results["mfccs"].values())


def rows_of(rows):
    """Return samples that say which row they are."""
    return rows[:, None] * np.ones(3, np.float32)


@pytest.mark.parametrize(("most", "learnt", "judged"), [(60, 60, 50), (59, 59, 50), (50, 50, 50), (49, 49, 45)])
def test_no_more_samples_are_learnt_from_and_judged_on_than_that(monkeypatch, most, learnt, judged):
    monkeypatch.setattr(baselines, "MOST_SAMPLES", most)
    asked, real = [], baselines.predict
    monkeypatch.setattr(baselines, "predict", lambda *given: asked.append(given) or real(*given))
    labels, units = np.arange(130) // 5 % 2, np.arange(130) // 5
    rows = {"train": np.arange(60), "test": np.arange(80, 130)}
    test, predictions = baselines.answers(rows_of, labels, units, rows, "balanced")
    assert [name for name, *_ in asked] == list(predictions) == list(baselines.BASELINE_NAMES)
    for _, train_x, train_y, test_x, class_weight in asked:
        assert class_weight == "balanced"
        assert (len(train_x), len(test_x)) == (learnt, judged)
        assert train_y.tolist() == labels[train_x[:, 0].astype(int)].tolist()
        assert test_x[:, 0].tolist() == test.tolist()
    assert set(np.bincount(units[test])) <= {0, 5}, "units are judged whole"


def test_memory_does_not_grow_with_the_data(tmp_path):
    rng, parts = np.random.default_rng(0), {"train": 60_000, "val": 20_000, "test": 40_000}
    tensors = {f"{part}_x": rng.standard_normal((n, 300), np.float32) for part, n in parts.items()}
    tensors |= {f"{part}_unit": np.arange(n) // 100 for part, n in parts.items()}
    tensors |= {f"{part}_y": np.arange(n) // 100 % 2 for part, n in parts.items()}
    tensors |= {"mean": np.zeros(300, np.float32), "std": np.ones(300, np.float32)}
    (tmp_path / "data" / "prepared").mkdir(parents=True)
    save_file(tensors, tmp_path / "data" / "prepared" / "a.safetensors", {"fingerprint": "f"})
    setup = """
import sklearn.dummy, sklearn.linear_model, sklearn.pipeline, sklearn.preprocessing, sklearn.svm
from stages import baselines
from stages.common.records import Description
baselines.MOST_SAMPLES = 1000
baselines.BASELINE_NAMES = ["majority_class"]
half = {part: {"a": n, "b": n} for part, n in {"train": 30_000, "val": 10_000, "test": 20_000}.items()}
description = Description(
    fingerprint="f", params={}, classes=["a", "b"], representations={"a": {"shape": [300]}},
    counts=half,
    source={"dataset": "d", "sample_rate": None, "groups": half, "unit": "track", "split": "given"}
    | {"standardize": True},
)
"""
    runs_within(40, setup, 'baselines.judge("a", description, None)', tmp_path)


def test_fewer_samples_than_neighbours_are_all_of_them():
    x, y = np.array([[0.0], [1], [9]]), np.array([0, 0, 1])
    assert baselines.predict("k_nearest_neighbours", x, y, x, None).tolist() == [0, 0, 0]


def test_songs_are_judged_where_they_are_known_and_one_by_one(workplace):
    """Of groups alone that somebody says are artists nothing is known; two songs of four samples make a group."""
    X, labels, songs = make_arrays(n=240)
    found = []
    for groups, tracks in ((songs, None), (songs % 3 + songs // 6 * 3, None), (songs % 3 + songs // 6 * 3, songs)):
        save_arrays(workplace / "data" / "mine" / "mfccs", X, labels, groups)
        if tracks is not None:
            np.save(workplace / "data" / "mine" / "mfccs" / "tracks.npy", tracks)
        unit = "track" if groups is songs else "group"
        (workplace / "data" / "mine" / "audio.json").write_text(f'{{"sample_rate": 8000, "unit": "{unit}"}}')
        prepare.main()
        baselines.main()
        found.append(Baselines.read(BASELINES).representations["mfccs"]["svm_rbf"].track)
    assert (found[0].tracks, found[1], found[2].tracks) == (12, None, 12)


def test_the_svm_hears_mean_and_deviation_over_time():
    x = np.random.default_rng(0).standard_normal((5, 7, 3))
    over_time = np.concatenate([x.mean(axis=1), x.std(axis=1)], axis=1)
    for baseline in ("k_nearest_neighbours", "svm_rbf"):
        np.testing.assert_array_equal(baselines.columns(baseline, x), over_time)
    np.testing.assert_array_equal(baselines.columns("logistic_regression", x), x.reshape(5, 21))
    np.testing.assert_array_equal(baselines.columns("svm_rbf", x[:, 0]), x[:, 0])


def test_one_that_does_not_converge_is_a_line_of_ours(recwarn, capsys):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 3)) * [1, 1, 1e-9], np.arange(40) % 2
    real = baselines.build

    def build(*given):
        model = real(*given)
        model.set_params(logisticregression__max_iter=1)
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "build", build)
        assert len(baselines.predict("logistic_regression", x, y, x, None)) == 40
    told = "baselines: logistic regression stopped before it had converged; it may do better than this\n"
    assert capsys.readouterr().out == told
    assert not recwarn.list
    baselines.predict("logistic_regression", x, y, x, None)
    assert capsys.readouterr().out == ""
