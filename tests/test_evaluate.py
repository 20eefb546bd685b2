"""evaluate: what is told of a model's answers on the test set. (test_wiring.py holds every figure of a real run.)"""

import csv
import json

import pytest
import torch
from conftest import ROOT
from models.test_judging import CLASSES, answers
from reporting.judged import JUDGED
from sklearn.metrics import f1_score

from stages import baselines, evaluate, select
from stages.common.files import CONFUSION, EVALUATED, F1, MODELS, SCORES, read_json
from stages.common.records import read_by_name
from stages.common.results import Judgement
from stages.models import judging
from stages.models.judging import Answers


def read_pairs(path):
    """Return the actual and the predicted class of every sample that a confusion file counts."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [[row[column] for row in rows for _ in range(int(row["count"]))] for column in ("actual", "predicted")]


def test_the_judgement_follows_scikit_learn_from_the_confusion_file(trained, monkeypatch, capsys):
    bootstraps, real = [], judging.intervals
    monkeypatch.setattr(judging, "intervals", lambda *arguments: bootstraps.append(1) or real(*arguments))
    for stage in (select, baselines, evaluate):
        stage.main()
    judgements = read_by_name(Judgement, EVALUATED)
    assert len(bootstraps) == 2 * len(judgements) == 4, "once a model: the chosen one and the ensemble"
    for name, judged in judgements.items():
        actual, predicted = read_pairs(CONFUSION / f"{name}.csv")
        assert len(actual) == 24
        assert judged.f1_macro == pytest.approx(f1_score(actual, predicted, average="macro"))
        assert read_json(SCORES / f"{name}.json") == {
            "accuracy": judged.accuracy,
            "f1_macro": judged.f1_macro,
            "runs_mean": judged.runs.f1_macro_mean,
            "runs_std": judged.runs.f1_macro_std,
        }
        assert judged.track.tracks == 6
        assert (judged.groups, judged.blocks) == (dict.fromkeys(("blues", "pop", "rock"), 2), None)
    for path in (F1, MODELS):
        assert {(record["low"], record["high"]) for record in read_json(path)} == {(None, None)}, path
    assert capsys.readouterr().out.count("(rests on 2 songs of blues), over all runs") == 2


def test_names_with_commas_quotes_and_newlines_come_back_from_the_confusion_file(tmp_path):
    test = answers()
    evaluate.write_confusion(tmp_path / "a.csv", test)
    expected = sorted((CLASSES[a], CLASSES[p]) for a, p in zip(test.actual, test.predicted, strict=True))
    assert sorted(zip(*read_pairs(tmp_path / "a.csv"), strict=True)) == expected


def test_the_confusion_file_has_a_line_a_pair_and_every_class_in_both_columns(tmp_path):
    y = torch.arange(10_000) % 2 * 2
    answers = Answers(CLASSES, y, y.numpy(), None, torch.eye(3)[torch.where(y == 2, 0, y)])
    evaluate.write_confusion(tmp_path / "a.csv", answers)
    with (tmp_path / "a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["actual", "predicted", "count"],
            [CLASSES[0], CLASSES[0], "5000"],
            [CLASSES[1], CLASSES[1], "0"],
            [CLASSES[2], CLASSES[0], "5000"],
            [CLASSES[2], CLASSES[2], "0"],
        ]


def test_dvcs_plot_adds_up_the_counts_of_each_revision():
    """(What it looks like has to be looked at: `dvc plots show` and `dvc plots diff`.)"""
    plot = json.loads((ROOT / ".dvc/plots/confusion_shares.json").read_text())
    steps = plot["spec"]["transform"]
    assert steps[1]["aggregate"] == [{"op": "sum", "field": "count", "as": "samples"}]
    assert all("rev" in step["groupby"] for step in steps if "groupby" in step)
    assert sum("groupby" in step for step in steps) == 4


def test_intervals_are_drawn_where_there_are_songs_enough():
    """JUDGED rests on 5 blocks of a class and more."""
    assert evaluate.f1_records(JUDGED, {"f1_low": [0.1, 0.2], "f1_high": [0.8, 0.9]}) == [
        {"class": "a", "f1": 0.7, "low": 0.1, "high": 0.8},
        {"class": "b", "f1": 0.7, "low": 0.2, "high": 0.9},
    ]
    assert [(record["low"], record["high"]) for record in evaluate.model_records(JUDGED)] == [(0.61, 0.79)] * 3
    assert "(95 %: 0.610 to 0.790)" in evaluate.in_short(JUDGED)
