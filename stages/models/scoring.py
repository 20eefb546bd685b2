"""Scores of a classifier: from counts of its answers, with their uncertainty, and from its probabilities.

Conventions: what a class's scores rest on are three counts, not the whole confusion matrix, which grows with the square
of the classes. A ratio with an empty denominator is 0, as in scikit-learn with `zero_division=0`.
"""

from typing import NamedTuple

import numpy as np

from stages.common.units import class_of_units, members_of

RESAMPLES = 2000
INTERVAL = (0.025, 0.975)  # 95 %
BINS = 10  # of confidence, in a reliability diagram and in the calibration error
LEAST = 1e-30  # of a probability, before its logarithm is taken
AT_ONCE = 2**18  # numbers of a bootstrap in memory at once: 2 MiB, which caches hold


class Counts(NamedTuple):
    """Samples of each class, shape (..., classes) each, whole numbers."""

    hits: np.ndarray  # of the class and predicted as it
    actual: np.ndarray  # of the class
    predicted: np.ndarray  # predicted as it


def count(actual: np.ndarray, predicted: np.ndarray, n_classes: int) -> Counts:
    """Count hits, actual and predicted samples of each class, shape (classes,), given class numbers, shape (n,)."""
    kinds = (actual[actual == predicted], actual, predicted)
    return Counts(*(np.bincount(numbers, minlength=n_classes) for numbers in kinds))


def scores(counts: Counts) -> dict[str, float | list[float]]:
    """Return accuracy, macro F1, and precision, recall and F1 of each class.

    precision = hits / predicted, recall = hits / actual, F1 = 2 hits / (actual + predicted): van Rijsbergen,
    Information Retrieval (1979), chapter 7. Macro F1 is the plain mean of the classes' F1.
    """
    f1 = _f1(counts)
    return {
        "accuracy": float(_accuracy(counts)),
        "f1_macro": float(f1.mean()),
        "f1": f1.tolist(),
        "precision": _ratio(counts.hits, counts.predicted).tolist(),
        "recall": _ratio(counts.hits, counts.actual).tolist(),
    }


def intervals(
    actual: np.ndarray, predicted: np.ndarray, units: np.ndarray, n_classes: int, seed: int = 0
) -> dict[str, float | list[float]]:
    """Return 95 % confidence intervals of accuracy, macro F1 and each class's F1, as `..._low` and `..._high`.

    The percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13) over units, not
    samples: the seconds of one track are not independent, so whole tracks are drawn, with replacement, as many as
    there are. They are drawn class by class, as the split deals them out; a class of one track has nothing to vary.
    Class numbers and units have shape (n,).
    """
    counts = _resampled(actual, predicted, np.unique(units, return_inverse=True)[1], n_classes, seed)
    f1 = _f1(counts)
    values = {"accuracy": _accuracy(counts), "f1_macro": f1.mean(axis=1), "f1": f1}
    return {
        f"{name}_{end}": np.quantile(value, quantile, axis=0).tolist()
        for name, value in values.items()
        for end, quantile in zip(("low", "high"), INTERVAL, strict=True)
    }


def verdict(probabilities: np.ndarray) -> np.ndarray:
    """Return the probabilities of a whole track from those of its seconds, (n, classes) to (classes,)."""
    return verdicts(probabilities, np.zeros(len(probabilities), np.int64))[0]


def verdicts(probabilities: np.ndarray, tracks: np.ndarray) -> np.ndarray:
    """Return the probabilities of whole tracks from those of their seconds, (n, classes) to (tracks, classes).

    The mean of the seconds' log-probabilities, normalized to sum to 1: each second is a witness, and the product of
    what they say, not their vote, decides. Tracks are numbered from 0, shape (n,).
    """
    sums = [np.bincount(tracks, np.log(np.maximum(column, LEAST))) for column in probabilities.T]
    return _as_probabilities(np.stack(sums, axis=1) / np.bincount(tracks)[:, None])


def smoothed(probabilities: np.ndarray, silent: np.ndarray, reach: int) -> np.ndarray:
    """Return each window's verdict together with up to `reach` neighbours' on either side, as `verdicts` does.

    The windows are a song's, in order, shape (n, classes); silent ones, shape (n,), have no vote and become NaN.
    """
    reach = min(reach, len(probabilities))
    logs = np.where(silent[:, None], 0, np.log(np.maximum(probabilities, LEAST)))
    votes = np.pad(np.column_stack([logs, ~silent]), ((reach + 1, reach), (0, 0))).cumsum(axis=0)
    sums = (votes[2 * reach + 1 :] - votes[: -2 * reach - 1])[~silent]
    result = np.full(probabilities.shape, np.nan)
    result[~silent] = _as_probabilities(sums[:, :-1] / sums[:, -1:])
    return result


def reliability(probabilities: np.ndarray, actual: np.ndarray) -> list[dict[str, float | int]]:
    """Return, for each bin of confidence that holds samples, its samples, their mean confidence and their accuracy.

    Confidence is the probability of the predicted class; the bins are of equal width. Guo et al., On Calibration of
    Modern Neural Networks (2017), section 2. Probabilities have shape (n, classes), class numbers (n,).
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


def _as_probabilities(logs: np.ndarray) -> np.ndarray:
    """Return e to these powers, shape (n, classes), made to add up to 1 in each row."""
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _resampled(actual: np.ndarray, predicted: np.ndarray, units: np.ndarray, n_classes: int, seed: int) -> Counts:
    """Draw units as `intervals` says, numbered from 0, and return each resample's counts, shape (RESAMPLES, classes).

    Work and memory go by what the units hold, units times the classes that their samples are of or taken for, in blocks
    of resamples; units times classes would be many more.
    """
    rng = np.random.default_rng(seed)
    sums = np.zeros((3 * n_classes, RESAMPLES), np.int64)
    class_of = class_of_units(units, actual)
    for members, rows in zip(members_of(class_of, n_classes), members_of(class_of[units], n_classes), strict=True):
        if not len(members):
            continue
        hits = rows[actual[rows] == predicted[rows]]
        kind = np.concatenate([actual[hits], n_classes + actual[rows], 2 * n_classes + predicted[rows]])
        member = np.searchsorted(members, units[np.concatenate([hits, rows, rows])])
        cells, samples = np.unique(kind * len(members) + member, return_counts=True)
        kind, member = np.divmod(cells, len(members))
        firsts = np.flatnonzero(np.diff(kind, prepend=-1))
        at_once = max(1, AT_ONCE // len(cells))
        for start in range(0, RESAMPLES, at_once):
            block = slice(start, min(start + at_once, RESAMPLES))
            n = block.stop - block.start
            drawn = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), n)
            sums[kind[firsts], block] += np.add.reduceat(drawn.take(member, axis=1) * samples, firsts, axis=1).T
    return Counts(*sums.reshape(3, n_classes, RESAMPLES).swapaxes(1, 2))


def _f1(counts: Counts) -> np.ndarray:
    return _ratio(2 * counts.hits, counts.actual + counts.predicted)


def _accuracy(counts: Counts) -> np.ndarray:
    return counts.hits.sum(axis=-1) / counts.actual.sum(axis=-1)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0)
