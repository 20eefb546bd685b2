"""evaluate: judge each chosen model on the test part, which had no say in its training or choice.

One chosen seed may be lucky, and one test part too. `runs` says how each run's own best snapshot does on the same
samples; the 95 % intervals come from a bootstrap over tracks, or, where tracks are unknown, over blocks of 30
neighbouring samples of a class, since the seconds of one song are not independent. `track` judges whole tracks by the
verdict over their seconds; the baselines of data/baselines.json stand beside the network.

Writes metrics/evaluate.json and, to be drawn: metrics/confusion/REPRESENTATION.csv with one line a sample, and records
in metrics/f1.json, metrics/reliability.json and metrics/models.json.
"""

import csv
import statistics
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from stages.core.network import build_network
from stages.core.scoring import calibration_error, confusion_matrix, intervals, reliability, scores, verdict
from stages.core.snapshots import best_epoch, load_snapshot, read_histories, snapshot_path
from stages.files import BASELINES, METRICS, MODEL, PREPARED, read_json, replacing_folder, run_stage, write_json

CONFUSION = METRICS / "confusion"
EVALUATED = METRICS / "evaluate.json"
F1 = METRICS / "f1.json"
RELIABILITY = METRICS / "reliability.json"
MODELS = METRICS / "models.json"


def main() -> None:
    """Judge every chosen model."""
    torch.set_num_threads(1)
    selected, baselines, histories = read_json(METRICS / "select.json"), read_json(BASELINES), read_histories()
    tracks_known = read_json(PREPARED / "dataset.json")["source"]["groups"] is not None
    results, ranges, bins = {}, {}, {}
    with replacing_folder(CONFUSION) as folder:
        for name in sorted(set(selected) - {"best"}):
            card, device = read_json(MODEL / f"{name}.json"), selected[name]["device"]
            data = load_file(PREPARED / f"{name}.safetensors")
            x, y, units = data["test_x"], data["test_y"], data["test_unit"]
            logits = run_network(card, load_snapshot(MODEL / f"{name}.safetensors"), x)
            probabilities = torch.softmax(logits.double(), dim=1).numpy()
            predicted = logits.argmax(dim=1)
            ranges[name] = intervals(y.numpy(), predicted.numpy(), units.numpy(), len(card["classes"]))
            bins[name] = reliability(probabilities, y.numpy())
            results[name] = {
                **judge(card["classes"], logits, y),
                **{key: value for key, value in ranges[name].items() if key.startswith(("accuracy", "f1_macro"))},
                "expected_calibration_error": calibration_error(bins[name]),
                "true_class_probability": float(probabilities[np.arange(len(y)), y].mean()),
                "runs": judge_runs(card, histories[device]["representations"][name]["runs"], device, x, y),
                "baselines": baselines[name],
            }
            if tracks_known:
                results[name]["track"] = judge_tracks(probabilities, y.numpy(), units.numpy())
            write_confusion(folder / f"{name}.csv", card["classes"], y.tolist(), predicted.tolist())
            print(f"evaluate: {name}: test {describe(results[name])}")
    write_json(EVALUATED, results)
    write_json(F1, [record for name in results for record in f1_records(name, results[name]["f1"], ranges[name])])
    write_json(RELIABILITY, [{"representation": name, **row} for name, rows in bins.items() for row in rows])
    write_json(MODELS, [record for name, result in results.items() for record in model_records(name, result)])


@torch.inference_mode()
def run_network(card: dict, weights: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Return the logits that the card's network with these weights gives, shape (n, classes)."""
    model = build_network(card["network"], tuple(card["shape"]), card["hidden"], len(card["classes"]), seed=0)
    model.load_state_dict(weights)
    return model(x)


def judge(classes: list[str], logits: torch.Tensor, y: torch.Tensor) -> dict[str, float | dict[str, float]]:
    """Return loss, accuracy, macro F1, and precision, recall and F1 of each class."""
    result = scores(confusion_matrix(y.numpy(), logits.argmax(dim=1).numpy(), len(classes)))
    for score in ("f1", "precision", "recall"):
        result[score] = dict(zip(classes, result[score], strict=True))
    return {"loss": torch.nn.functional.cross_entropy(logits, y).item(), **result}


def judge_tracks(probabilities: np.ndarray, actual: np.ndarray, tracks: np.ndarray) -> dict[str, float]:
    """Return accuracy and macro F1 of the tracks' verdicts, and how many tracks there are; a track is of one class."""
    members = [tracks == track for track in np.unique(tracks)]
    verdicts = np.array([verdict(probabilities[rows]).argmax() for rows in members])
    truth = np.array([np.bincount(actual[rows]).argmax() for rows in members])
    result = scores(confusion_matrix(truth, verdicts, probabilities.shape[1]))
    return {"accuracy": result["accuracy"], "f1_macro": result["f1_macro"], "tracks": len(members)}


def judge_runs(card: dict, runs: list[list[dict]], device: str, x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
    """Return mean and standard deviation over the runs of the best epoch and of its macro F1 on the test part."""
    best = {run: best_epoch(epochs) for run, epochs in enumerate(runs) if epochs}
    f1 = []
    for run, epoch in best.items():
        weights = load_snapshot(snapshot_path(device, card["representation"], run, epoch))
        predicted = run_network(card, weights, x).argmax(dim=1)
        f1.append(scores(confusion_matrix(y.numpy(), predicted.numpy(), len(card["classes"])))["f1_macro"])
    return {
        f"{name}_{statistic}": float(function(values)) if len(values) > 1 or statistic == "mean" else 0.0
        for name, values in {"f1_macro": f1, "best_epoch": list(best.values())}.items()
        for statistic, function in (("mean", statistics.mean), ("std", statistics.stdev))
    }


def describe(result: dict) -> str:
    """Return a model's macro F1 as a line."""
    runs = result["runs"]
    return (
        f"macro F1 {result['f1_macro']:.3f} (95 %: {result['f1_macro_low']:.3f} to {result['f1_macro_high']:.3f}), "
        f"over all runs {runs['f1_macro_mean']:.3f} +/- {runs['f1_macro_std']:.3f}"
    )


def write_confusion(path: Path, classes: list[str], actual: list[int], predicted: list[int]) -> None:
    """Write one line a sample: its actual and its predicted class."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["actual", "predicted"])
        writer.writerows((classes[a], classes[p]) for a, p in zip(actual, predicted, strict=True))


def f1_records(
    representation: str, f1: dict[str, float], ranges: dict[str, list[float]]
) -> list[dict[str, str | float]]:
    """Return each class's F1 with its interval."""
    return [
        {"representation": representation, "class": name, "f1": value, "low": low, "high": high}
        for (name, value), low, high in zip(f1.items(), ranges["f1_low"], ranges["f1_high"], strict=True)
    ]


def model_records(representation: str, result: dict) -> list[dict[str, str | float | None]]:
    """Return the macro F1 of the network and of each baseline with its interval, and on a split at random if known."""
    return [
        {
            "representation": representation,
            "model": model.replace("_", " "),
            "f1_macro": scored["f1_macro"],
            "low": scored["f1_macro_low"],
            "high": scored["f1_macro_high"],
            "split_at_random": scored.get("f1_macro_split_at_random"),  # in every record: DVC plots nothing otherwise
        }
        for model, scored in {"network": result, **result["baselines"]}.items()
    ]


if __name__ == "__main__":
    run_stage(main)
