"""All the runs of one device: trained one after the other on a CPU, side by side on a GPU, timed, summed up.

One run is one seed, which fixes the initial weights and the order of the batches. A run's seconds are those from its
start to its end, whoever runs beside it: nothing is divided and nothing taken away. Beside them stands the wall clock
of all runs, which is the same work on either device. What comes once and before any run (importing torch, starting the
device, first kernels) is told apart as `start_seconds`.
"""

import os
import platform
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
PARTS_OF_TIME = ("warmup", "transfer", "train", "validate", "snapshot", "total")


def train_all(name: str, params: Params, started: float) -> tuple[dict, dict]:
    """Train every representation and run on the device `name`; return what history.json and the timing file say.

    Args:
        name: "cpu" or "gpu".
        params: the parameters.
        started: the time (`perf_counter`) at which the stage started.

    Raises:
        UserError: if a representation cannot have the network asked for, or all its runs diverged, or the GPU has not
            enough memory.
    """
    device = torch.device("cuda" if name == "gpu" else "cpu")
    dataset = read_json(PREPARED / "dataset.json")
    shapes = {representation: tuple(about["shape"]) for representation, about in dataset["representations"].items()}
    networks = {each: choose_network(params.network, each, shape) for each, shape in shapes.items()}
    if device.type == "cuda":
        make_exact()
    torch.zeros(1, device=device).sum().item()  # starts the device
    start_seconds = perf_counter() - started
    history = {"params": params.model_dump(include=set(USED)), "representations": {}}
    timing = {"hardware": hardware(device), "representations": {}}
    with tqdm(total=len(shapes) * params.runs * params.epochs, unit="epoch", disable=None) as progress:
        for representation, shape in shapes.items():
            data = load_file(PREPARED / f"{representation}.safetensors")
            new_model = partial(build_network, networks[representation], shape, params.hidden, len(dataset["classes"]))
            threads = threads_for(new_model(seed=0), shape, params.batch_size)
            torch.set_num_threads(threads)
            start_seconds += warm_up(new_model(seed=0), data, recipe_of(params), device)
            runs, timed = train_representation(name, representation, new_model, data, params, device, progress)
            history["representations"][representation] = {"network": networks[representation], "runs": runs}
            timing["representations"][representation] = timed | {"threads": threads}
            tell(name, representation, runs, timed, params, progress)
    timing["start_seconds"] = start_seconds
    if device.type == "cuda":
        timing["peak_mib"] = torch.cuda.max_memory_allocated(device) / 2**20
    return history, timing


def recipe_of(params: Params) -> Recipe:
    """Return how the parameters say to train."""
    return Recipe(params.optimizer, params.optimizer_args, params.lr, params.epochs, params.batch_size)


def train_representation(
    name: str,
    representation: str,
    new_model: Callable[..., torch.nn.Sequential],
    data: dict[str, torch.Tensor],
    params: Params,
    device: torch.device,
    progress: tqdm,
) -> tuple[list[list[dict[str, float]]], dict]:
    """Train all runs on one representation; return what history.json and the timing file say of it."""
    seeds = [params.seed + run for run in range(params.runs)]
    groups = groups_of(device, params.runs)
    runs, clocks = [], []
    start = perf_counter()
    for group in groups:
        progress.set_description(f"{name} {representation} run {group[-1] + 1}/{params.runs}")
        models = [new_model(seed=seeds[run]) for run in group]
        paths = [partial(snapshot_path, name, representation, run) for run in group]
        clock, every = Clock(device), params.snapshots == "every"
        with told_when_memory_is_short(device, data):
            runs += train_runs(
                models, data, recipe_of(params), [seeds[run] for run in group], paths, every, clock, progress
            )
        clocks.append(clock.seconds)
    seconds = perf_counter() - start
    timed = summary(clocks, len(groups[0]), runs, len(data["train_y"]), params.batch_size)
    return runs, timed | {"all_runs_seconds": seconds}


def groups_of(device: torch.device, runs: int) -> list[range]:
    """Return which runs train side by side: all on a GPU, which takes hardly longer for them than for one."""
    return [range(runs)] if device.type == "cuda" else [range(run, run + 1) for run in range(runs)]


def tell(name: str, representation: str, runs: list[list[dict]], timed: dict, params: Params, progress: tqdm) -> None:
    """Say how the runs went and which of them diverged.

    Raises:
        UserError: if all did.
    """
    for run, epochs in enumerate(runs):
        if len(epochs) < params.epochs:
            progress.write(
                f"train_{name}: {representation} run {run} diverged in epoch {len(epochs)}: its loss is not finite; "
                "its earlier snapshots stand"
            )
    if all(len(epochs) < params.epochs for epochs in runs):
        raise UserError(
            f"train_{name}: {representation}: every run diverged; found lr: {params.lr:g} in params.yaml, expected a "
            f"smaller one, say {params.lr / 10:g}"
        )
    scores = [epochs[best_epoch(epochs)]["val_f1_macro"] for epochs in runs if epochs]
    progress.write(
        f"train_{name}: {representation}: {timed['seconds']['total']['median']:.2f} s a run, best validation macro F1 "
        f"{statistics.mean(scores):.3f} (mean of {len(scores)} runs)"
    )


def make_exact() -> None:
    """Ask a GPU for full float32 products and for kernels that give the same bytes every time."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.use_deterministic_algorithms(True)


@contextmanager
def told_when_memory_is_short(device: torch.device, data: dict[str, torch.Tensor]) -> Iterator[None]:
    """Turn a GPU's lack of memory into one line that says how much was free and how much the samples alone take."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
    try:
        yield
    except torch.OutOfMemoryError as error:
        samples = sum(data[f"{part}_x"].nbytes for part in ("train", "val"))
        raise UserError(
            f"train_gpu: not enough GPU memory: found {free / 2**20:,.0f} MiB free; the samples alone take "
            f"{samples / 2**20:,.0f} MiB ({str(error).split('.')[0]}); free the GPU, or train fewer runs at once (runs)"
        ) from None


def train_runs(
    models: list[torch.nn.Sequential],
    data: dict[str, torch.Tensor],
    recipe: Recipe,
    seeds: list[int],
    paths: list[Callable[[int], Path]],
    every: bool,
    clock: Clock,
    progress: tqdm,
) -> list[list[dict[str, float]]]:
    """Train runs side by side and return what history.json says of each run's epochs.

    Saves a run's weights at `path(epoch)` when its validation macro F1 improves, or after every epoch.
    """
    start = perf_counter()
    with clock.part("transfer"):
        models = [model.to(clock.device) for model in models]
        train, val = ([data[f"{part}_{axis}"].to(clock.device) for axis in "xy"] for part in ("train", "val"))
    runs: list[list[dict[str, float]]] = [[] for _ in models]
    for records in fit(models, train, val, recipe, seeds, clock):
        with clock.part("snapshot"):
            for record, epochs in zip(records, runs, strict=True):
                epochs += [record] if record else []
            kept = [
                run
                for run, (record, epochs) in enumerate(zip(records, runs, strict=True))
                if record and (every or best_epoch(epochs) == len(epochs) - 1)
            ]
            for run, weights in zip(kept, on_the_host([models[run] for run in kept]), strict=True):
                save_snapshot(paths[run](len(runs[run]) - 1), weights)
        shown = next(record for record in records if record)
        progress.set_postfix(loss=f"{shown['train_loss']:.3f}", f1=f"{shown['val_f1_macro']:.3f}", refresh=False)
        progress.update(len(models))
    clock.seconds["total"] = perf_counter() - start
    return runs


def on_the_host(models: list[torch.nn.Module]) -> list[dict[str, torch.Tensor]]:
    """Return the models' weights on the host, brought there from their device by one copy of all together."""
    states = [model.state_dict() for model in models]
    weights = [tensor for state in states for tensor in state.values()]
    if not weights:
        return []
    together = torch.cat([tensor.reshape(-1) for tensor in weights]).cpu()
    pieces = iter(together.split([tensor.numel() for tensor in weights]))
    return [{name: next(pieces).view(tensor.shape) for name, tensor in state.items()} for state in states]


def warm_up(model: torch.nn.Sequential, data: dict[str, torch.Tensor], recipe: Recipe, device: torch.device) -> float:
    """Train a little, so that no run pays for lazy loading, a GPU's start and the first kernels; return the seconds."""
    start = perf_counter()
    few = [data[f"train_{axis}"][: 4 * recipe.batch_size].to(device) for axis in "xy"]
    for _ in fit([model.to(device)], few, few, recipe._replace(epochs=2), [0], Clock(device)):
        pass
    return perf_counter() - start


def summary(clocks: list[dict[str, float]], at_once: int, runs: list[list], n_train: int, batch_size: int) -> dict:
    """Return median, minimum and maximum seconds of each part over the runs, and the speed of training proper.

    Args:
        clocks: the seconds of each group of runs that trained side by side: every one of them took as long.
        at_once: runs of a group.
        runs: each run's epochs.
        n_train: samples of the training part.
        batch_size: samples a step.
    """
    seconds = {part: [clock.get(part, 0.0) for clock in clocks for _ in range(at_once)] for part in PARTS_OF_TIME}
    train_seconds, epochs = sum(clock["train"] for clock in clocks), sum(map(len, runs))
    return {
        "seconds": {
            part: {"median": statistics.median(values), "min": min(values), "max": max(values)}
            for part, values in seconds.items()
        },
        "runs_at_once": at_once,
        "steps_per_second": epochs * -(-n_train // batch_size) / train_seconds,
        "samples_per_second": epochs * n_train / train_seconds,
    }


def hardware(device: torch.device) -> dict:
    """Return what the times were measured on."""
    record = {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": version("numpy")},
    }
    if device.type == "cuda":
        driver = Path("/sys/module/nvidia/version")
        record |= {
            "gpu": torch.cuda.get_device_name(device),
            "driver": driver.read_text(encoding="utf-8").strip() if driver.exists() else None,
            "cuda": torch.version.cuda,
        }
    return record


def cpu_name() -> str:
    """Return the processor's name as Linux gives it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
