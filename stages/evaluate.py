"""evaluate: judge each chosen model on the test part, which nothing before has looked at.

Writes metrics/evaluate.json and, for each representation, metrics/confusion/REPRESENTATION.csv with one line a sample.
One chosen seed may be lucky: `runs` says how each run's own best snapshot does on the same samples.
"""

import statistics

import numpy as np
import torch
from safetensors.torch import load_file

from stages.core.network import build_network
from stages.core.scoring import confusion_matrix, scores
from stages.core.snapshots import best_epoch, load_snapshot, read_histories, snapshot_path
from stages.files import METRICS, MODEL, PREPARED, read_json, replacing, run_stage, write_json

CONFUSION = METRICS / "confusion"
EVALUATED = METRICS / "evaluate.json"


def main() -> None:
    """Judge every chosen model."""
    torch.set_num_threads(1)
    selected = read_json(METRICS / "select.json")
    histories = read_histories()
    results = {}
    with replacing(CONFUSION) as folder:
        folder.mkdir()
        for name in sorted(set(selected) - {"best"}):
            card = read_json(MODEL / f"{name}.json")
            data = load_file(PREPARED / f"{name}.safetensors")
            x, y = data["test_x"], data["test_y"]
            result, predicted = judge(card, load_snapshot(MODEL / f"{name}.safetensors"), x, y)
            result["runs"] = judge_runs(card, histories[selected[name]["device"]], selected[name]["device"], x, y)
            results[name] = result
            lines = [f"{card['classes'][a]},{card['classes'][p]}\n" for a, p in zip(y.tolist(), predicted, strict=True)]
            (folder / f"{name}.csv").write_text("actual,predicted\n" + "".join(lines), encoding="utf-8")
            spread = f"{result['runs']['f1_macro_mean']:.3f} +/- {result['runs']['f1_macro_std']:.3f}"
            print(f"evaluate: {name}: test macro F1 {result['f1_macro']:.3f}, over all runs {spread}")
    write_json(EVALUATED, results)


@torch.inference_mode()
def judge(
    card: dict, weights: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor
) -> tuple[dict[str, float | dict], list[int]]:
    """Return a model's loss, accuracy, macro F1 and each class's scores, and the class number of every sample."""
    model = build_network(card["network"], tuple(card["shape"]), card["hidden"], len(card["classes"]), seed=0)
    model.load_state_dict(weights)
    logits = model(x)
    predicted = logits.argmax(dim=1)
    result = scores(confusion_matrix(y.numpy(), predicted.numpy(), len(card["classes"])))
    for score in ("f1", "precision", "recall"):
        result[score] = dict(zip(card["classes"], result[score], strict=True))
    return {"loss": torch.nn.functional.cross_entropy(logits, y).item(), **result}, predicted.tolist()


def judge_runs(card: dict, history: dict, device: str, x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
    """Return mean and standard deviation over the runs of the test macro F1 of each run's own best snapshot."""
    results = []
    for run, epochs in enumerate(history["representations"][card["representation"]]["runs"]):
        if epochs:
            weights = load_snapshot(snapshot_path(device, card["representation"], run, best_epoch(epochs)))
            results.append(judge(card, weights, x, y)[0]["f1_macro"])
    spread = statistics.stdev(results) if len(results) > 1 else 0.0
    return {"f1_macro_mean": float(np.mean(results)), "f1_macro_std": spread}


if __name__ == "__main__":
    run_stage(main)
