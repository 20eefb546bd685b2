"""trainer: what one process of a training does: some runs of one representation, their snapshots, how they go."""

import contextlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.common import tasks
from stages.common.files import UserError, snapshot_path
from stages.common.records import Description
from stages.common.tensors import read_prepared
from stages.training.job import Job, Recipe
from stages.training.timing import Trained

if TYPE_CHECKING:
    import torch

    from stages.training.runs import Hooks


class Task(NamedTuple):
    """A group of runs to train side by side in one process."""

    folder: Path  # where the project is
    device: str  # "cpu" or "gpu"
    description: Description
    jobs: dict[str, Job]  # by representation: all of them are rehearsed before the first run
    learns: str  # the fingerprint of what is learnt
    cores: int  # for this process
    name: str  # of the representation
    numbers: range  # of the runs


class Done(NamedTuple):
    """What came of a task, and where."""

    name: str
    trained: Trained
    host: str
    process: tuple[str, int]
    hardware: dict[str, Any]
    peak_mib: float  # of a GPU's memory; 0 on a CPU


def train_task(task: Task) -> Done:
    """Train a group of runs, save their snapshots, and report every epoch."""
    import torch

    from stages.training import runs, timing

    place = torch.device("cuda" if task.device == "gpu" else "cpu")
    with contextlib.chdir(task.folder):
        rehearse(task, place)
        job, data = task.jobs[task.name], read_data(task.name, task.description)
        torch.set_num_threads(runs.threads_for(job, task.cores))
        with failures_as_one_line(place, data, job.recipe):
            trained = runs.train_runs(job, task.numbers, data, place, hooks(task))
    host = platform.node()
    peak = torch.cuda.max_memory_allocated(place) / 2**20 if task.device == "gpu" else 0.0
    return Done(task.name, trained, host, (host, os.getpid()), timing.hardware(place), peak)


REHEARSED: set[tuple[str, str]] = set()  # what was to be learnt, and on what


def rehearse(task: Task, place: "torch.device") -> None:
    """Start the device and train a little of every job, once a process: no run then pays for what comes first."""
    if (task.learns, task.device) in REHEARSED:
        return
    import torch

    from stages.training import devices, runs

    devices.start(place)
    for name, job in task.jobs.items():
        data = read_data(name, task.description)
        torch.set_num_threads(runs.threads_for(job, task.cores))
        with failures_as_one_line(place, data, job.recipe):
            runs.warm_up(job, data, place)
    REHEARSED.add((task.learns, task.device))


def hooks(task: Task) -> "Hooks":
    """Return what saves a task's snapshots and reports its epochs."""
    from stages.models.snapshots import save_snapshot
    from stages.training.runs import Hooks

    def save(run: int, epoch: int, weights: dict[str, "torch.Tensor"]) -> None:
        save_snapshot(snapshot_path(task.device, task.name, run, epoch), weights, task.learns)

    def tick(runs: list) -> None:
        last = runs[0].epochs[-1]
        epochs = sum(len(run.epochs) for run in runs)
        tasks.report([task.name, task.numbers.start, epochs, last.train_loss, last.val_f1_macro])

    return Hooks(save, tick)


def read_data(name: str, description: Description) -> dict[str, "torch.Tensor"]:
    """Return a representation's training and validation parts, mapped into memory."""
    return read_prepared(name, description, "pt", [f"{part}_{axis}" for part in ("train", "val") for axis in "xy"])


@contextmanager
def failures_as_one_line(device: "torch.device", data: dict[str, "torch.Tensor"], recipe: Recipe) -> Iterator[None]:
    """Turn what can go wrong in training into one line: an optimizer's objections, a GPU's lack of memory.

    The latter says how much was free and how much the samples alone take.
    """
    import torch

    from stages.training.optimizer import OptimizerError

    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
    try:
        yield
    except OptimizerError as error:
        raise UserError(
            f"params.yaml: optimizer_args: found {recipe.optimizer_args}, which {recipe.optimizer} refuses: {error}"
        ) from None
    except torch.OutOfMemoryError as error:
        samples = sum(data[f"{part}_x"].nbytes for part in ("train", "val"))
        raise UserError(
            f"train_gpu: not enough GPU memory: found {free / 2**20:,.0f} MiB free; the samples alone take "
            f"{samples / 2**20:,.0f} MiB ({str(error).split('.')[0]}); free the GPU, or train fewer runs at once (runs)"
        ) from None
