"""evaluate: what is told of a model's answers on the test part. (test_wiring.py holds every figure of a real run.)"""

import csv

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from stages import baselines, evaluate, select
from stages.evaluate import Answers
from stages.files import CONFUSION, EVALUATED
from stages.records import read_by_name
from stages.results import Judgement, OverRuns

CLASSES = ["a, b", 'quoted "c"', "d\ne"]


def answers():
    """Return answers to 12 samples of 4 tracks of 3 classes, some of them wrong."""
    y = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0])
    logits = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)) + 2 * torch.eye(3)[y]
    return Answers(CLASSES, y, np.repeat([4, 2, 9, 7], 3), logits)


def test_the_judgement_follows_scikit_learn_from_the_confusion_file(trained):
    for stage in (select, baselines, evaluate):
        stage.main()
    for name, judged in read_by_name(Judgement, EVALUATED).items():
        with (CONFUSION / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        actual, predicted = ([row[column] for row in rows] for column in ("actual", "predicted"))
        assert len(rows) == 24
        assert judged.f1_macro == pytest.approx(f1_score(actual, predicted, average="macro"))
        assert judged.track.tracks == 6


def test_names_with_commas_quotes_and_newlines_come_back_from_the_confusion_file(tmp_path):
    test = answers()
    evaluate.write_confusion(tmp_path / "a.csv", test)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["actual"] for row in rows] == [CLASSES[number] for number in test.actual]
    assert [row["predicted"] for row in rows] == [CLASSES[number] for number in test.predicted]


def test_tracks_are_judged_only_where_they_are_known():
    over_runs = OverRuns(f1_macro_mean=0, f1_macro_std=0, best_epoch_mean=0, best_epoch_std=0)
    assert evaluate.judge(answers(), over_runs, {}, tracks_known=False).track is None
    judged = evaluate.judge(answers(), over_runs, {}, tracks_known=True)
    probabilities = answers().probabilities
    verdicts = [np.log(probabilities[rows : rows + 3]).sum(axis=0).argmax() for rows in range(0, 12, 3)]
    assert judged.track.tracks == 4
    assert judged.track.f1_macro == pytest.approx(f1_score([0, 1, 2, 0], verdicts, average="macro"))


def test_a_single_run_has_no_deviation():
    assert evaluate.deviation([0.7]) == 0
    assert evaluate.deviation([1.0, 3.0]) == pytest.approx(2**0.5)
