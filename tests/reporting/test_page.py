"""The report's page: what it reads, and how it says what the intervals rest on."""

import csv

import numpy as np
import pytest
from reporting.judged import FEW, JUDGED

from stages.files import DESCRIPTION, UserError
from stages.records import PARTS, Description
from stages.reporting import page


def test_curves_come_as_numbers(tmp_path):
    row = {"run": 0.0, "epoch": 1.0, "train_loss": 2.5, "val_loss": 3.0, "val_accuracy": 0.5, "val_f1_macro": 0.25}
    (tmp_path / "a.csv").write_text(f"{','.join(row)}\n{','.join(map(str, row.values()))}\n")
    assert page.read_curves(tmp_path / "a.csv") == [row]


def test_counts_are_read_with_the_actual_class_in_rows(tmp_path):
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("actual", "predicted", "count"), ("a", "b, c", 2), ("b, c", "b, c", 1)])
    np.testing.assert_array_equal(page.read_confusion(tmp_path / "a.csv", {"a": 2, "b, c": 1}), [[0, 2], [0, 1]])
    with pytest.raises(UserError, match="was made from other data or parameters"):
        page.read_confusion(tmp_path / "a.csv", {"a": 3, "b, c": 1})


@pytest.mark.parametrize(
    ("unit", "judged", "says"),
    [
        ("track", JUDGED, "a bootstrap over tracks of the test part"),
        ("group", JUDGED, "a bootstrap over groups of tracks of the test part"),
        ("block", JUDGED, "over blocks of 30 neighbouring samples of a class"),
        ("track", FEW, "No intervals: with fewer than 5 songs of a class in"),
        ("group", FEW, "No intervals: with fewer than 5 groups of a class in"),
        ("block", FEW, "No intervals: with fewer than 5 blocks of 30 neighbouring samples of a class in"),
    ],
)
def test_what_the_intervals_rest_on(tmp_path, monkeypatch, unit, judged, says):
    monkeypatch.chdir(tmp_path)
    source = {"dataset": "a", "sample_rate": None, "groups": None, "unit": unit, "split": "given", "standardize": True}
    known = {"fingerprint": "d", "params": {}, "classes": ["a", "b"]}
    known |= {"counts": {part: {"a": 1, "b": 1} for part in PARTS}, "representations": {"mfccs": {"shape": [26]}}}
    Description(**known, source=source).write(DESCRIPTION)
    said = page.how_sure({"mfccs": JUDGED, "other": judged})
    assert says in said
    assert ("Brackets" in said) == (judged is JUDGED)
