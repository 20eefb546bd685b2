"""The runs on one representation, alone or side by side, timed.

One run is one seed, which fixes the initial weights and the order of the batches.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from time import perf_counter, time
from typing import NamedTuple

import torch
from torch import nn

from stages.common.records import Epoch
from stages.models.snapshots import best_epoch
from stages.training.job import Job
from stages.training.loop import fit
from stages.training.timing import Clock, Trained

Weights = dict[str, torch.Tensor]

# A step of fewer multiply-adds than this goes faster on one thread than on several; measured by bench/training.py (its
# table "threads"). A rule rather than a race at every start: another number of threads may round differently.
THREADS_PAY = 4_000_000
MAX_THREADS = 4  # two were measured; a step of 16 samples has little to share out among many more


class Run(NamedTuple):
    """One network in training; `epochs` grows."""

    number: int
    seed: int
    model: nn.Sequential
    epochs: list[Epoch]


class Hooks(NamedTuple):
    """Functions that training calls as it goes."""

    save: Callable[[int, int, Weights], None]  # run, epoch, the weights to keep
    tick: Callable[[list[Run]], None]  # the runs side by side that have trained an epoch at least, after each


def train_runs(job: Job, numbers: range, data: Weights, device: torch.device, hooks: Hooks) -> Trained:
    """Train some runs of a job side by side.

    Args:
        job: what to train.
        numbers: of the runs, from 0.
        data: `train_x`, `train_y`, `val_x` and `val_y` on the CPU.
        device: where to train.
        hooks: called as training goes.
    """
    started, clock = time(), Clock(device)
    group = [Run(number, job.seeds[number], job.new_model(job.seeds[number]), []) for number in numbers]
    train_group(job, group, data, clock, hooks)
    epochs = [run.epochs for run in group]
    return Trained(numbers, epochs, clock.seconds, started, time(), torch.get_num_threads())


def train_group(job: Job, group: list[Run], data: Weights, clock: Clock, hooks: Hooks) -> None:
    """Train runs side by side; `clock` gets the seconds that each of them takes, the total from start to end."""
    start = perf_counter()
    with clock.part("transfer"):
        models = [run.model.to(clock.device) for run in group]
        parts = {part: tuple(data[f"{part}_{axis}"].to(clock.device) for axis in "xy") for part in ("train", "val")}
    with beside(clock) as do:
        for epochs in fit(models, parts, job.recipe, [run.seed for run in group], clock):
            with clock.part("snapshot"):
                for run, epoch in zip(group, epochs, strict=True):
                    run.epochs.extend([epoch] if epoch else [])
                trained = [run for run, epoch in zip(group, epochs, strict=True) if epoch]
                kept = [run for run in trained if job.keep_every or best_epoch(run.epochs) == len(run.epochs) - 1]
                if kept:
                    places = [(run.number, len(run.epochs) - 1) for run in kept]
                    do(partial(save_all, hooks.save, places, on_the_host([run.model for run in kept])))
            hooks.tick([run for run in group if run.epochs])
    clock.seconds["total"] = perf_counter() - start


@contextmanager
def beside(clock: Clock) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Give what saves snapshots, or does any work: at once on a CPU, on a thread of its own while a GPU trains on.

    The next work waits for the last, so that no more than two epochs' weights lie about, and raises what it raised.
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


def save_all(save: Callable[[int, int, Weights], None], places: list[tuple[int, int]], weights: list[Weights]) -> None:
    """Save weights as what they are: of which run, after which epoch."""
    for (run, epoch), own in zip(places, weights, strict=True):
        save(run, epoch, own)


def warm_up(job: Job, data: Weights, device: torch.device) -> None:
    """Train as the runs will, but little: no run then pays for lazy loading and the first kernels.

    As many runs side by side as there will be, and batches of either length that they will meet.
    """
    size = job.recipe.batch_size
    n = 4 * size + len(data["train_y"]) % size
    data = {name: tensor[:n] for name, tensor in data.items() if name.startswith(("train", "val"))}
    numbers = job.groups(device.type == "cuda")[0]
    group = [Run(number, 0, job.new_model(seed=0), []) for number in numbers]
    job = job._replace(recipe=job.recipe._replace(epochs=2), keep_every=True)
    train_group(job, group, data, Clock(device), Hooks(lambda *_: None, lambda _: None))


def threads_for(job: Job, cores: int) -> int:
    """Return how many threads a run on a CPU trains with: one for small steps, else as many of its cores as pay."""
    small = job.recipe.batch_size * job.multiply_adds() < THREADS_PAY
    return 1 if small else max(1, min(cores, MAX_THREADS))


def on_the_host(models: list[nn.Module]) -> list[Weights]:
    """Return the models' weights on the host, brought there from their device by one copy of all together."""
    states = [model.state_dict() for model in models]
    weights = [tensor for state in states for tensor in state.values()]
    if not weights:
        return []
    together = torch.cat([tensor.reshape(-1) for tensor in weights]).cpu()
    pieces = iter(together.split([tensor.numel() for tensor in weights]))
    return [{name: next(pieces).view(tensor.shape) for name, tensor in state.items()} for state in states]
