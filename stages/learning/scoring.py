"""Scores of a classifier: from its confusion matrix, with their uncertainty, and from its probabilities.

Conventions: a confusion matrix counts samples, rows are the actual class, columns the predicted one. A ratio with an
empty denominator is 0, as in scikit-learn with `zero_division=0`.
"""

import numpy as np

RESAMPLES = 2000
INTERVAL = (0.025, 0.975)  # 95 %
BINS = 10  # of confidence, in a reliability diagram and in the calibration error


def confusion_matrix(actual: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Count pairs of class numbers.

    Args:
        actual: class numbers 0..n_classes-1, shape (n,).
        predicted: likewise.
        n_classes: the number of classes.

    Returns:
        Shape (n_classes, n_classes), int64; rows actual, columns predicted.
    """
    return np.bincount(actual * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


def scores(confusion: np.ndarray) -> dict[str, float | list[float]]:
    """Return accuracy, macro F1, and precision, recall and F1 of each class.

    precision = TP / predicted, recall = TP / actual, F1 = 2 TP / (actual + predicted): van Rijsbergen, Information
    Retrieval (1979), chapter 7. Macro F1 is the plain mean of the classes' F1.
    """
    hits, actual, predicted = _counts(confusion)
    f1 = _f1(confusion)
    return {
        "accuracy": float(_accuracy(confusion)),
        "f1_macro": float(f1.mean()),
        "f1": f1.tolist(),
        "precision": _ratio(hits, predicted).tolist(),
        "recall": _ratio(hits, actual).tolist(),
    }


def intervals(
    actual: np.ndarray, predicted: np.ndarray, units: np.ndarray, n_classes: int, seed: int = 0
) -> dict[str, float | list[float]]:
    """Return 95 % confidence intervals of accuracy, macro F1 and each class's F1, as `..._low` and `..._high`.

    The percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13) over units, not
    samples: the seconds of one track are not independent, so whole tracks are drawn, with replacement, as often as
    there are. They are drawn class by class, as the split deals them out; a class of one track has nothing to vary.

    Args:
        actual: class numbers, shape (n,).
        predicted: likewise.
        units: the unit that each sample belongs to, shape (n,).
        n_classes: the number of classes.
        seed: draws the units.
    """
    number = np.unique(units, return_inverse=True)[1]
    tables = np.zeros((number.max() + 1, n_classes**2), np.int64)
    np.add.at(tables, (number, actual * n_classes + predicted), 1)
    class_of_unit = tables.reshape(-1, n_classes, n_classes).sum(axis=2).argmax(axis=1)
    rng = np.random.default_rng(seed)
    drawn = np.zeros((RESAMPLES, n_classes**2), np.int64)
    for members in (np.flatnonzero(class_of_unit == each) for each in np.unique(class_of_unit)):
        drawn += rng.multinomial(len(members), np.full(len(members), 1 / len(members)), RESAMPLES) @ tables[members]
    confusions = drawn.reshape(-1, n_classes, n_classes)
    f1 = _f1(confusions)
    values = {"accuracy": _accuracy(confusions), "f1_macro": f1.mean(axis=1), "f1": f1}
    return {
        f"{name}_{end}": np.quantile(value, quantile, axis=0).tolist()
        for name, value in values.items()
        for end, quantile in zip(("low", "high"), INTERVAL, strict=True)
    }


def verdict(probabilities: np.ndarray) -> np.ndarray:
    """Return the probabilities of a whole track from those of its seconds, (n, classes) to (classes,).

    The mean of the seconds' log-probabilities, made to add up to 1 again: each second is a witness, and the product of
    what they say, not their vote, decides.
    """
    mean = np.log(np.maximum(probabilities, 1e-30)).mean(axis=0)
    weights = np.exp(mean - mean.max())
    return weights / weights.sum()


def reliability(probabilities: np.ndarray, actual: np.ndarray) -> list[dict[str, float | int]]:
    """Return, for each bin of confidence that holds samples, its samples, their mean confidence and their accuracy.

    Confidence is the probability of the predicted class; the bins are of equal width. Guo et al., On Calibration of
    Modern Neural Networks (2017), section 2.

    Args:
        probabilities: shape (n, classes).
        actual: class numbers, shape (n,).
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == actual
    number = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return [
        {
            "samples": int(inside.sum()),
            "confidence": float(confidence[inside].mean()),
            "accuracy": float(right[inside].mean()),
        }
        for inside in (number == each for each in np.unique(number))
    ]


def calibration_error(bins: list[dict[str, float | int]]) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy, weighted by samples.

    Guo et al. (2017), equation 3.
    """
    gaps = [row["samples"] * abs(row["confidence"] - row["accuracy"]) for row in bins]
    return sum(gaps) / sum(row["samples"] for row in bins)


def _counts(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hits, actual and predicted samples of each class, (..., classes) each."""
    return np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1), confusion.sum(axis=-2)


def _f1(confusion: np.ndarray) -> np.ndarray:
    hits, actual, predicted = _counts(confusion)
    return _ratio(2 * hits, actual + predicted)


def _accuracy(confusion: np.ndarray) -> np.ndarray:
    hits, actual, _ = _counts(confusion)
    return hits.sum(axis=-1) / actual.sum(axis=-1)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0)
