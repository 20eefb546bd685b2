"""report, model_card and pictures: what they say is what the metrics say."""

import re
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from stages import report
from stages.files import UserError
from stages.reporting import model_card, pictures

SCORES = {"accuracy": 0.71, "accuracy_low": 0.6, "accuracy_high": 0.8} | {
    "f1_macro": 0.7,
    "f1_macro_low": 0.61,
    "f1_macro_high": 0.79,
}
RESULT = {
    **SCORES,
    "loss": 0.9,
    "f1": {"a": 0.7, "b": 0.7},
    "expected_calibration_error": 0.05,
    "runs": {"f1_macro_mean": 0.68, "f1_macro_std": 0.02, "best_epoch_mean": 3.5, "best_epoch_std": 0.5},
    "baselines": {"svm_rbf": SCORES | {"f1_macro": 0.65}},
}


def test_the_committed_pages_are_of_the_committed_metrics(tmp_path, monkeypatch):
    archive = subprocess.run(["git", "archive", "HEAD", "metrics"], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", tmp_path], input=archive.stdout, check=True)
    monkeypatch.chdir(tmp_path)
    evaluated = report.read_json(Path("metrics/evaluate.json"))
    page = Path("metrics/report.md").read_text()
    timings = {device: report.read_json(Path(f"metrics/train_{device}.json")) for device in ("cpu", "gpu")}
    tables = [report.headline(evaluated), report.baselines_table(evaluated)]
    tables += [report.devices_table(report.read_json(Path("metrics/compare.json")), timings)]
    for table in tables:
        assert "\n".join(table) in page
    pictured = re.findall(r"!\[.+?\]\((.+?)\)", page)
    assert len(pictured) == 6
    for name in pictured:
        assert (Path("metrics") / name).read_bytes()[:4] == b"\x89PNG"
    card = Path("metrics/model_card.md").read_text()
    for result in evaluated.values():
        assert report.with_interval(result, "f1_macro") in card


def test_tables_without_tracks_and_with_a_gpu(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    choice = {"device": "gpu", "run": 1, "epoch": 3}
    report.METRICS.mkdir()
    (report.METRICS / "select.json").write_text(f'{{"other": {choice}}}'.replace("'", '"'))
    row = report.headline({"other": RESULT})[-1]
    assert "| **0.680** ± 0.020 | 0.700 [0.610, 0.790] | 0.710 [0.600, 0.800] | tracks unknown |" in row
    assert "gpu, run 1, epoch 3 | 3.5 ± 0.5" in row
    lines = report.baselines_table({"other": RESULT})
    assert lines[-1] == "| other | svm rbf | 0.650 [0.610, 0.790] | 0.710 [0.600, 0.800] |  |"
    compared = {
        "cpu_seconds": 2.0,
        "gpu_seconds": 1.5,
        "cpu_all_runs_seconds": 10.0,
        "gpu_all_runs_seconds": 1.5,
        "gpu_speedup": 10 / 1.5,
        "max_val_f1_difference": 0.0123,
    }
    timings = {
        device: {"start_seconds": start, "representations": {"other": {"steps_per_second": steps}}}
        for device, start, steps in (("cpu", 0.5, 600.0), ("gpu", 4.25, 12000.0))
    }
    assert report.devices_table({"other": compared}, timings)[2:] == [
        "| other | 2.00 s | 1.50 s | 10.00 s | 1.50 s | 6.7 | 600 | 12,000 | 0.0123 |",
        "",
        "Start: CPU 0.50 s, GPU 4.25 s",
    ]


def test_a_card_of_ones_own_data_claims_nothing_of_the_demo_corpus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model_card.METRICS.mkdir()
    (model_card.METRICS / "train_cpu.json").write_text('{"hardware": {"versions": {"torch": "2"}}}')
    card = {
        "network": "cnn",
        "shape": [21, 128],
        "hidden": [8],
        "classes": ["a", "b"],
        "front_end": None,
        "params": {"lr": 0.1},
        "chosen": {"device": "cpu", "run": 0, "epoch": 2},
        "data": {
            "dataset": "data/mine",
            "counts": {"train": {"a": 5, "b": 6}},
            "split": "given",
            "groups": None,
            "standardize": True,
        },
    }
    page = model_card.model_card({"other": card}, {"other": RESULT})
    assert "synthetic" not in page
    assert "Its licence is not known" in page
    assert "Split: as given, tracks unknown" in page
    assert "| train | 5 | 6 |" in page
    assert "- other: unknown" in page  # the front end
    with pytest.raises(UserError, match="found no model; run `dvc repro` first"):
        model_card.main()


def size(path):
    return struct.unpack(">II", path.read_bytes()[16:24])


def test_pictures_grow_with_what_they_show_and_are_the_same_again(tmp_path):
    def draw(name, classes):
        matrix = np.full((len(classes), len(classes)), 3) + 20 * np.eye(len(classes), dtype=int)
        pictures.confusion(tmp_path / name, {"mfccs": classes}, {"mfccs": matrix})

    draw("few.png", ["a", "b"])
    draw("many.png", [f"genre {i}" for i in range(12)])
    draw("again.png", ["a", "b"])
    assert size(tmp_path / "many.png") > size(tmp_path / "few.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "few.png").read_bytes()


def test_a_class_without_samples_is_drawn_too(tmp_path):
    with np.errstate(all="raise"):
        pictures.confusion(tmp_path / "a.png", {"mfccs": ["a", "b"]}, {"mfccs": np.array([[3, 1], [0, 0]])})
    assert size(tmp_path / "a.png") > (100, 100)
