"""Judging: tracks, pieces, the runs and their ensemble. (tests/test_wiring.py holds every figure of a real run.)"""

import numpy as np
import pytest
import torch
from reporting.judged import JUDGED
from sklearn.metrics import f1_score

from stages.models import network as networks
from stages.models.ensemble import Ensemble
from stages.models.judging import Answers, answer, calibration, deviation, judge
from stages.models.scoring import calibration_error, reliability

CLASSES = ["a, b", 'quoted "c"', "d\ne"]


def answers():
    """Return answers to 12 samples of 4 tracks of 3 classes, some of them wrong."""
    y = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0])
    logits = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)) + 2 * torch.eye(3)[y]
    return Answers(CLASSES, y, np.repeat([4, 2, 9, 7], 3), None, logits)


OTHERS = {key: getattr(JUDGED, key) for key in ("runs", "ensemble", "baselines", "temperature", "uncalibrated")}
RANGES = dict.fromkeys(("accuracy_low", "accuracy_high", "f1_macro_low", "f1_macro_high"), 0.5)


def test_songs_are_judged_only_where_they_are_known():
    four = dict(zip(CLASSES, (2, 1, 1), strict=True))
    unknown, grouped = (judge(answers(), RANGES, unit, OTHERS) for unit in ("block", "group"))
    assert (unknown.track, unknown.groups, unknown.songs, unknown.blocks) == (None, None, None, four)
    assert (grouped.track, grouped.groups, grouped.songs, grouped.blocks) == (None, four, None, None)
    judged = judge(answers()._replace(songs=answers().units), RANGES, "track", OTHERS)
    assert (judged.groups, judged.songs, judged.blocks) == (four, None, None)
    probabilities = answers().probabilities
    verdicts = [np.log(probabilities[rows : rows + 3]).sum(axis=0).argmax() for rows in range(0, 12, 3)]
    assert judged.track.tracks == 4
    assert judged.track.f1_macro == pytest.approx(f1_score([0, 1, 2, 0], verdicts, average="macro"))


def test_songs_of_groups_are_judged_one_by_one():
    """The two songs of the first class are of one group: it counts once, they twice."""
    together = answers()._replace(units=np.repeat([4, 2, 9, 4], 3), songs=answers().units)
    judged = judge(together, RANGES, "group", OTHERS)
    assert (judged.groups, judged.songs) == (dict.fromkeys(CLASSES, 1), dict(zip(CLASSES, (2, 1, 1), strict=True)))
    assert judged.track == judge(answers()._replace(songs=answers().units), RANGES, "track", OTHERS).track
    assert judged.rests_on == f"rests on 1 group of {CLASSES[0]}"


def network(units=5):
    return torch.nn.Sequential(torch.nn.Linear(3, units), torch.nn.Linear(units, 2))


@pytest.mark.parametrize(
    "model", [network(), Ensemble([network(), network(2)]), Ensemble([Ensemble([network(2)]), network()])]
)
def test_samples_go_through_the_widest_network_in_pieces(monkeypatch, model):
    x, pieces = torch.randn(17, 3), []
    expected = model(x).detach()
    model.register_forward_hook(lambda _, given, answered: pieces.append(len(answered)))
    monkeypatch.setattr(networks, "AT_ONCE", 5 * 8)
    torch.testing.assert_close(answer(model, x), expected)
    assert pieces == [8, 8, 1]


def test_a_single_run_has_no_deviation():
    assert deviation([0.7]) == 0
    assert deviation([1.0, 3.0]) == pytest.approx(2**0.5)


def test_calibration_is_of_the_very_answers():
    given = answers()
    found = calibration(given)
    right = given.probabilities[np.arange(12), given.actual]
    assert found["loss"] == pytest.approx(-np.log(right).mean())
    assert found["expected_calibration_error"] == calibration_error(reliability(given.probabilities, given.actual))
