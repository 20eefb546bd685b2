"""evaluate: what is told of a model's answers on the test part. (test_wiring.py holds every figure of a real run.)"""

import csv
import json

import numpy as np
import pytest
import torch
from conftest import ROOT
from memory import runs_within
from reporting.judged import JUDGED
from sklearn.metrics import f1_score

from stages import baselines, evaluate, select
from stages.evaluate import Answers
from stages.files import CONFUSION, EVALUATED, SCORES, read_json
from stages.learning import network
from stages.records import read_by_name
from stages.results import Judgement, OverRuns

CLASSES = ["a, b", 'quoted "c"', "d\ne"]


def answers():
    """Return answers to 12 samples of 4 tracks of 3 classes, some of them wrong."""
    y = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0])
    logits = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)) + 2 * torch.eye(3)[y]
    return Answers(CLASSES, y, np.repeat([4, 2, 9, 7], 3), logits)


def read_pairs(path):
    """Return the actual and the predicted class of every sample that a confusion file counts."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [[row[column] for row in rows for _ in range(int(row["count"]))] for column in ("actual", "predicted")]


def test_the_judgement_follows_scikit_learn_from_the_confusion_file(trained, monkeypatch):
    bootstraps, real = [], evaluate.intervals
    monkeypatch.setattr(evaluate, "intervals", lambda *arguments: bootstraps.append(1) or real(*arguments))
    for stage in (select, baselines, evaluate):
        stage.main()
    judgements = read_by_name(Judgement, EVALUATED)
    assert len(bootstraps) == len(judgements) == 2, "once a representation"
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


def test_names_with_commas_quotes_and_newlines_come_back_from_the_confusion_file(tmp_path):
    test = answers()
    evaluate.write_confusion(tmp_path / "a.csv", test)
    expected = sorted((CLASSES[a], CLASSES[p]) for a, p in zip(test.actual, test.predicted, strict=True))
    assert sorted(zip(*read_pairs(tmp_path / "a.csv"), strict=True)) == expected


def test_the_confusion_file_has_a_line_a_pair_and_every_class_in_both_columns(tmp_path):
    y = torch.arange(10_000) % 2 * 2
    answers = Answers(CLASSES, y, y.numpy(), torch.eye(3)[torch.where(y == 2, 0, y)])
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


def test_tracks_are_judged_only_where_they_are_known():
    over_runs = OverRuns(f1_macro_mean=0, f1_macro_std=0, best_epoch_mean=0, best_epoch_std=0)
    ranges = dict.fromkeys(("accuracy_low", "accuracy_high", "f1_macro_low", "f1_macro_high"), 0.5)
    assert evaluate.judge(answers(), ranges, over_runs, JUDGED.baselines, tracks_known=False).track is None
    judged = evaluate.judge(answers(), ranges, over_runs, JUDGED.baselines, tracks_known=True)
    probabilities = answers().probabilities
    verdicts = [np.log(probabilities[rows : rows + 3]).sum(axis=0).argmax() for rows in range(0, 12, 3)]
    assert judged.track.tracks == 4
    assert judged.track.f1_macro == pytest.approx(f1_score([0, 1, 2, 0], verdicts, average="macro"))


def test_many_tracks_are_judged_in_memory_that_goes_by_the_samples():
    setup = """
import numpy as np
from stages.evaluate import judge_tracks
tracks = np.arange(40_000) // 4 * 3
probabilities = np.full((40_000, 2), 0.5)
"""
    runs_within(64, setup, "assert judge_tracks(probabilities, tracks % 2, tracks).tracks == 10_000")


def test_samples_go_through_the_network_in_pieces(monkeypatch):
    model, x, pieces = torch.nn.Sequential(torch.nn.Linear(3, 5)), torch.randn(17, 3), []
    expected = model(x).detach()
    model.register_forward_hook(lambda _, given, answered: pieces.append(len(answered)))
    monkeypatch.setattr(network, "AT_ONCE", 5 * 8)
    torch.testing.assert_close(evaluate.answer(model, x), expected)
    assert pieces == [8, 8, 1]


def test_a_single_run_has_no_deviation():
    assert evaluate.deviation([0.7]) == 0
    assert evaluate.deviation([1.0, 3.0]) == pytest.approx(2**0.5)
