"""train: train the networks on one device, `python -m stages.train cpu` or `gpu`, and time it.

For every representation and each of `runs` seeds: snapshots under data/snapshots/DEVICE, their history.json, and the
times in metrics/train_DEVICE.json. On a CPU the runs train side by side, one in a process (stages/training/worker.py).
"""

import os
import shutil
import statistics
import sys
from collections.abc import Callable
from math import prod
from pathlib import Path
from time import time
from typing import Any

from tqdm import tqdm

from stages.common import tasks
from stages.common.files import SNAPSHOTS, UserError, history_path, timing_path
from stages.common.fingerprints import of_training, read_description
from stages.common.params import MOST_WEIGHTS, TRAINING, Params, load_params
from stages.common.records import DEVICES, Description, History, Runs, Skipped
from stages.common.results import Timing
from stages.common.running import run_stage
from stages.models.network import check_network
from stages.training.devices import DeviceError, why_missing
from stages.training.job import Job, Recipe
from stages.training.timing import Trained, timed
from stages.training.worker import Done, Task, train_task

PRELOAD = ["stages.training.runs", "stages.models.snapshots", "safetensors.torch"]  # what takes long to import


def main() -> None:
    """Train on the device that the command line names."""
    if len(sys.argv) != 2 or sys.argv[1] not in DEVICES:
        raise UserError(
            f"usage: python -m stages.train {'|'.join(DEVICES)}, found {' '.join(sys.argv[1:]) or 'nothing'}"
        )
    device, params, started = sys.argv[1], load_params(), time()
    shutil.rmtree(SNAPSHOTS / device, ignore_errors=True)
    why = why_skipped(device)
    if why:
        print(f"train_{device}: skipped: {why}")
        history, timing = Skipped(skipped="no GPU"), Skipped(skipped=why)
    else:
        # Before torch is imported: OpenMP's threads wait by spinning, by default for so long that two trainings on
        # the same cores, say of a queue with two workers, take many times as long as one after the other.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        history, timing = train_all(device, params, started)
    history.write(history_path(device))
    timing.write(timing_path(device))


def train_all(device: str, params: Params, started: float) -> tuple[History, Timing]:
    """Train every representation and run.

    Args:
        device: "cpu" or "gpu".
        params: the parameters.
        started: when the stage started, seconds since 1970.
    """
    description = read_description()
    jobs, used = jobs_of(params, description), params.model_dump(mode="json", include=set(TRAINING))
    learns = of_training(description.fingerprint, used)
    done: dict[str, list[Done]] = {name: [] for name in jobs}
    with tqdm(total=len(jobs) * params.runs * params.epochs, unit="epoch", disable=None) as progress:
        for each in carry_out(device, params, (Path.cwd(), device, description, jobs, learns), teller(progress)):
            done[each.name].append(each)
            if sum(len(one.trained.numbers) for one in done[each.name]) == params.runs:
                done[each.name].sort(key=lambda one: one.trained.numbers.start)
                for line in outcome(f"train_{device}: {each.name}", [one.trained for one in done[each.name]], params):
                    progress.write(line)
    epochs = {name: [own for each in all_runs for own in each.trained.epochs] for name, all_runs in done.items()}
    return (
        History(
            fingerprint=learns,
            params=used,
            representations={name: Runs(network=job.network, runs=epochs[name]) for name, job in jobs.items()},
        ),
        times(done, jobs, sum(description.counts["train"].values()), started),
    )


def carry_out(device: str, params: Params, common: tuple, told: Callable[[Any], None]):
    """Yield each group of runs as it is done, the longest first: on a GPU here, else on all cores or a cluster."""
    jobs = common[3]
    todo = [(name, numbers) for name, job in jobs.items() for numbers in job.groups(device == "gpu")]
    todo.sort(key=lambda item: -jobs[item[0]].multiply_adds())
    address = tasks.cluster_address(params.scheduler) if device == "cpu" else None
    processes = min(tasks.cores(), len(todo)) if device == "cpu" else 1
    share = 1 if address else tasks.cores() // processes
    items = [Task(*common, share, name, numbers) for name, numbers in todo]
    if address:
        return tasks.on_cluster(train_task, items, address, told)
    if processes == 1:
        return tasks.in_this_process(train_task, items, told)
    return tasks.on_processes(train_task, items, processes, PRELOAD, told)


def teller(progress: tqdm) -> Callable[[Any], None]:
    """Return what moves the bar as the runs tell of their epochs; one that a dying worker began is told of again."""
    told: dict[tuple[str, int], int] = {}

    def tell(said: list) -> None:
        name, first, epochs, loss, f1 = said
        told[name, first] = epochs
        progress.set_description(f"{name} run {first + 1}", refresh=False)
        progress.set_postfix(loss=f"{loss:.3f}", f1=f"{f1:.3f}", refresh=False)
        progress.update(sum(told.values()) - progress.n)

    return tell


def times(done: dict[str, list[Done]], jobs: dict[str, Job], n_train: int, started: float) -> Timing:
    """Return how long the runs took, on what; `started` is when the stage did, seconds since 1970."""
    every = [each for all_runs in done.values() for each in all_runs]
    hosts = sorted({each.host for each in every})
    peak = max(each.peak_mib for each in every)
    return Timing(
        hardware=every[0].hardware | ({"hosts": hosts} if len(hosts) > 1 else {}),
        start_seconds=min(each.trained.started for each in every) - started,
        representations={
            name: timed(job, [each.trained for each in done[name]], len({each.process for each in done[name]}), n_train)
            for name, job in jobs.items()
        },
        **({"peak_mib": peak} if peak else {}),
    )


def jobs_of(params: Params, description: Description) -> dict[str, Job]:
    """Return what to train on each representation."""
    jobs = {}
    for name, about in description.representations.items():
        recipe = Recipe(**params.model_dump(include=set(Recipe._fields)))
        seeds = [params.seed + run for run in range(params.runs)]
        network, every = network_of(params, name, about.shape), {"improved": False, "every": True}[params.snapshots]
        jobs[name] = Job(network, about.shape, params.hidden, len(description.classes), recipe, seeds, every)
    return jobs


def network_of(params: Params, name: str, shape: tuple[int, ...]) -> str:
    """Return the network of a representation; `network` is one for all, or one for each representation."""
    if isinstance(params.network, dict) and name not in params.network:
        raise UserError(f"params.yaml: network: found {params.network}, expected an entry for {name} too")
    network = params.network[name] if isinstance(params.network, dict) else params.network
    first = prod(shape) * params.hidden[0]
    if network == "mlp" and first > MOST_WEIGHTS:
        raise UserError(
            f"params.yaml: hidden: found {params.hidden[0]} units behind the {prod(shape)} numbers of {name}, expected "
            f"at most {MOST_WEIGHTS:,} weights in all, not {first:,}"
        )
    try:
        check_network(network, shape)
    except ValueError as error:
        raise UserError(
            f"params.yaml: network: found {network} for {name}, {error}; give it an mlp, say "
            f"-S 'network={{{name}: mlp, ...}}', or leave it out of representations"
        ) from None
    return network


def outcome(what: str, groups: list[Trained], params: Params) -> list[str]:
    """Return how the runs went and which of them diverged, as lines."""
    runs = [epochs for group in groups for epochs in group.epochs]
    lines = [
        f"{what} run {run} diverged in epoch {len(epochs)}: its loss is not finite; its earlier snapshots stand"
        for run, epochs in enumerate(runs)
        if len(epochs) < params.epochs
    ]
    if len(lines) == len(runs):
        raise UserError(
            f"{what}: every run diverged; found lr: {params.lr:g} in params.yaml, expected a smaller one, say "
            f"{params.lr / 10:g}"
        )
    scores = [max(epoch.val_f1_macro for epoch in epochs) for epochs in runs if epochs]
    seconds = statistics.median(group.seconds["total"] for group in groups)
    return [
        *lines,
        f"{what}: {seconds:.2f} s a run, best validation macro F1 {statistics.mean(scores):.3f} "
        f"(mean of {len(scores)} runs)",
    ]


def why_skipped(device: str) -> str | None:
    """Return why there can be no training on the device and where to do it, or None if there can."""
    try:
        why = why_missing(device)
    except DeviceError as error:
        raise UserError(
            f"train_gpu: found a driver, but {error}, expected a GPU that it can use; fix that, or go on without: "
            "CUDA_VISIBLE_DEVICES= dvc repro"
        ) from None
    again = f"dvc repro --force --single-item train_{device} && dvc repro"
    return f"{why}; where there is an NVIDIA GPU: {again}" if why else None


if __name__ == "__main__":
    run_stage(main)
