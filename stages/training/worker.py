"""What one process of a training does: a job, that is, some runs side by side, their snapshots and reports.

One run is one seed, which fixes the initial weights and the order of the batches.
"""

import contextlib
import os
import platform
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from time import perf_counter, time

import torch
from torch import nn

from stages.common import tasks
from stages.common.files import UserError, snapshot_path
from stages.common.records import Epoch
from stages.common.tensors import read_prepared
from stages.models.snapshots import best_epoch, save_snapshot
from stages.training import devices
from stages.training.job import Job, Setting, Trained
from stages.training.loop import fit
from stages.training.optimizer import OptimizerError
from stages.training.timing import Clock, hardware

Weights = dict[str, torch.Tensor]
Place = tuple[int, int]  # of a snapshot: its run and epoch

# A step of fewer multiply-adds than this goes faster on one thread than on several; measured by bench/training.py (its
# table "threads"). A rule rather than a race at every start: another number of threads may round differently.
THREADS_PAY = 4_000_000
MAX_THREADS = 4  # two were measured; a step of 16 samples has little to share out among many more


def train_job(setting: Setting, job: Job) -> Trained:
    """Train a job's runs, save their snapshots, and report every epoch."""
    place = torch.device("cuda" if setting.device == "gpu" else "cpu")
    with contextlib.chdir(setting.folder):
        rehearse(setting, place)
        data = read_data(job, setting)
        torch.set_num_threads(threads_for(job, setting.cores))
        with failures_as_one_line(job, data, place):
            started, clock = time(), Clock(place)
            epochs = train_runs(job, data, clock, partial(save, setting, job.name), partial(report, job))
            ended = time()
    peak = torch.cuda.max_memory_allocated(place) / 2**20 if setting.device == "gpu" else 0.0
    process, threads = (platform.node(), os.getpid()), torch.get_num_threads()
    return Trained(job, epochs, clock.seconds, started, ended, threads, process, hardware(place), peak)


def save(setting: Setting, name: str, weights: dict[Place, Weights]) -> None:
    """Save weights as snapshots."""
    for place, own in weights.items():
        save_snapshot(snapshot_path(setting.device, name, *place), own, setting.learns)


def report(job: Job, epochs: list[list[Epoch]]) -> None:
    """Report how far the runs are, and the last epoch of each."""
    latest = {run: (len(own) - 1, own[-1]) for run, own in zip(job.runs, epochs, strict=True) if own}
    if latest:
        tasks.report([job.name, job.runs.start, sum(map(len, epochs)), latest])


REHEARSED: set[tuple[str, str]] = set()  # what was to be learnt, and on what


def rehearse(setting: Setting, place: torch.device) -> None:
    """Start the device and train a little of every job, once a process: no run then pays for what comes first."""
    if (setting.learns, setting.device) in REHEARSED:
        return
    devices.start(place)
    for job in setting.rehearsed:
        data = read_data(job, setting)
        torch.set_num_threads(threads_for(job, setting.cores))
        with failures_as_one_line(job, data, place):
            warm_up(job, data, place)
    REHEARSED.add((setting.learns, setting.device))


def warm_up(job: Job, data: Weights, place: torch.device) -> None:
    """Train as a job's runs will, but little: two epochs, in batches of either length that they will meet."""
    size = job.recipe.batch_size
    n = 4 * size + len(data["train_y"]) % size
    few = {name: tensor[:n] for name, tensor in data.items()}
    short = job._replace(recipe=job.recipe._replace(epochs=2), seed=0, snapshots="every")
    train_runs(short, few, Clock(place), lambda *_: None, lambda _: None)


def read_data(job: Job, setting: Setting) -> Weights:
    """Return a job's training and validation samples, mapped into memory."""
    wanted = [f"{part}_{axis}" for part in ("train", "val") for axis in "xy"]
    return read_prepared(job.name, setting.description, "pt", wanted)


@contextmanager
def failures_as_one_line(job: Job, data: Weights, place: torch.device) -> Iterator[None]:
    """Turn what can go wrong in training into one line: an optimizer's objections, a GPU's lack of memory.

    The latter says how much was free and how much the samples alone take.
    """
    free = torch.cuda.mem_get_info(place)[0] if place.type == "cuda" else 0
    try:
        yield
    except OptimizerError as error:
        found = f"params.yaml: optimizer_args: found {job.recipe.optimizer_args}"
        raise UserError(f"{found}, which {job.recipe.optimizer} refuses: {error}") from None
    except torch.OutOfMemoryError as error:
        samples = sum(data[f"{part}_x"].nbytes for part in ("train", "val"))
        raise UserError(
            f"train_gpu: not enough GPU memory: found {free / 2**20:,.0f} MiB free; the samples alone take "
            f"{samples / 2**20:,.0f} MiB ({str(error).split('.')[0]}); free the GPU, or train fewer runs at once (runs)"
        ) from None


def threads_for(job: Job, cores: int) -> int:
    """Return how many threads a run on a CPU trains with: one for small steps, else as many of its cores as pay."""
    small = job.recipe.batch_size * job.multiply_adds() < THREADS_PAY
    return 1 if small else max(1, min(cores, MAX_THREADS))


def train_runs(
    job: Job,
    data: Weights,
    clock: Clock,
    save: Callable[[dict[Place, Weights]], None],
    tick: Callable[[list[list[Epoch]]], None],
) -> list[list[Epoch]]:
    """Train a job's runs side by side, on samples that are on the CPU, and return each one's epochs.

    The clock gets the seconds that each run takes, the total from start to end; `save` the weights to keep; `tick` each
    run's epochs so far, after every epoch.
    """
    start, epochs, last = perf_counter(), [[] for _ in job.runs], {}  # last: of each run, its place and weights
    models = [job.new_model(seed) for seed in job.seeds]
    with clock.part("transfer"):
        models = [model.to(clock.device) for model in models]
        parts = {part: tuple(data[f"{part}_{axis}"].to(clock.device) for axis in "xy") for part in ("train", "val")}
    with beside(clock) as do:
        for latest in fit(models, parts, job.recipe, job.seeds, clock):
            with clock.part("snapshot"):
                kept = {}
                for own, epoch, run, model in zip(epochs, latest, job.runs, models, strict=True):
                    own.extend([epoch] if epoch else [])
                    if epoch and (job.snapshots != "improved" or best_epoch(own) == len(own) - 1):
                        kept[run, len(own) - 1] = model
                weights = dict(zip(kept, on_the_host(list(kept.values())), strict=True))
                if job.snapshots == "last":  # which epoch is the last, shows only if a run diverges
                    last |= {place[0]: (place, own) for place, own in weights.items()}
                elif weights:
                    do(partial(save, weights))
            tick(epochs)
        if last:
            with clock.part("snapshot"):
                save(dict(last.values()))
    clock.seconds["total"] = perf_counter() - start
    return epochs


@contextmanager
def beside(clock: Clock) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Give a function that does work, such as saving: at once on a CPU, in a thread while a GPU goes on training.

    The next work waits for the last, so that at most two epochs' weights are in memory, and raises its errors.
    """
    if clock.device.type != "cuda":
        yield lambda work: work()
        return
    with ThreadPoolExecutor(1) as thread:
        last = thread.submit(lambda: None)

        def hand_over(work: Callable[[], None]) -> None:
            nonlocal last
            last.result()
            last = thread.submit(work)

        yield hand_over
        with clock.part("snapshot"):
            last.result()


def on_the_host(models: list[nn.Module]) -> list[Weights]:
    """Return the models' weights on the host, brought there from their device by one copy of all of a type together."""
    states = [model.state_dict() for model in models]
    weights = [tensor for state in states for tensor in state.values()]
    pieces = {}
    for kind in dict.fromkeys(tensor.dtype for tensor in weights):
        own = [tensor.reshape(-1) for tensor in weights if tensor.dtype == kind]
        pieces[kind] = iter(torch.cat(own).cpu().split(list(map(len, own))))
    return [{name: next(pieces[tensor.dtype]).view(tensor.shape) for name, tensor in state.items()} for state in states]
