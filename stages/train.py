"""train: train the networks on one device, `python -m stages.train cpu` or `gpu`, and time it.

For every representation and each of `runs` seeds: snapshots under data/snapshots/DEVICE, their history.json, and the
times in metrics/train_DEVICE.json.
"""

import os
import shutil
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from time import perf_counter
from typing import TYPE_CHECKING

from stages.arrays import read_prepared
from stages.files import SNAPSHOTS, UserError, history_path, snapshot_path, timing_path
from stages.fingerprints import of_training, read_description
from stages.learning.devices import DeviceError, start, why_missing
from stages.learning.network import check_network
from stages.learning.recipe import Recipe
from stages.params import MOST_WEIGHTS, TRAINING, Params, load_params
from stages.records import DEVICES, Description, Epoch, History, Runs, Skipped
from stages.results import Timed, Timing
from stages.running import run_stage

if TYPE_CHECKING:
    import torch

    from stages.learning.runs import Hooks, Job


def main() -> None:
    """Train on the device that the command line names."""
    if len(sys.argv) != 2 or sys.argv[1] not in DEVICES:
        raise UserError(f"usage: python -m stages.train cpu|gpu, found {' '.join(sys.argv[1:]) or 'nothing'}")
    device, params = sys.argv[1], load_params()
    started = perf_counter()
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
        started: when the stage started, by `perf_counter`.

    Raises:
        UserError: if a representation cannot have the network asked for, or all its runs diverged, or the GPU has not
            enough memory.
    """
    import torch
    from tqdm import tqdm

    from stages.learning import runs, timing

    place = torch.device("cuda" if device == "gpu" else "cpu")
    description = read_description()
    jobs = jobs_of(params, description)
    used = params.model_dump(mode="json", include=set(TRAINING))
    learns = of_training(description.fingerprint, used)
    start(place)
    start_seconds, learnt, timed = perf_counter() - started, {}, {}
    with tqdm(total=len(jobs) * params.runs * params.epochs, unit="epoch", disable=None) as progress:
        for name, job in jobs.items():
            progress.set_description(f"{device} {name}")
            data = read_prepared(name, description, "pt")
            with failures_as_one_line(place, data, params):
                start_seconds += runs.warm_up(job, data, place)
                epochs, timed[name] = runs.train_job(job, data, place, hooks(device, name, learns, progress))
            learnt[name] = Runs(network=job.network, runs=epochs)
            for line in outcome(f"train_{device}: {name}", epochs, timed[name], params):
                progress.write(line)
    peak = {"peak_mib": torch.cuda.max_memory_allocated(place) / 2**20} if device == "gpu" else {}
    return (
        History(fingerprint=learns, params=used, representations=learnt),
        Timing(hardware=timing.hardware(place), start_seconds=start_seconds, representations=timed, **peak),
    )


def jobs_of(params: Params, description: Description) -> dict[str, "Job"]:
    """Return what to train on each representation.

    Raises:
        UserError: if a representation cannot have the network asked for.
    """
    from stages.learning.runs import Job

    jobs = {}
    for name, about in description.representations.items():
        recipe = Recipe(params.optimizer, params.optimizer_args, params.lr, params.epochs, params.batch_size)
        seeds = [params.seed + run for run in range(params.runs)]
        network, every = network_of(params, name, about.shape), params.snapshots == "every"
        jobs[name] = Job(network, about.shape, params.hidden, len(description.classes), recipe, seeds, every)
    return jobs


def network_of(params: Params, name: str, shape: tuple[int, ...]) -> str:
    """Return the network of a representation; `network` is one for all, or one for each representation.

    Raises:
        UserError: if a mapping leaves the representation out, or its samples do not fit the network.
    """
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


def hooks(device: str, name: str, learns: str, progress) -> "Hooks":
    """Return what saves snapshots, marked with `learns`, and moves the bar as a representation's runs train."""
    from stages.learning.runs import Hooks
    from stages.learning.snapshots import save_snapshot

    def tick(runs: list) -> None:
        epoch = runs[0].epochs[-1]
        progress.set_description(f"{device} {name} run {runs[-1].number + 1}", refresh=False)
        progress.set_postfix(loss=f"{epoch.train_loss:.3f}", f1=f"{epoch.val_f1_macro:.3f}", refresh=False)
        progress.update(len(runs))

    def save(run: int, epoch: int, weights: dict[str, "torch.Tensor"]) -> None:
        save_snapshot(snapshot_path(device, name, run, epoch), weights, learns)

    return Hooks(save, tick)


def outcome(what: str, runs: list[list[Epoch]], timed: Timed, params: Params) -> list[str]:
    """Return how the runs went and which of them diverged, as lines.

    Raises:
        UserError: if all did.
    """
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
    return [
        *lines,
        f"{what}: {timed.seconds['total'].median:.2f} s a run, best validation macro F1 {statistics.mean(scores):.3f} "
        f"(mean of {len(scores)} runs)",
    ]


@contextmanager
def failures_as_one_line(device: "torch.device", data: dict[str, "torch.Tensor"], params: Params) -> Iterator[None]:
    """Turn what can go wrong in training into one line: an optimizer's objections, a GPU's lack of memory.

    The latter says how much was free and how much the samples alone take.
    """
    import torch

    from stages.learning.optimizer import OptimizerError

    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
    try:
        yield
    except OptimizerError as error:
        raise UserError(
            f"params.yaml: optimizer_args: found {params.optimizer_args}, which {params.optimizer} refuses: {error}"
        ) from None
    except torch.OutOfMemoryError as error:
        samples = sum(data[f"{part}_x"].nbytes for part in ("train", "val"))
        raise UserError(
            f"train_gpu: not enough GPU memory: found {free / 2**20:,.0f} MiB free; the samples alone take "
            f"{samples / 2**20:,.0f} MiB ({str(error).split('.')[0]}); free the GPU, or train fewer runs at once (runs)"
        ) from None


def why_skipped(device: str) -> str | None:
    """Return why there can be no training on the device and where to do it, or None if there can.

    Raises:
        UserError: if there is a GPU that CUDA cannot start.
    """
    try:
        why = why_missing(device)
    except DeviceError as error:
        raise UserError(
            f"train_gpu: found a driver, but {error}, expected a GPU that it can use; mend that, or go on without: "
            "CUDA_VISIBLE_DEVICES= dvc repro"
        ) from None
    again = f"dvc repro --force --single-item train_{device} && dvc repro"
    return f"{why}; where there is an NVIDIA GPU: {again}" if why else None


if __name__ == "__main__":
    run_stage(main)
