"""select, evaluate and compare: from snapshots to the chosen models and their test scores."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import save_dataset, write_params
from safetensors.torch import load_file
from sklearn.metrics import f1_score

from stages import compare, evaluate, prepare, select, train
from stages.core.network import build_network
from stages.files import MODEL, PREPARED, SNAPSHOTS, read_json, write_json


@pytest.fixture
def trained(workplace, monkeypatch):
    save_dataset(workplace / "data" / "mine")
    write_params(epochs=12)
    prepare.main()
    for device in ("cpu", "gpu"):
        monkeypatch.setattr(sys, "argv", ["train", device])
        train.main()


def history(*runs):
    runs = [[{"val_f1_macro": f1} for f1 in run] for run in runs]
    return {"representations": {"mfccs": {"runs": runs}}}


@pytest.mark.parametrize(
    ("cpu", "gpu", "chosen"),
    [
        (([0.1, 0.5], [0.6, 0.2]), ([0.3, 0.4],), ("cpu", 1, 0)),
        (([0.1, 0.5],), ([0.3, 0.7],), ("gpu", 0, 1)),
        (([0.1, 0.5, 0.5], [0.5, 0.2]), ([0.5, 0.4],), ("cpu", 0, 1)),
        (([], [0.2]), ([0.1],), ("cpu", 1, 0)),
    ],
)
def test_the_highest_macro_f1_wins_and_ties_go_to_the_first(cpu, gpu, chosen):
    choice = select.choose({"cpu": history(*cpu), "gpu": history(*gpu)}, "mfccs")
    assert (choice["device"], choice["run"], choice["epoch"]) == chosen


def test_select_copies_the_choice_beside_a_card_that_rebuilds_it(trained):
    select.main()
    selected = read_json(select.SELECTED)
    assert set(selected) == {"mfccs", "melgrams", "best"}
    assert selected["best"] == max(("melgrams", "mfccs"), key=lambda name: selected[name]["val_f1_macro"])
    for name in ("mfccs", "melgrams"):
        choice = selected[name]
        source = (
            SNAPSHOTS / choice["device"] / name / f"run_{choice['run']:02}" / f"epoch_{choice['epoch']:02}.safetensors"
        )
        assert (MODEL / f"{name}.safetensors").read_bytes() == source.read_bytes()
        card = read_json(MODEL / f"{name}.json")
        assert card["classes"] == ["blues", "pop", "rock"]
        assert card["front_end"]["sample_rate"] == 8000
        assert np.shape(card["mean"]) == np.shape(card["std"]) == tuple(card["shape"])
        # The card and the weights alone give the validation score that the choice rests on.
        model = build_network(card["network"], tuple(card["shape"]), card["hidden"], 3, seed=9)
        model.load_state_dict(load_file(MODEL / f"{name}.safetensors"))
        data = load_file(PREPARED / f"{name}.safetensors")
        with torch.inference_mode():
            predicted = model(data["val_x"]).argmax(dim=1)
        assert f1_score(data["val_y"], predicted, average="macro") == pytest.approx(choice["val_f1_macro"])


def test_evaluate_agrees_with_scikit_learn_from_the_confusion_file(trained):
    select.main()
    evaluate.main()
    results = read_json(evaluate.EVALUATED)
    for name in ("mfccs", "melgrams"):
        with (evaluate.CONFUSION / f"{name}.csv").open() as file:
            rows = list(csv.DictReader(file))
        actual, predicted = ([row[column] for row in rows] for column in ("actual", "predicted"))
        assert len(rows) == 24
        assert results[name]["f1_macro"] == pytest.approx(f1_score(actual, predicted, average="macro"))
        each = f1_score(actual, predicted, average=None, labels=["blues", "pop", "rock"])
        assert list(results[name]["f1"].values()) == pytest.approx(list(each))
        assert set(results[name]) == {"loss", "accuracy", "f1_macro", "f1", "precision", "recall", "runs"}
        assert set(results[name]["runs"]) == {"f1_macro_mean", "f1_macro_std"}
        assert 0 < results[name]["loss"] < 5
        assert 0.3 < results[name]["runs"]["f1_macro_mean"] <= 1


def test_compare_without_a_gpu_says_null(trained):
    compare.main()
    compared = read_json(compare.COMPARED)
    if "skipped" in read_json(SNAPSHOTS / "gpu" / "history.json"):
        assert compared["mfccs"].pop("cpu_seconds") > 0
        assert compared["mfccs"] == {"gpu_seconds": None, "gpu_speedup": None, "max_val_f1_difference": None}
    with (compare.CURVES / "mfccs_cpu.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2 * 12


def test_compare_of_two_devices(trained):
    """What `compare` does with two histories, the second one made up of the first with a known difference."""
    other = read_json(SNAPSHOTS / "cpu" / "history.json")
    other["representations"]["mfccs"]["runs"][1][2]["val_f1_macro"] -= 0.25
    write_json(SNAPSHOTS / "gpu" / "history.json", other)
    timing = read_json(Path("metrics/train_cpu.json"))
    timing["mfccs"]["seconds"]["total"]["median"] /= 4
    write_json(Path("metrics/train_gpu.json"), timing)
    compare.main()
    compared = read_json(compare.COMPARED)
    assert compared["mfccs"]["gpu_speedup"] == pytest.approx(4)
    assert compared["mfccs"]["max_val_f1_difference"] == pytest.approx(0.25)
    assert compared["melgrams"]["max_val_f1_difference"] == 0
    records = read_json(compare.SECONDS)
    assert {record["what"] for record in records} == {f"{n} {d}" for n in ("mfccs", "melgrams") for d in ("cpu", "gpu")}


def test_select_needs_no_torch(trained):
    import subprocess

    code = "import sys; import stages.select; sys.exit('torch' in sys.modules)"
    root = str(Path(select.__file__).parents[1])
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
