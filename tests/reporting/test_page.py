"""The report's page: what it reads, and how it says what the intervals rest on."""

import csv

import numpy as np
import pytest
import yaml
from reporting.judged import FEW, HARDWARE, JUDGED

from stages.common.files import DESCRIPTION, F1, MODELS, RELIABILITY, SECONDS, UserError
from stages.common.records import PARTS, Description, Skipped
from stages.common.results import Timed, Timing
from stages.reporting import page, pictures


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


def describe():
    """Write what is known of data of two classes, whose names are not in the order of the alphabet."""
    source = {"dataset": "a", "sample_rate": None, "groups": None, "unit": "track"}
    source |= {"split": "given", "standardize": True}
    known = {"fingerprint": "d", "params": {}, "classes": ["2", "10"]}
    known |= {"counts": {part: {"10": n, "2": n + 5} for n, part in enumerate(PARTS, 1)}}
    Description(**known, representations={"mfccs": {"shape": [26]}}, source=source).write(DESCRIPTION)


@pytest.mark.parametrize(
    ("unit", "judged", "says"),
    [
        ("track", JUDGED, "a bootstrap over tracks of the test set"),
        ("group", JUDGED, "a bootstrap over groups of tracks of the test set"),
        ("block", JUDGED, "over blocks of 30 neighbouring samples of a class"),
        ("track", FEW, "No intervals: with fewer than 5 songs of a class in"),
        ("group", FEW, "No intervals: with fewer than 5 groups of a class in"),
        ("block", FEW, "No intervals: with fewer than 5 blocks of 30 neighbouring samples of a class in"),
    ],
)
def test_what_the_intervals_rest_on(unit, judged, says):
    said = page.how_sure({"mfccs": JUDGED, "other": judged}, unit, "best")
    assert says in said
    assert ("Brackets" in said) == (judged is JUDGED)


@pytest.mark.parametrize("model", ["best", "ensemble", "svm", "all"])
def test_only_a_single_run_is_called_the_best_of_them(model):
    said = page.how_sure({"mfccs": JUDGED}, "track", model)
    assert ("best of the runs" in said and "is the one to quote" in said) == (model == "best")
    assert ("not the chosen model's" in said) == (model != "best")


ON_A_GPU = HARDWARE.model_copy(update={"gpu": "a GPU", "driver": "570", "cuda": "12.8"})
TIMINGS = {
    device: Timing.model_construct(hardware=hardware, representations={"mfccs": Timed.model_construct(threads=3)})
    for device, hardware in (("cpu", HARDWARE), ("gpu", ON_A_GPU))
}


@pytest.mark.parametrize("devices", [["cpu"], ["cpu", "gpu"]])
def test_each_picture_is_drawn_from_what_it_is_called_after(tmp_path, monkeypatch, devices):
    monkeypatch.chdir(tmp_path)
    describe()
    drawn = {}
    for kind in ("learning_curves", "confusion", "intervals", "reliability", "seconds"):
        monkeypatch.setattr(pictures, kind, lambda path, *given, kind=kind: drawn.update({path.name: (kind, *given)}))
    timings = TIMINGS if "gpu" in devices else TIMINGS | {"gpu": Skipped(skipped="none")}
    monkeypatch.setattr(page, "read_timings", lambda: timings)
    monkeypatch.setattr(page, "read_curves", lambda path: str(path))
    monkeypatch.setattr(page, "read_confusion", lambda path, samples: (str(path), samples))
    monkeypatch.setattr(page, "read_table", lambda path, columns: path)
    page.draw({"mfccs": JUDGED, "other": JUDGED})
    both, samples = ("mfccs", "other"), {"2": 8, "10": 3}
    curves = {name: {device: f"metrics/curves/{name}_{device}.csv" for device in devices} for name in both}
    matrices = {name: (f"metrics/confusion/{name}.csv", samples) for name in both}
    assert drawn == {
        "learning_curves.png": ("learning_curves", curves),
        "confusion.png": ("confusion", {name: ["2", "10"] for name in both}, matrices),
        "f1.png": ("intervals", F1, "class", "f1", "F1 on the test set"),
        "models.png": ("intervals", MODELS, "model", "f1_macro", "macro F1 on the test set"),
        "reliability.png": ("reliability", RELIABILITY),
        "seconds.png": ("seconds", SECONDS),
    }


@pytest.mark.parametrize("gpu", [TIMINGS["gpu"], Skipped(skipped="no GPU was found")])
def test_the_report_has_each_picture_under_its_title_and_each_table_under_its_picture(tmp_path, monkeypatch, gpu):
    monkeypatch.chdir(tmp_path)
    describe()
    for part in ("headline", "baselines_table", "mistakes_table", "devices_table"):
        monkeypatch.setattr(page, part, lambda *_, part=part: [f"the {part}"])
    for part in ("how_sure", "as_yaml"):
        monkeypatch.setattr(page, part, lambda *_, part=part: f"the {part}")
    monkeypatch.setattr(page, "read_timings", lambda: TIMINGS | {"gpu": gpu})
    start, *sections = page.report({}, {"model": "best"}).split("\n## ")
    assert "the headline\n\nthe how_sure" in start
    sections = dict(section.split("\n", 1) for section in sections)
    shown = {
        title: [line for line in text.splitlines() if line.startswith(("![", "the "))]
        for title, text in sections.items()
    }
    assert shown == {
        "The network against baselines": [
            "![The network against baselines](pictures/models.png)",
            "the baselines_table",
        ],
        "Learning curves": ["![Learning curves](pictures/learning_curves.png)"],
        "Confusion matrices": ["![Confusion matrices](pictures/confusion.png)"],
        "The surest mistakes": ["the mistakes_table"],
        "F1 of each class": ["![F1 of each class](pictures/f1.png)"],
        "Reliability": ["![Reliability](pictures/reliability.png)"],
        "CPU against GPU": ["![CPU against GPU](pictures/seconds.png)", "the devices_table"],
        "Parameters": ["the as_yaml"],
        "Hardware and versions": [],
        "What was skipped": [],
    }
    hardware = ["- CPU: a processor, 2 cores, AVX2; threads: mfccs 3", "- versions: torch 2"]
    if gpu is TIMINGS["gpu"]:
        hardware.insert(1, "- GPU: a GPU, driver 570, CUDA 12.8")
    assert sections["Hardware and versions"].split("\n") == ["", *hardware, ""]
    skipped = "- nothing" if gpu is TIMINGS["gpu"] else "- `train_gpu`: no GPU was found"
    assert sections["What was skipped"].strip() == skipped


def test_the_parameters_can_be_read_again():
    params = {"lr": 0.125, "hidden": [8, 4], "optimizer_args": {}, "split": {"train": 3, "val": 1, "test": 1}}
    assert yaml.safe_load(page.as_yaml(params)) == params
    assert list(yaml.safe_load(page.as_yaml(params))) == list(params)
