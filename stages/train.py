"""train: train the networks on one device, `python -m stages.train cpu` or `gpu`, and time it.

For every representation and each of `runs` seeds: snapshots under data/snapshots/DEVICE, their history.json, and the
times in metrics/train_DEVICE.json. On a CPU the runs train side by side, one in a process (stages/training/worker.py).
"""

import os
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from stages.common import tasks
from stages.common.files import SNAPSHOTS, UserError, history_path, timing_path
from stages.common.fingerprints import of_training, read_description
from stages.common.params import MOST_WEIGHTS, TRAINING, Params, load_params
from stages.common.records import DEVICES, Description, History, Runs, Skipped
from stages.common.results import Timing
from stages.common.running import run_stage
from stages.models.network import check_network
from stages.training.devices import DeviceError, why_missing
from stages.training.job import Job, Recipe, Setting, Trained
from stages.training.live import Latest, live_curves
from stages.training.timing import timed

if TYPE_CHECKING:
    from tqdm import tqdm

PRELOAD = ["stages.training.worker", "safetensors.torch"]  # what takes long to import


def main() -> None:
    """Train on the device that the command line names."""
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
    """Train every representation and run; the stage started at `started`, seconds since 1970."""
    from tqdm import tqdm

    description, used = read_description(), params.model_dump(mode="json", include=set(TRAINING))
    jobs, learns = jobs_of(params, description, device), of_training(description.fingerprint, used)
    networks = {job.name: job.network for job in jobs}
    done: dict[str, list[Trained]] = {name: [] for name in networks}
    with tqdm(total=len(networks) * params.runs * params.epochs, unit="epoch", disable=None) as progress:
        tell = teller(progress, live_curves(device))
        for each in carry_out(jobs, Setting(Path.cwd(), device, description, learns, 1, firsts(jobs)), params, tell):
            own = done[each.job.name]
            own.append(each)
            tell([each.job.name, each.job.runs.start, sum(map(len, each.epochs))])
            if sum(len(one.job.runs) for one in own) == params.runs:
                own.sort(key=lambda one: one.job.runs.start)
                for line in outcome(f"train_{device}: {each.job.name}", own, params):
                    progress.write(line)
    runs = {name: [epochs for each in own for epochs in each.epochs] for name, own in done.items()}
    learnt = {name: Runs(network=networks[name], runs=own) for name, own in runs.items()}
    history = History(fingerprint=learns, params=used, representations=learnt)
    return history, times(done, sum(description.counts["train"].values()), started)


def jobs_of(params: Params, description: Description, device: str) -> list[Job]:
    """Return what to train, the longest first: on a GPU all runs of a representation in one job, else each in one."""
    recipe = Recipe(**params.model_dump(include=set(Recipe._fields)))
    for name, about in description.representations.items():
        check_masks(params, name, about.shape)
    together = params.runs if device == "gpu" else 1
    jobs = [
        Job(
            name=name,
            network=network_of(params, name, about.shape),
            shape=about.shape,
            hidden=params.hidden,
            n_classes=len(description.classes),
            recipe=recipe,
            seed=params.seed,
            runs=range(first, first + together),
            snapshots=params.snapshots,
        )
        for name, about in description.representations.items()
        for first in range(0, params.runs, together)
    ]
    return sorted(jobs, key=lambda job: -job.multiply_adds())


def firsts(jobs: list[Job]) -> list[Job]:
    """Return the first job of each representation."""
    return list({job.name: job for job in reversed(jobs)}.values())[::-1]


def carry_out(jobs: list[Job], setting: Setting, params: Params, hear: Callable[[list], None]) -> Iterator[Trained]:
    """Yield what came of each job as it is done: on a GPU here, else on all cores or a cluster."""
    if setting.device == "gpu":
        return tasks.in_this_process(partial(work, setting._replace(cores=tasks.cores())), jobs, hear)
    address = tasks.cluster_address(params.scheduler)
    if address:
        return tasks.on_cluster(partial(work, setting), jobs, address)
    processes = min(tasks.cores(), len(jobs))
    share = partial(work, setting._replace(cores=tasks.cores() // processes))
    if processes == 1:
        return tasks.in_this_process(share, jobs, hear)
    return tasks.on_processes(share, jobs, processes, PRELOAD, hear)


def work(setting: Setting, job: Job) -> Trained:
    """Do a job; only the worker imports torch."""
    from stages.training.worker import train_job

    return train_job(setting, job)


def teller(progress: "tqdm", show: Callable[[str, Latest], None]) -> Callable[[list], None]:
    """Return a function that updates bar and curves as jobs report; one that a dying worker began reports again."""
    so_far: dict[tuple[str, int], int] = {}

    def tell(said: list) -> None:
        name, first, epochs, *latest = said
        so_far[name, first] = epochs
        progress.set_description(f"{name} run {first + 1}", refresh=False)
        for of_runs in latest:
            _, epoch = next(iter(of_runs.values()))
            progress.set_postfix(loss=f"{epoch.train_loss:.3f}", f1=f"{epoch.val_f1_macro:.3f}", refresh=False)
            show(name, of_runs)
        progress.update(sum(so_far.values()) - progress.n)

    return tell


def times(done: dict[str, list[Trained]], n_train: int, started: float) -> Timing:
    """Return how long the runs took, on what; `started` is when the stage did, seconds since 1970."""
    every = [each for own in done.values() for each in own]
    hosts = sorted({each.process[0] for each in every})
    peak = max(each.peak_mib for each in every)
    return Timing(
        hardware=every[0].hardware | ({"hosts": hosts} if len(hosts) > 1 else {}),
        start_seconds=min(each.started for each in every) - started,
        representations={name: timed(own, n_train) for name, own in done.items()},
        **({"peak_mib": peak} if peak else {}),
    )


def network_of(params: Params, name: str, shape: tuple[int, ...]) -> str:
    """Return the network of a representation; `network` is one for all, or one for each representation."""
    network = params.network.get(name) if isinstance(params.network, dict) else params.network
    if network is None:
        raise UserError(f"params.yaml: network: found {params.network}, expected an entry for {name} too")
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


def check_masks(params: Params, name: str, shape: tuple[int, ...]) -> None:
    """Check that no mask of SpecAugment is wider than a representation's pictures; others than pictures have none."""
    sizes = dict(zip(("frames", "bands"), shape, strict=True)) if len(shape) == 2 else {}
    for axis, size in sizes.items():
        width = getattr(params.spec_augment, axis)
        if width > size:
            raise UserError(
                f"params.yaml: spec_augment.{axis}: found {width} for {name}, whose samples have the shape {shape}, "
                f"expected at most {size}"
            )


def outcome(what: str, groups: list[Trained], params: Params) -> list[str]:
    """Return how the runs went and which of them diverged, as lines."""
    runs = [epochs for group in groups for epochs in group.epochs]
    lines = [
        f"{what} run {run} diverged in epoch {len(epochs)}: its loss is not finite; its earlier snapshots are kept"
        for run, epochs in enumerate(runs)
        if len(epochs) < params.epochs
    ]
    if len(lines) == len(runs):
        raise UserError(
            f"{what}: every run diverged; found lr: {params.lr:g} in params.yaml, expected a smaller one, say "
            f"{params.lr / 10:g}"
        )
    kept, of_kept = ("last", lambda scores: scores[-1]) if params.snapshots == "last" else ("best", max)
    scores = [of_kept([epoch.val_f1_macro for epoch in epochs]) for epochs in runs if epochs]
    seconds = statistics.median(group.seconds["total"] for group in groups)
    return [
        *lines,
        f"{what}: {seconds:.2f} s a run, {kept} validation macro F1 {statistics.mean(scores):.3f} "
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
    from stages.train import main  # by its own name, under which other processes find what they are to call

    run_stage(main, *DEVICES)
