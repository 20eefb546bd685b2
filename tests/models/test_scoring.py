"""The scores against scikit-learn, their intervals against exact ones, calibration against counting by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import runs_within
from scipy.stats import binom
from sklearn import metrics

from stages.models import scoring
from stages.models.scoring import (
    calibration_error,
    count,
    intervals,
    reliability,
    scores,
    smoothed,
    verdict,
    verdicts,
)


@given(
    pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60),
)
def test_scores_agree_with_scikit_learn(pairs):
    actual, predicted = np.array(pairs).T
    names = list(range(4))
    confusion = metrics.confusion_matrix(actual, predicted, labels=names)
    counts = count(actual, predicted, 4)
    np.testing.assert_array_equal(counts, [np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)])
    ours = scores(counts)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(actual, predicted, labels=names, zero_division=0)
    np.testing.assert_allclose(ours["precision"], precision)
    np.testing.assert_allclose(ours["recall"], recall)
    np.testing.assert_allclose(ours["f1"], f1)
    np.testing.assert_allclose(ours["f1_macro"], f1.mean())
    np.testing.assert_allclose(ours["accuracy"], metrics.accuracy_score(actual, predicted))


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_intervals_of_independent_samples_are_those_of_a_binomial_distribution(share):
    n = 400
    actual, predicted = np.zeros(n, int), (np.arange(n) >= share * n).astype(int)
    found = intervals(actual, predicted, np.arange(n), 2)
    for end, quantile in (("low", 0.025), ("high", 0.975)):
        assert found[f"accuracy_{end}"] == pytest.approx(binom.ppf(quantile, n, share) / n, abs=0.006)


@settings(max_examples=20)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=3, max_size=40),
    copies=st.integers(2, 30),
)
def test_more_seconds_of_the_same_songs_make_no_interval_narrower(pairs, copies):
    actual, predicted = np.array(pairs).T
    units = np.arange(len(pairs))
    once = intervals(actual, predicted, units, 3)
    often = intervals(*(np.repeat(array, copies) for array in (actual, predicted, units)), 3)
    assert once.keys() == {f"{name}_{end}" for name in ("accuracy", "f1_macro", "f1") for end in ("low", "high")}
    for name, value in once.items():
        np.testing.assert_allclose(often[name], value, atol=1e-12)
    assert 0 <= once["f1_macro_low"] <= once["f1_macro_high"] <= 1


def test_a_sure_result_has_no_width_and_a_class_is_never_lost():
    actual = np.repeat(np.arange(3), 20)
    found = intervals(actual, actual, np.repeat(np.arange(6), 10), 3)
    assert {value for key, value in found.items() if not key.startswith("f1_l") and not key.startswith("f1_h")} == {1.0}
    assert found["f1_low"] == [1.0, 1.0, 1.0]


@settings(max_examples=30)
@given(
    samples=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=60),
    at_once=st.sampled_from([1, 1000, scoring.AT_ONCE]),
)
def test_intervals_are_those_of_whole_confusion_matrices(samples, at_once):
    """The same draws, to the bit, however many at once."""
    actual, predicted, units = np.array(samples).T
    units = np.unique(units, return_inverse=True)[1]
    confusions = np.array(
        [
            metrics.confusion_matrix(actual[units == u], predicted[units == u], labels=range(4))
            for u in range(units.max() + 1)
        ]
    )
    class_of, rng, drawn = confusions.sum(axis=2).argmax(axis=1), np.random.default_rng(3), 0
    for members in (np.flatnonzero(class_of == number) for number in np.unique(class_of)):
        times = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), scoring.RESAMPLES)
        drawn += np.tensordot(times, confusions[members], 1)
    hits, either = np.diagonal(drawn, axis1=1, axis2=2), drawn.sum(axis=1) + drawn.sum(axis=2)
    f1 = np.divide(2 * hits, either, out=np.zeros(hits.shape), where=either > 0)
    values = {"accuracy": hits.sum(axis=1) / drawn.sum(axis=(1, 2)), "f1_macro": f1.mean(axis=1), "f1": f1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "AT_ONCE", at_once)
        found = intervals(actual, predicted, units, 4, seed=3)
    for name, value in values.items():
        assert found[f"{name}_low"] == np.quantile(value, 0.025, axis=0).tolist()
        assert found[f"{name}_high"] == np.quantile(value, 0.975, axis=0).tolist()


def test_intervals_take_memory_by_what_units_hold_not_by_the_square_of_the_classes():
    setup = """
import numpy as np
from stages.models.scoring import intervals
units = np.arange(10_000) // 4
actual = units % 200
predicted = np.where(np.arange(10_000) % 3 > 0, actual, np.arange(10_000) % 200)
"""
    runs_within(64, setup, "intervals(actual, predicted, units, 200)")


def test_resamples_of_many_units_are_drawn_in_blocks():
    setup = """
import numpy as np
from stages.models import scoring
scoring.RESAMPLES = 200
units = np.arange(50_000)
actual = np.zeros(50_000, int)
"""
    runs_within(40, setup, "scoring.intervals(actual, actual, units, 1)")


def test_calibration_by_hand():
    probabilities = np.array([[0.85, 0.15], [0.85, 0.15], [0.25, 0.75], [0.45, 0.55], [1.0, 0.0]])
    bins = reliability(probabilities, np.array([0, 1, 1, 0, 0]))
    expected = [(1, 0.55, 0), (1, 0.75, 1), (2, 0.85, 0.5), (1, 1, 1)]
    assert [tuple(row.values()) for row in bins] == pytest.approx([pytest.approx(row) for row in expected])
    assert calibration_error(bins) == pytest.approx((0.55 + 0.25 + 2 * 0.35 + 0) / 5)


def test_a_verdict_is_the_product_of_what_the_seconds_say():
    product = np.sqrt(np.array([0.4, 0.1]))
    np.testing.assert_allclose(verdict(np.array([[0.5, 0.5], [0.8, 0.2]])), product / product.sum())
    np.testing.assert_allclose(verdict(np.array([[1.0, 0.0]])), [1, 0], atol=1e-12)


def test_each_track_has_its_own_verdict():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 20)
    tracks = np.array([2, 0, 1, 1] * 5)
    for track, found in enumerate(verdicts(probabilities, tracks)):
        np.testing.assert_array_equal(found, verdict(probabilities[tracks == track]))
        logs = np.log(probabilities[tracks == track]).mean(axis=0)
        np.testing.assert_allclose(found, np.exp(logs) / np.exp(logs).sum())


@given(st.integers(1, 12), st.integers(0, 15), st.integers(0, 99))
def test_a_smoothed_window_is_the_verdict_over_its_neighbours_that_are_not_silent(n, reach, seed):
    rng = np.random.default_rng(seed)
    probabilities, silent = rng.dirichlet([0.1] * 3, n), rng.random(n) < 0.3
    probabilities[silent] = np.nan
    found = smoothed(probabilities, silent, reach)
    for i in range(n):
        near = [j for j in range(max(0, i - reach), min(n, i + reach + 1)) if not silent[j]]
        expected = np.full(3, np.nan) if silent[i] else verdict(probabilities[near])
        np.testing.assert_allclose(found[i], expected, rtol=1e-9, atol=1e-12)
