"""select: choose, for each representation, the snapshot with the highest validation macro F1.

Over devices, runs and epochs; of equals the CPU's, then the earliest run's, then the earliest epoch's. Copies it to
data/model/REPRESENTATION.safetensors beside a card that rebuilds it, and writes metrics/select.json.
"""

import shutil

from safetensors import safe_open

from stages.audio.features import SAMPLE_RATE, settings
from stages.core.snapshots import read_histories, snapshot_path
from stages.files import METRICS, MODEL, PREPARED, read_json, replacing_folder, run_stage, write_json

SELECTED = METRICS / "select.json"


def main() -> None:
    """Choose and copy one model a representation."""
    histories = read_histories()
    dataset = read_json(PREPARED / "dataset.json")
    chosen = {name: choose(histories, name) for name in dataset["representations"]}
    best = max(chosen, key=lambda name: chosen[name]["val_f1_macro"])
    with replacing_folder(MODEL) as folder:
        for name, choice in chosen.items():
            source = snapshot_path(choice["device"], name, choice["run"], choice["epoch"])
            shutil.copyfile(source, folder / f"{name}.safetensors")
            write_json(folder / f"{name}.json", card(name, choice, histories[choice["device"]], dataset))
    write_json(SELECTED, {**chosen, "best": best})
    for name, choice in chosen.items():
        where = f"{choice['device']} run {choice['run']} epoch {choice['epoch']}"
        print(f"select: {name}: {where}, validation macro F1 {choice['val_f1_macro']:.3f}")


def choose(histories: dict[str, dict], representation: str) -> dict:
    """Return device, run, epoch (both from 0) and validation macro F1 of a representation's best snapshot."""
    candidates = [
        {"device": device, "run": run, "epoch": epoch, "val_f1_macro": record["val_f1_macro"]}
        for device, history in histories.items()
        for run, epochs in enumerate(history["representations"][representation]["runs"])
        for epoch, record in enumerate(epochs)
    ]
    return max(candidates, key=lambda candidate: candidate["val_f1_macro"])  # max keeps the first of equals


def card(representation: str, choice: dict, history: dict, dataset: dict) -> dict:
    """Return what rebuilds the model and says where it came from."""
    with safe_open(PREPARED / f"{representation}.safetensors", "numpy") as tensors:
        mean, std = (tensors.get_tensor(name).tolist() for name in ("mean", "std"))
    shape = dataset["representations"][representation]["shape"]
    return {
        "representation": representation,
        "network": history["representations"][representation]["network"],
        "shape": shape,
        "hidden": history["params"]["hidden"],
        "classes": dataset["classes"],
        "mean": mean,
        "std": std,
        "front_end": settings(representation, tuple(shape), dataset["source"]["sample_rate"] or SAMPLE_RATE),
        "params": history["params"],
        "chosen": choice,
        "data": {"counts": dataset["counts"], **dataset["source"]},
    }


if __name__ == "__main__":
    run_stage(main)
