"""baselines: what simpler models make of the same split, so that a reader sees whether the network earned its keep.

The majority class, logistic regression and a support vector machine with an RBF kernel (scikit-learn's defaults, inputs
standardized, for the latter mel-spectrograms as mean and deviation over time) learn the training part and are judged on
the test part, with the intervals that `evaluate` gives the network. Where tracks are known, each is also judged on a
split at random of the same samples: the difference is what leakage, seconds of one track in training and test, would
flatter. Writes data/baselines.json.
"""

import numpy as np
from safetensors.numpy import load_file

from stages.files import BASELINES, DESCRIPTION, run_stage, tensors_path
from stages.learning.scoring import count, intervals, scores
from stages.learning.split import split_rows
from stages.records import PARTS, Baseline, Baselines, Description

BASELINE_NAMES = ("majority_class", "logistic_regression", "svm_rbf")
MOST_SAMPLES = 10_000  # to learn from: the time of a support vector machine grows with their square
SEED = 0  # of the split at random, and of the samples drawn where there are more


def main() -> None:
    """Fit and judge the baselines on every representation."""
    description = Description.read(DESCRIPTION)
    classes, tracks_known = description.classes, description.source.groups is not None
    results = {}
    for name in description.representations:
        data = load_file(tensors_path(name))
        x, y, units = (np.concatenate([data[f"{part}_{axis}"] for part in PARTS]) for axis in ("x", "y", "unit"))
        counts = {part: len(data[f"{part}_y"]) for part in PARTS}
        ends = np.cumsum([0, *counts.values()])
        given = {part: np.arange(start, end) for part, start, end in zip(PARTS, ends, ends[1:], strict=False)}
        results[name] = {each: judge(each, (x, y, units), given, len(classes)) for each in BASELINE_NAMES}
        if tracks_known:
            random = split_rows(classes, y, None, counts, SEED)
            for each, result in results[name].items():
                result["f1_macro_split_at_random"] = judge(each, (x, y, units), random, len(classes))["f1_macro"]
        scored = ", ".join(f"{each} {result['f1_macro']:.3f}" for each, result in results[name].items())
        print(f"baselines: {name}: test macro F1: {scored}")
    Baselines(
        representations={name: {k: Baseline(**v) for k, v in each.items()} for name, each in results.items()}
    ).write(BASELINES)


def judge(
    baseline: str, samples: tuple[np.ndarray, np.ndarray, np.ndarray], rows: dict[str, np.ndarray], n_classes: int
) -> dict[str, float]:
    """Fit a baseline to the training rows; return its accuracy and macro F1 on the test rows, with their intervals.

    Args:
        baseline: one of BASELINE_NAMES.
        samples: x (n, ...), class numbers (n,) and units (n,).
        rows: of the parts, at least train and test.
        n_classes: the number of classes.
    """
    from threadpoolctl import threadpool_limits

    x, y, units = samples
    train, test = rows["train"], rows["test"]
    if len(train) > MOST_SAMPLES:
        train = np.random.default_rng(SEED).choice(train, MOST_SAMPLES, replace=False)
    model = build(baseline)  # imports the libraries that are limited next
    # Another number of threads rounds differently, and products this small are five times faster on one.
    with threadpool_limits(1):
        model.fit(columns(baseline, x[train]), y[train])
        predicted = model.predict(columns(baseline, x[test]))
    result = scores(count(y[test], predicted, n_classes))
    result |= intervals(y[test], predicted, units[test], n_classes)
    return {key: value for key, value in result.items() if key.startswith(("accuracy", "f1_macro"))}


def build(baseline: str):
    """Return an untrained model of scikit-learn."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    if baseline == "majority_class":
        return DummyClassifier(strategy="most_frequent")
    if baseline == "logistic_regression":
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return make_pipeline(StandardScaler(), SVC(kernel="rbf"))


def columns(baseline: str, x: np.ndarray) -> np.ndarray:
    """Return samples as rows: all their numbers, or for the SVM mean and deviation over time if there is a time axis.

    Args:
        baseline: one of BASELINE_NAMES.
        x: shape (n, columns) or (n, time, ...).
    """
    if baseline == "svm_rbf" and x.ndim > 2:
        x = np.concatenate([x.mean(axis=1), x.std(axis=1)], axis=1)
    return x.reshape(len(x), -1)


if __name__ == "__main__":
    run_stage(main)
