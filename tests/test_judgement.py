"""select, evaluate and compare: from snapshots to the chosen models and their test scores."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import save_dataset, write_params
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from stages import baselines, compare, evaluate, prepare, select, train
from stages.files import BASELINES, MODEL, PREPARED, SNAPSHOTS, read_json, write_json
from stages.learning.network import build_network
from stages.learning.scoring import intervals, verdict


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
        assert card["front_end"] is None  # samples of other shapes than the front end gives
        assert np.shape(card["mean"]) == np.shape(card["std"]) == tuple(card["shape"])
        # The card and the weights alone give the validation score that the choice rests on.
        model = build_network(card["network"], tuple(card["shape"]), card["hidden"], 3, seed=9)
        model.load_state_dict(load_file(MODEL / f"{name}.safetensors"))
        data = load_file(PREPARED / f"{name}.safetensors")
        with torch.inference_mode():
            predicted = model(data["val_x"]).argmax(dim=1)
        assert f1_score(data["val_y"], predicted, average="macro") == pytest.approx(choice["val_f1_macro"])


@pytest.fixture
def judged(trained):
    select.main()
    baselines.main()
    evaluate.main()


def test_evaluate_agrees_with_scikit_learn_from_the_confusion_file(judged):
    results = read_json(evaluate.EVALUATED)
    for name in ("mfccs", "melgrams"):
        with (evaluate.CONFUSION / f"{name}.csv").open() as file:
            rows = list(csv.DictReader(file))
        actual, predicted = ([row[column] for row in rows] for column in ("actual", "predicted"))
        assert len(rows) == 24
        assert results[name]["f1_macro"] == pytest.approx(f1_score(actual, predicted, average="macro"))
        each = f1_score(actual, predicted, average=None, labels=["blues", "pop", "rock"])
        assert list(results[name]["f1"].values()) == pytest.approx(list(each))


def test_intervals_tracks_and_calibration_are_those_of_the_test_part(judged):
    for name, result in read_json(evaluate.EVALUATED).items():
        card, data = read_json(MODEL / f"{name}.json"), load_file(PREPARED / f"{name}.safetensors")
        logits = evaluate.run_network(card, load_file(MODEL / f"{name}.safetensors"), data["test_x"])
        probabilities = torch.softmax(logits.double(), dim=1).numpy()
        actual, units = data["test_y"].numpy(), data["test_unit"].numpy()
        expected = intervals(actual, probabilities.argmax(axis=1), units, 3)
        assert result["f1_macro_low"] == expected["f1_macro_low"]
        highs = [row["high"] for row in read_json(evaluate.F1) if row["representation"] == name]
        assert highs == expected["f1_high"]
        verdicts = {unit: verdict(probabilities[units == unit]).argmax() for unit in set(units.tolist())}
        right = [verdicts[unit] == actual[units == unit][0] for unit in verdicts]
        assert result["track"]["accuracy"] == pytest.approx(np.mean(right))
        assert result["track"]["tracks"] == len(verdicts) == 6
        assert result["true_class_probability"] == pytest.approx(probabilities[np.arange(24), actual].mean())
        best = [max(range(12), key=lambda epoch: run[epoch]["val_f1_macro"]) for run in runs_of(name)]
        assert result["runs"]["best_epoch_mean"] == np.mean(best)
        assert result["runs"]["best_epoch_std"] == pytest.approx(np.std(best, ddof=1))
    for path, per_representation in ((evaluate.F1, 3), (evaluate.MODELS, 4)):
        records = read_json(path)
        assert len(records) == 2 * per_representation
    samples = [record["samples"] for record in read_json(evaluate.RELIABILITY)]
    assert sum(samples) == 2 * 24


def runs_of(name):
    return read_json(SNAPSHOTS / "cpu" / "history.json")["representations"][name]["runs"]


def test_baselines_are_scikit_learns_on_the_same_split(judged):
    results = read_json(BASELINES)
    data = {name: load_file(PREPARED / f"{name}.safetensors") for name in ("mfccs", "melgrams")}
    mfccs, melgrams = data["mfccs"], data["melgrams"]
    inputs = {
        ("mfccs", "svm_rbf", SVC()): (mfccs["train_x"], mfccs["test_x"]),
        ("mfccs", "logistic_regression", LogisticRegression(max_iter=1000)): (mfccs["train_x"], mfccs["test_x"]),
        ("melgrams", "svm_rbf", SVC()): [
            torch.cat([melgrams[f"{part}_x"].mean(dim=1), melgrams[f"{part}_x"].std(dim=1, correction=0)], dim=1)
            for part in ("train", "test")
        ],
    }
    for (name, baseline, model), (train_x, test_x) in inputs.items():
        predicted = make_pipeline(StandardScaler(), model).fit(train_x, mfccs["train_y"]).predict(test_x)
        expected = f1_score(mfccs["test_y"], predicted, average="macro")
        assert results[name][baseline]["f1_macro"] == pytest.approx(expected)
    assert results["mfccs"]["majority_class"]["accuracy"] == pytest.approx(1 / 3)
    assert read_json(evaluate.EVALUATED)["mfccs"]["baselines"] == results["mfccs"]
    assert all("f1_macro_split_at_random" in result for result in results["mfccs"].values())


def test_compare_of_two_devices(trained):
    """What `compare` does with two histories, the second one made up of the first with a known difference."""
    other = read_json(SNAPSHOTS / "cpu" / "history.json")
    other["representations"]["mfccs"]["runs"][1][2]["val_f1_macro"] -= 0.25
    write_json(SNAPSHOTS / "gpu" / "history.json", other)
    timing = read_json(Path("metrics/train_cpu.json"))
    cpu = {name: dict(timed) for name, timed in timing["representations"].items()}
    for timed in timing["representations"].values():
        seconds = {part: {"median": 3.0, "min": 3.0, "max": 3.0} for part in timed["seconds"]}
        timed |= {"seconds": seconds, "all_runs_seconds": timed["all_runs_seconds"] / 4, "runs_at_once": 2}
    write_json(Path("metrics/train_gpu.json"), timing)
    compare.main()
    assert read_json(compare.COMPARED) == {
        name: {
            "cpu_seconds": cpu[name]["seconds"]["total"]["median"],
            "gpu_seconds": 3.0,
            "cpu_all_runs_seconds": cpu[name]["all_runs_seconds"],
            "gpu_all_runs_seconds": cpu[name]["all_runs_seconds"] / 4,
            "gpu_speedup": pytest.approx(4),
            "max_val_f1_difference": pytest.approx(difference),
        }
        for name, difference in {"mfccs": 0.25, "melgrams": 0}.items()
    }
    records = read_json(compare.SECONDS)
    assert {(record["what"], record["part"]) for record in records} == {
        (f"{name}, {device}: {what}", part)
        for name in ("mfccs", "melgrams")
        for device, together in (("cpu", 1), ("gpu", 2))
        for what, part in (
            *(("one run", part) for part in ("warmup", "transfer", "train", "validate", "snapshot")),
            (f"all 2 runs, {together} at a time", "all runs"),
        )
    }
    assert {record["seconds"] for record in records if "gpu: one run" in record["what"]} == {3.0}


def test_select_needs_no_torch(trained):
    import subprocess

    code = "import sys; import stages.select; sys.exit('torch' in sys.modules)"
    root = str(Path(select.__file__).parents[1])
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
