"""All the runs of one device: trained one after the other, timed, summed up.

One run is one seed, which fixes the initial weights and the order of the batches. Times are honest: a little training
goes before, untimed; the device is waited for at either end of a part.
"""

import os
import platform
import statistics
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import torch
from safetensors.torch import load_file
from tqdm import tqdm

from stages.core.network import build_network, network_name
from stages.core.params import Params
from stages.core.snapshots import best_epoch, save_snapshot, snapshot_path
from stages.core.training import Clock, Recipe, fit, threads_for
from stages.files import PREPARED, UserError, read_json

USED = ("network", "hidden", "optimizer", "optimizer_args", "lr", "epochs", "batch_size", "runs", "seed", "snapshots")
PARTS_OF_TIME = ("transfer", "train", "validate", "snapshot", "total")


def train_all(name: str, params: Params) -> tuple[dict, dict]:
    """Train every representation and run; return what history.json and the timing file say.

    Raises:
        UserError: if every run of a representation diverged before its first epoch was over.
    """
    device = torch.device("cuda" if name == "gpu" else "cpu")
    dataset = read_json(PREPARED / "dataset.json")
    recipe = Recipe(params.optimizer, params.optimizer_args, params.lr, params.epochs, params.batch_size)
    history = {"params": params.model_dump(include=set(USED)), "representations": {}}
    timing = hardware(device)
    total = len(dataset["representations"]) * params.runs * params.epochs
    with tqdm(total=total, unit="epoch", disable=None) as progress:
        for representation, about in dataset["representations"].items():
            network = network_name(params.network, representation)
            data = load_file(PREPARED / f"{representation}.safetensors")

            def new_model(
                run: int, network: str = network, shape: tuple = tuple(about["shape"])
            ) -> torch.nn.Sequential:
                return build_network(network, shape, params.hidden, len(dataset["classes"]), params.seed + run)

            timing["threads"][representation] = threads_for(new_model(0), tuple(about["shape"]), params.batch_size)
            torch.set_num_threads(timing["threads"][representation])
            warm_up(new_model(0), data, recipe, device)
            runs, clocks = [], []
            for run in range(params.runs):
                progress.set_description(f"{name} {representation} run {run + 1}/{params.runs}")
                clock = Clock(device)
                epochs = train_run(name, representation, run, new_model(run), data, recipe, params, clock, progress)
                if len(epochs) < params.epochs:
                    progress.write(
                        f"train_{name}: {representation} run {run} diverged in epoch {len(epochs)}: its loss is not "
                        "finite; its earlier snapshots stand"
                    )
                runs.append(epochs)
                clocks.append(clock.seconds)
            if not any(runs):
                raise UserError(
                    f"train_{name}: {representation}: every run diverged in its first epoch; found lr: {params.lr:g} "
                    f"in params.yaml, expected a smaller one, say {params.lr / 10:g}"
                )
            history["representations"][representation] = {"network": network, "runs": runs}
            timing[representation] = summary(clocks, runs, len(data["train_y"]), params.batch_size)
            scores = [epochs[best_epoch(epochs)]["val_f1_macro"] for epochs in runs if epochs]
            progress.write(
                f"train_{name}: {representation}: {timing[representation]['seconds']['total']['median']:.2f} s a run, "
                f"best validation macro F1 {statistics.mean(scores):.3f} (mean of {len(scores)} runs)"
            )
    return history, timing


def train_run(
    name: str,
    representation: str,
    run: int,
    model: torch.nn.Sequential,
    data: dict[str, torch.Tensor],
    recipe: Recipe,
    params: Params,
    clock: Clock,
    progress: tqdm,
) -> list[dict[str, float]]:
    """Train one run, save its snapshots, and return what history.json says of each epoch."""
    start = perf_counter()
    with clock.part("transfer"):
        model = model.to(clock.device)
        train, val = ([data[f"{part}_{axis}"].to(clock.device) for axis in "xy"] for part in ("train", "val"))
    epochs: list[dict[str, float]] = []
    for record in fit(model, train, val, recipe, params.seed + run, clock):
        epochs.append(record)
        if params.snapshots == "every" or best_epoch(epochs) == len(epochs) - 1:
            with clock.part("snapshot"):
                save_snapshot(snapshot_path(name, representation, run, len(epochs) - 1), model.state_dict())
        progress.set_postfix(loss=f"{record['train_loss']:.3f}", f1=f"{record['val_f1_macro']:.3f}", refresh=False)
        progress.update()
    clock.seconds["total"] = perf_counter() - start
    return epochs


def warm_up(model: torch.nn.Sequential, data: dict[str, torch.Tensor], recipe: Recipe, device: torch.device) -> None:
    """Train a little, untimed, so that no run pays for lazy loading and the first kernels."""
    few = [data[f"train_{axis}"][: 4 * recipe.batch_size].to(device) for axis in "xy"]
    for _ in fit(model.to(device), few, few, recipe._replace(epochs=2), 0, Clock(device)):
        pass


def summary(clocks: list[dict[str, float]], runs: list[list], n_train: int, batch_size: int) -> dict:
    """Return median, minimum and maximum seconds of each part over the runs, and the speed of training proper."""
    seconds = {part: [clock.get(part, 0.0) for clock in clocks] for part in PARTS_OF_TIME}
    train_seconds, epochs = sum(seconds["train"]), sum(map(len, runs))
    return {
        "seconds": {
            part: {"median": statistics.median(values), "min": min(values), "max": max(values)}
            for part, values in seconds.items()
        },
        "steps_per_second": epochs * -(-n_train // batch_size) / train_seconds,
        "samples_per_second": epochs * n_train / train_seconds,
    }


def hardware(device: torch.device) -> dict:
    """Return what the times were measured on."""
    record = {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": {},
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": version("numpy")},
    }
    if device.type == "cuda":
        record |= {"gpu": torch.cuda.get_device_name(device), "cuda": torch.version.cuda}
    return record


def cpu_name() -> str:
    """Return the processor's name as Linux gives it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
