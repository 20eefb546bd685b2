"""Scores of a classifier, all derived from its confusion matrix.

Conventions: a confusion matrix counts samples, rows are the actual class, columns the predicted one. A ratio with an
empty denominator is 0, as in scikit-learn with `zero_division=0`.
"""

import numpy as np


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
    hits, actual, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = _ratio(2 * hits, actual + predicted)
    return {
        "accuracy": float(hits.sum() / confusion.sum()),
        "f1_macro": float(f1.mean()),
        "f1": f1.tolist(),
        "precision": _ratio(hits, predicted).tolist(),
        "recall": _ratio(hits, actual).tolist(),
    }


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)
