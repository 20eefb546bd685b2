"""baselines: what simpler models make of the same split, so that a reader sees whether the network earned its keep.

The majority class, logistic regression, the nearest five neighbours and a support vector machine with an RBF kernel
(scikit-learn's defaults, inputs standardized, for the latter two mel-spectrograms as mean and deviation over time)
learn the training set and are judged on the test set, with the intervals that `evaluate` gives the network. Where songs
are known, each song is taken for what most of its seconds are; and where groups are, each baseline is also judged on a
random split of the same samples: the difference is how much leakage, seconds of one song in training and test, would
flatter. Of more than 10,000 samples, they learn from 10,000 drawn at random, and are judged on 10,000 in whole tracks
or blocks, at least one of each class; no others are read. Classes are weighted as `class_weights` says, as for
the network; nearest neighbours have no weights. Writes data/baselines.json.
"""

import stages  # isort: skip # noqa: F401 # stops a Python without the packages, before NumPy does with a traceback
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np

from stages.arrays.split import draw_parts, rows_of, whole_units
from stages.common.files import BASELINES
from stages.common.fingerprints import read_description
from stages.common.params import load_params
from stages.common.records import PARTS, Description
from stages.common.results import MOST_SAMPLES, Baseline, Baselines, Scored
from stages.common.running import run_stage
from stages.common.tensors import read_prepared, read_rows
from stages.models.scoring import count, intervals, scores
from stages.models.songs import score_votes

BASELINE_NAMES = ("majority_class", "logistic_regression", "k_nearest_neighbours", "svm_rbf")
NEIGHBOURS = 5  # fewer of fewer samples
SEED = 0  # of the split at random, and of the samples drawn where there are more


def main() -> None:
    """Fit and judge the baselines on every representation."""
    description, params = read_description(), load_params().model_dump(include={"class_weights"})
    class_weight = {"none": None, "balanced": "balanced"}[params["class_weights"]]
    results = {}
    for name in description.representations:
        results[name] = judge(name, description, class_weight)
        scored = ", ".join(f"{each} {result.f1_macro:.3f}" for each, result in results[name].items())
        print(f"baselines: {name}: test macro F1: {scored}")
    Baselines(fingerprint=description.fingerprint, params=params, representations=results).write(BASELINES)


def judge(name: str, description: Description, class_weight: str | None) -> dict[str, Baseline]:
    """Return accuracy and macro F1 of every baseline on a representation with their intervals, and those of songs.

    Where groups are known, macro F1 on a split at random too. `class_weight` is scikit-learn's.
    """
    classes, source = description.classes, description.source
    axes = ("y", "unit", "track") if source.songs else ("y", "unit")
    data = read_prepared(name, description, "np", [f"{part}_{axis}" for part in PARTS for axis in axes])
    labels, units, *apart = (np.concatenate([data[f"{part}_{axis}"] for part in PARTS]) for axis in axes)
    songs = apart[0] if apart else units if source.unit == "track" else None
    counts = {part: len(data[f"{part}_y"]) for part in PARTS}
    ends = np.cumsum(list(counts.values()))
    given = {part: np.arange(end - counts[part], end) for part, end in zip(PARTS, ends, strict=True)}

    read = partial(read_rows, name, description)
    test, predictions = answers(read, labels, units, given, class_weight)
    results = {}
    for each, predicted in predictions.items():
        found = scores(count(labels[test], predicted, len(classes)))
        found |= intervals(labels[test], predicted, units[test], len(classes))
        results[each] = {key: found[key] for key in Scored.model_fields}
        if songs is not None:
            results[each]["track"] = score_votes(labels[test], predicted, songs[test], len(classes))
    if source.groups is not None:
        at_random = rows_of(draw_parts(len(classes), labels, None, counts, SEED))
        test, predictions = answers(read, labels, units, at_random, class_weight)
        for each, predicted in predictions.items():
            found = scores(count(labels[test], predicted, len(classes)))
            results[each]["f1_macro_split_at_random"] = found["f1_macro"]
    return {each: Baseline(**result) for each, result in results.items()}


def answers(
    read: Callable[[np.ndarray], np.ndarray],
    labels: np.ndarray,
    units: np.ndarray,
    rows: dict[str, np.ndarray],
    class_weight: str | None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Fit every baseline to training rows; return the test rows that it was asked about, and its answers to them.

    Labels are class numbers, units each sample's track or block, shape (n,) both; the parts' rows ascend.
    """
    train, test = rows["train"], rows["test"]
    if len(train) > MOST_SAMPLES:
        train = np.sort(np.random.default_rng(SEED).choice(train, MOST_SAMPLES, replace=False))
    test = test[whole_units(labels[test], units[test], MOST_SAMPLES, SEED)]
    train_x, test_x = read(train), read(test)
    return test, {each: predict(each, train_x, labels[train], test_x, class_weight) for each in BASELINE_NAMES}


def predict(
    baseline: str, train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, class_weight: str | None
) -> np.ndarray:
    """Fit a baseline, one of BASELINE_NAMES, to samples x (n, ...) and classes y (n,); return its answers to others."""
    from threadpoolctl import threadpool_limits

    model = build(baseline, class_weight, len(train_y))  # imports the libraries that are limited next
    # Another number of threads rounds differently, and products this small are five times faster on one.
    with threadpool_limits(1), warnings.catch_warnings(record=True, action="always") as said:
        model.fit(columns(baseline, train_x), train_y)
    if any(each.category.__name__ == "ConvergenceWarning" for each in said):
        print(f"baselines: {baseline.replace('_', ' ')} stopped before it had converged; it may do better than this")
    with threadpool_limits(1):
        return model.predict(columns(baseline, test_x))


def build(baseline: str, class_weight: str | None, n: int):
    """Return an untrained model of scikit-learn, for n samples."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    models = {
        "majority_class": DummyClassifier(strategy="most_frequent"),
        "logistic_regression": make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=1000, class_weight=class_weight)
        ),
        "k_nearest_neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier(min(NEIGHBOURS, n))),
        "svm_rbf": make_pipeline(StandardScaler(), SVC(kernel="rbf", class_weight=class_weight)),
    }
    return models[baseline]


def columns(baseline: str, x: np.ndarray) -> np.ndarray:
    """Return samples, shape (n, ...), as rows: all numbers for logistic regression, else time's mean and deviation."""
    if baseline != "logistic_regression" and x.ndim > 2:
        x = np.concatenate([x.mean(axis=1), x.std(axis=1)], axis=1)
    return x.reshape(len(x), -1)


if __name__ == "__main__":
    run_stage(main)
