"""All runs on one representation: one after the other on a CPU, side by side on a GPU, timed and summed up.

One run is one seed, which fixes the initial weights and the order of the batches.
"""

import os
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

import torch
from torch import nn

from stages.learning import closed_form
from stages.learning.fit import fit
from stages.learning.network import build_network, multiply_adds
from stages.learning.recipe import Recipe
from stages.learning.snapshots import best_epoch
from stages.learning.timing import Clock, spread
from stages.records import Epoch
from stages.results import Timed

Weights = dict[str, torch.Tensor]

# A step of fewer multiply-adds than this goes faster on one thread than on several; measured by bench/training.py (its
# table "threads"). A rule rather than a race at every start: another number of threads may round differently, and the
# same machine must give the same bytes.
THREADS_PAY = 4_000_000
MAX_THREADS = 4  # two were measured; a step of 16 samples has little to share out among many more


class Job(NamedTuple):
    """What to train on one representation: a network from each seed."""

    network: str
    shape: tuple[int, ...]  # of one sample
    hidden: list[int]
    n_classes: int
    recipe: Recipe
    seeds: list[int]
    keep_every: bool  # weights of every epoch, or only of those that improve validation macro F1

    def new_model(self, seed: int) -> nn.Sequential:
        """Return the network with the initial weights that `seed` draws."""
        return build_network(self.network, self.shape, self.hidden, self.n_classes, seed)


class Run(NamedTuple):
    """One network in training; `epochs` grows."""

    number: int
    seed: int
    model: nn.Sequential
    epochs: list[Epoch]


class Hooks(NamedTuple):
    """Functions that training calls as it goes."""

    save: Callable[[int, int, Weights], None]  # run, epoch, the weights to keep
    tick: Callable[[list[Run]], None]  # the runs that have just trained one more epoch side by side


def train_job(job: Job, data: Weights, device: torch.device, hooks: Hooks) -> tuple[list[list[Epoch]], Timed]:
    """Train all runs of a job.

    Args:
        job: what to train.
        data: `train_x`, `train_y`, `val_x` and `val_y` on the CPU.
        device: where to train.
        hooks: called as training goes.

    Returns:
        Each run's epochs (fewer than asked for if it diverged) and the times.
    """
    threads = threads_for(job)
    torch.set_num_threads(threads)
    done, groups, clocks = [], groups_of(job, device), []
    start = perf_counter()
    for numbers in groups:
        group = [Run(number, job.seeds[number], job.new_model(job.seeds[number]), []) for number in numbers]
        clock = Clock(device)
        train_group(job, group, data, clock, hooks)
        clocks.append(clock.seconds)
        done += [run.epochs for run in group]
    all_runs_seconds = perf_counter() - start
    train_seconds = sum(clock["train"] for clock in clocks)
    epochs, n_train = sum(map(len, done)), len(data["train_y"])
    timed = Timed(
        seconds=spread([clock for numbers, clock in zip(groups, clocks, strict=True) for _ in numbers]),
        runs_at_once=len(groups[0]),
        all_runs_seconds=all_runs_seconds,
        steps_per_second=epochs * -(-n_train // job.recipe.batch_size) / train_seconds,
        samples_per_second=epochs * n_train / train_seconds,
        threads=threads,
    )
    return done, timed


def train_group(job: Job, group: list[Run], data: Weights, clock: Clock, hooks: Hooks) -> None:
    """Train runs side by side; `clock` gets the seconds that each of them takes, the total from start to end."""
    start = perf_counter()
    with clock.part("transfer"):
        models = [run.model.to(clock.device) for run in group]
        parts = {part: tuple(data[f"{part}_{axis}"].to(clock.device) for axis in "xy") for part in ("train", "val")}
    for epochs in fit(models, parts, job.recipe, [run.seed for run in group], clock):
        with clock.part("snapshot"):
            for run, epoch in zip(group, epochs, strict=True):
                run.epochs.extend([epoch] if epoch else [])
            trained = [run for run, epoch in zip(group, epochs, strict=True) if epoch]
            kept = [run for run in trained if job.keep_every or best_epoch(run.epochs) == len(run.epochs) - 1]
            for run, weights in zip(kept, on_the_host([run.model for run in kept]), strict=True):
                hooks.save(run.number, len(run.epochs) - 1, weights)
        hooks.tick(trained)
    clock.seconds["total"] = perf_counter() - start


def warm_up(job: Job, data: Weights, device: torch.device) -> float:
    """Train as the runs will, but little: no run then pays for lazy loading and the first kernels; return the seconds.

    As many runs side by side as there will be, and batches of either length that they will meet.
    """
    start, size = perf_counter(), job.recipe.batch_size
    n = 4 * size + len(data["train_y"]) % size
    data = {name: tensor[:n] for name, tensor in data.items() if name.startswith(("train", "val"))}
    numbers = groups_of(job, device)[0]
    group = [Run(number, 0, job.new_model(seed=0), []) for number in numbers]
    job = job._replace(recipe=job.recipe._replace(epochs=2), keep_every=True)
    train_group(job, group, data, Clock(device), Hooks(lambda *_: None, lambda _: None))
    return perf_counter() - start


def groups_of(job: Job, device: torch.device) -> list[range]:
    """Return which runs train side by side: all by the closed form on a GPU, where several make one product larger."""
    runs = len(job.seeds)
    together = device.type == "cuda" and closed_form.serves(job.new_model(seed=0), job.recipe)
    return [range(runs)] if together else [range(run, run + 1) for run in range(runs)]


def threads_for(job: Job) -> int:
    """Return how many threads to train on a CPU with: one for small steps, else one a core."""
    small = job.recipe.batch_size * multiply_adds(job.new_model(seed=0), job.shape) < THREADS_PAY
    return 1 if small else min(len(os.sched_getaffinity(0)), MAX_THREADS)


def on_the_host(models: list[nn.Module]) -> list[Weights]:
    """Return the models' weights on the host, brought there from their device by one copy of all together."""
    states = [model.state_dict() for model in models]
    weights = [tensor for state in states for tensor in state.values()]
    if not weights:
        return []
    together = torch.cat([tensor.reshape(-1) for tensor in weights]).cpu()
    pieces = iter(together.split([tensor.numel() for tensor in weights]))
    return [{name: next(pieces).view(tensor.shape) for name, tensor in state.items()} for state in states]
