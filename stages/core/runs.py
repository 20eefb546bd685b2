"""All the runs of one device: trained one after the other, timed, summed up.

One run is one seed, which fixes the initial weights and the order of the batches. Times are honest: a little training
goes before, untimed; the device is waited for at either end of a part.
"""

import os
import platform
import statistics
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import torch
from safetensors.torch import load_file
from tqdm import tqdm

from stages.core.network import build_network, choose_network
from stages.core.params import Params
from stages.core.snapshots import best_epoch, save_snapshot, snapshot_path
from stages.core.training import Clock, Recipe, fit, threads_for
from stages.files import PREPARED, UserError, read_json

USED = ("network", "hidden", "optimizer", "optimizer_args", "lr", "epochs", "batch_size", "runs", "seed", "snapshots")
PARTS_OF_TIME = ("transfer", "train", "validate", "snapshot", "total")


def train_all(name: str, params: Params) -> tuple[dict, dict]:
    """Train every representation and run on the device `name`; return what history.json and the timing file say.

    Raises:
        UserError: if a representation cannot have the network asked for, or all its runs diverged.
    """
    device = torch.device("cuda" if name == "gpu" else "cpu")
    dataset = read_json(PREPARED / "dataset.json")
    shapes = {representation: tuple(about["shape"]) for representation, about in dataset["representations"].items()}
    networks = {each: choose_network(params.network, each, shape) for each, shape in shapes.items()}
    recipe = Recipe(params.optimizer, params.optimizer_args, params.lr, params.epochs, params.batch_size)
    history = {"params": params.model_dump(include=set(USED)), "representations": {}}
    timing = hardware(device)
    with tqdm(total=len(shapes) * params.runs * params.epochs, unit="epoch", disable=None) as progress:
        for representation, shape in shapes.items():
            data = load_file(PREPARED / f"{representation}.safetensors")
            new_model = partial(build_network, networks[representation], shape, params.hidden, len(dataset["classes"]))
            threads = threads_for(new_model(seed=0), shape, params.batch_size)
            torch.set_num_threads(threads)
            warm_up(new_model(seed=0), data, recipe, device)
            runs, clocks = [], []
            for run in range(params.runs):
                progress.set_description(f"{name} {representation} run {run + 1}/{params.runs}")
                seed, path_of = params.seed + run, partial(snapshot_path, name, representation, run)
                clock, every = Clock(device), params.snapshots == "every"
                epochs = train_run(new_model(seed=seed), data, recipe, seed, path_of, every, clock, progress)
                if len(epochs) < params.epochs:
                    progress.write(
                        f"train_{name}: {representation} run {run} diverged in epoch {len(epochs)}: its loss is not "
                        "finite; its earlier snapshots stand"
                    )
                runs.append(epochs)
                clocks.append(clock.seconds)
            if all(len(epochs) < params.epochs for epochs in runs):
                raise UserError(
                    f"train_{name}: {representation}: every run diverged; found lr: {params.lr:g} in params.yaml, "
                    f"expected a smaller one, say {params.lr / 10:g}"
                )
            history["representations"][representation] = {"network": networks[representation], "runs": runs}
            timing["threads"][representation] = threads
            timing[representation] = summary(clocks, runs, len(data["train_y"]), params.batch_size)
            scores = [epochs[best_epoch(epochs)]["val_f1_macro"] for epochs in runs if epochs]
            progress.write(
                f"train_{name}: {representation}: {timing[representation]['seconds']['total']['median']:.2f} s a run, "
                f"best validation macro F1 {statistics.mean(scores):.3f} (mean of {len(scores)} runs)"
            )
    return history, timing


def train_run(
    model: torch.nn.Sequential,
    data: dict[str, torch.Tensor],
    recipe: Recipe,
    seed: int,
    path_of: Callable[[int], Path],
    every: bool,
    clock: Clock,
    progress: tqdm,
) -> list[dict[str, float]]:
    """Train one run and return what history.json says of each epoch.

    Saves the weights at `path_of(epoch)` when validation macro F1 improves, or after every epoch.
    """
    start = perf_counter()
    with clock.part("transfer"):
        model = model.to(clock.device)
        train, val = ([data[f"{part}_{axis}"].to(clock.device) for axis in "xy"] for part in ("train", "val"))
    epochs: list[dict[str, float]] = []
    for record in fit(model, train, val, recipe, seed, clock):
        epochs.append(record)
        if every or best_epoch(epochs) == len(epochs) - 1:
            with clock.part("snapshot"):
                save_snapshot(path_of(len(epochs) - 1), model.state_dict())
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
