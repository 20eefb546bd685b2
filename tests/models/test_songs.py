"""Songs: verdicts on whole songs, and the table that has the surest mistakes in front."""

import numpy as np
import pytest
from memory import runs_within
from sklearn.metrics import accuracy_score, f1_score

from stages.models import songs as module
from stages.models.songs import Verdict, judge_songs, score_songs, surest_mistakes, verdicts_by_name

CLASSES = ["a, b", 'quoted "c"', "d\ne"]
NAMES = {4: "four", 2: "two", 9: "nine", 7: "seven"}


def five_seconds():
    """Return probabilities, class numbers and songs of 5 seconds: 9 (2 of them), 2, 7 and 4; 9 and 4 are wrong."""
    probabilities = np.array([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05], [0.1, 0.2, 0.7], [0.5, 0.2, 0.3]])
    return probabilities, np.array([0, 0, 0, 2, 2]), np.array([9, 9, 2, 7, 4])


def test_a_songs_verdict_is_that_of_its_seconds_log_probabilities():
    probabilities, actual, numbers = five_seconds()
    songs = judge_songs(probabilities, actual, numbers)
    assert songs.numbers.tolist() == [2, 4, 7, 9]
    assert songs.actual.tolist() == [0, 2, 2, 0]
    assert songs.seconds.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 1], [1, 1, 0]]
    product = np.sqrt(probabilities[0] * probabilities[1])
    np.testing.assert_allclose(songs.probabilities[:3], probabilities[[2, 4, 3]])
    np.testing.assert_allclose(songs.probabilities[3], product / product.sum())


def test_scores_are_scikit_learns():
    rng = np.random.default_rng(0)
    actual, predicted = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
    scored = score_songs(actual, predicted, 3)
    assert scored.tracks == 50
    assert scored.accuracy == pytest.approx(accuracy_score(actual, predicted))
    assert scored.f1_macro == pytest.approx(f1_score(actual, predicted, average="macro"))


def test_the_surest_mistakes_come_first(monkeypatch):
    table = list(verdicts_by_name(judge_songs(*five_seconds()), CLASSES, NAMES))
    assert [(each.song, each.actual, each.verdict) for each in table] == [
        ("nine", CLASSES[0], CLASSES[1]),
        ("four", CLASSES[2], CLASSES[0]),
        ("two", CLASSES[0], CLASSES[0]),
        ("seven", CLASSES[2], CLASSES[2]),
    ]
    assert table[1] == Verdict("four", CLASSES[2], CLASSES[0], 0.5, [1, 0, 0])
    assert surest_mistakes(table) == table[:2]
    monkeypatch.setattr(module, "MOST_MISTAKES", 1)
    assert surest_mistakes(iter(table)) == table[:1]
    assert surest_mistakes(table[2:]) == []


def test_many_songs_are_judged_in_memory_that_goes_by_the_samples():
    setup = """
import numpy as np
from stages.models.songs import judge_songs
songs = np.arange(40_000) // 4 * 3
probabilities = np.full((40_000, 2), 0.5)
"""
    runs_within(64, setup, "assert len(judge_songs(probabilities, songs % 2, songs).numbers) == 10_000")
