"""Training on a GPU against a plain PyTorch loop on it and against our own CPU: the default recipe.

Seconds are medians of rounds, in which all but the CNNs take turns, of training proper, without warm-up and
validation, and of a whole run beside them. The file also says whether the GPU learns what the CPU learns: how far
validation macro F1 and the last training loss of five runs lie apart at most, and whether training twice gives the same
bytes. `floor` is what no program that launches these kernels one after the other can beat.

    python -m bench.gpu       (on data/prepared, made by `make repro`; two minutes; bench/results/gpu-NAME.json)
"""

import argparse
import copy
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from tqdm import tqdm

from bench.training import HIDDEN, RECIPE, Part, plain_steps, prepared
from stages.common.files import UserError
from stages.common.records import Epoch
from stages.common.running import run_command
from stages.common.tasks import cores
from stages.common.writing import write_json
from stages.models.network import build_network, multiply_adds
from stages.training import closed_form, graphs
from stages.training.devices import start, why_missing
from stages.training.job import Job
from stages.training.loop import fit
from stages.training.timing import Clock, hardware
from stages.training.worker import threads_for

RESULTS = Path("bench/results")
GPU = torch.device("cuda")
AT_ONCE = (1, 5, 132)  # runs: one, the default, and one for each multiprocessor of a large GPU
PLAIN_EPOCHS = 3
PRODUCT = 4096  # rows and columns of the matrices whose product says how fast the GPU multiplies


class Learnt(NamedTuple):
    """What came of some runs."""

    seconds: dict[str, float]  # by part, and the total
    epochs: list[list[Epoch]]  # by epoch and run
    weights: list[torch.Tensor]


def learn(
    parts: dict[str, Part], n_classes: int, seeds: range, network: str = "mlp", epochs: int | None = None
) -> Learnt:
    """Train runs side by side as the pipeline does, on the device that the parts are on."""
    shape, device = tuple(parts["train"][0].shape[1:]), parts["train"][0].device
    recipe = RECIPE._replace(epochs=epochs or RECIPE.epochs)
    models = [build_network(network, shape, HIDDEN, n_classes, seed).to(device) for seed in seeds]
    clock = Clock(device)
    with clock.part("total"):
        learnt = list(fit(models, parts, recipe, list(seeds), clock))
    return Learnt(clock.seconds, learnt, [each.cpu() for model in models for each in model.state_dict().values()])


def plain_loops(train: Part, on_gpu: Part, n_classes: int) -> dict[str, float]:
    """Return the seconds of all epochs of two plain PyTorch loops, from those of a few: each epoch costs the same.

    One as in PyTorch's tutorials, by a DataLoader that sends batch after batch to the GPU; one with all samples there.
    """
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(*train), RECIPE.batch_size, shuffle=True)

    def chosen() -> Iterator[Part]:
        for rows in torch.randperm(len(on_gpu[1]), device=GPU).split(RECIPE.batch_size):
            yield on_gpu[0][rows], on_gpu[1][rows]

    shape = tuple(train[0].shape[1:])
    loops = {"plain PyTorch loop": lambda: loader, "plain PyTorch loop, samples on the GPU": chosen}
    return {
        name: plain_steps(batches, shape, n_classes, GPU, PLAIN_EPOCHS)["train"] * RECIPE.epochs / PLAIN_EPOCHS
        for name, batches in loops.items()
    }


def measure(repeat: int, parts: dict[str, Part], n_classes: int) -> dict[str, Any]:
    """Return seconds of training and of whole runs by who trains, the floor, and how far CPU and GPU lie apart."""
    on_gpu = {part: tuple(tensor.to(GPU) for tensor in both) for part, both in parts.items()}
    train: dict[str, list[float]] = {}
    total: dict[str, list[float]] = {}
    for attempt in tqdm(range(repeat + 1), disable=None):
        seconds = {"ours, CPU": learn(parts, n_classes, range(1)).seconds}
        for runs in AT_ONCE:
            seconds[f"ours, {runs} at once"] = learn(on_gpu, n_classes, range(runs)).seconds
        plain = plain_loops(parts["train"], on_gpu["train"], n_classes)
        if attempt:  # the first round is warm-up
            for who, value in (plain | {who: each["train"] for who, each in seconds.items()}).items():
                train.setdefault(who, []).append(value)
            for who, each in seconds.items():
                total.setdefault(who, []).append(each["total"])
    return {
        "train_seconds": {who: statistics.median(values) for who, values in train.items()},
        "total_seconds": {who: statistics.median(values) for who, values in total.items()},
        "floor": floor(parts, n_classes),
        "agreement": agreement(parts, on_gpu, n_classes),
    }


def agreement(parts: dict[str, Part], on_gpu: dict[str, Part], n_classes: int) -> dict[str, Any]:
    """Return how far five runs on the CPU and on the GPU lie apart, and whether the GPU gives the same bytes twice."""
    gpu, again = (learn(on_gpu, n_classes, range(5)) for _ in range(2))
    alone = [learn(parts, n_classes, range(run, run + 1)).epochs for run in range(5)]
    cpu = [[epoch for (epoch,) in own] for own in alone]
    pairs = [(mine, theirs[run]) for run, own in enumerate(cpu) for mine, theirs in zip(own, gpu.epochs, strict=True)]
    last = [(own[-1].train_loss, gpu.epochs[-1][run].train_loss) for run, own in enumerate(cpu)]
    return {
        "max_val_f1_difference": max(abs(a.val_f1_macro - b.val_f1_macro) for a, b in pairs),
        "max_last_train_loss_difference": max(abs(a - b) for a, b in last),
        "same_bytes_twice": gpu.epochs == again.epochs
        and all(torch.equal(a, b) for a, b in zip(gpu.weights, again.weights, strict=True)),
    }


def cnn(repeat: int, parts: dict[str, Part], n_classes: int) -> dict[str, float]:
    """Return the seconds of an epoch of the CNN, on as many threads of the CPU as the pipeline takes and on the GPU."""
    on_gpu = {part: tuple(tensor.to(GPU) for tensor in both) for part, both in parts.items()}
    job = Job("", "cnn", tuple(parts["train"][0].shape[1:]), [], n_classes, RECIPE, 0, range(1), False)
    threads = threads_for(job, cores())
    who = {f"ours, CPU, {threads} threads": (parts, range(1))}
    who |= {f"ours, {runs} at once": (on_gpu, range(runs)) for runs in AT_ONCE[:2]}
    seconds: dict[str, list[float]] = {}
    torch.set_num_threads(threads)
    for name, (where, seeds) in who.items():
        few = {part: (x[:64], y[:64]) for part, (x, y) in where.items()}
        learn(few, n_classes, seeds, "cnn", 1)  # warm-up
        seconds[name] = [learn(where, n_classes, seeds, "cnn", 1).seconds["train"] for _ in range(repeat)]
    torch.set_num_threads(1)
    return {name: statistics.median(values) for name, values in seconds.items()}


class Counter(TorchDispatchMode):
    """Counts the calls that compute something; views of tensors do not."""

    calls = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # noqa: D105
        self.calls += not function.is_view
        return function(*args, **(kwargs or {}))


def kernels_of_a_step(model: torch.nn.Sequential, shape: tuple[int, ...]) -> int:
    """Return how many kernels one more step of the closed form takes, counted on the CPU."""
    counts = []
    for steps in (1, 2):
        n = steps * RECIPE.batch_size
        x, y = torch.zeros(n, *shape), torch.zeros(n, dtype=torch.int64)
        train_epoch = closed_form.trainer([copy.deepcopy(model).cpu()], x, y, RECIPE)
        with Counter() as counter:
            train_epoch(torch.arange(n)[None])
        counts.append(counter.calls)
    return counts[1] - counts[0]


def floor(parts: dict[str, Part], n_classes: int) -> dict[str, float]:
    """Return the seconds below which a run cannot get, kernel by kernel: of its launches, and of its arithmetic.

    The launches take the number of kernels times what an empty kernel takes in a CUDA graph; the arithmetic goes at the
    rate of a large float32 product: each weight meets each sample forward, in its own gradient and, but for the first
    layer, in the gradient of what came in.
    """
    kernel, rate = seconds_of_a_kernel(), multiply_adds_a_second()
    x = parts["train"][0]
    shape, steps = tuple(x.shape[1:]), RECIPE.epochs * -(-len(x) // RECIPE.batch_size)
    model = build_network("mlp", shape, HIDDEN, n_classes, seed=0)
    adds = 3 * multiply_adds("mlp", shape, HIDDEN, n_classes) - model[1].weight.numel()
    return {
        "launches": steps * kernels_of_a_step(model, shape) * kernel,
        "arithmetic": RECIPE.epochs * len(x) * adds / rate,
    }


def seconds_of_a_kernel() -> float:
    """Return the seconds of an all but empty kernel within a CUDA graph."""
    small = torch.zeros(1, device=GPU)

    def thousand() -> None:
        for _ in range(1000):
            small.add_(0)

    return seconds_of(graphs.replayable(thousand, [small])) / 1000


def multiply_adds_a_second() -> float:
    """Return the rate of a large float32 product."""
    large = torch.randn(PRODUCT, PRODUCT, device=GPU)
    return PRODUCT**3 / seconds_of(lambda: large @ large)


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long some work takes the second time."""
    clock = Clock(GPU)
    work()
    with clock.part("work"):
        work()
    return clock.seconds["work"]


def main() -> None:
    """Measure and write bench/results/gpu-NAME.json.

    Raises:
        UserError: if there is no GPU.
    """
    parser = argparse.ArgumentParser(description="Measure training on a GPU.")
    parser.add_argument("--repeat", type=int, default=3, help="rounds, of which the median counts")
    repeat = parser.parse_args().repeat
    if why := why_missing("gpu"):
        raise UserError(f"bench.gpu: {why}; expected an NVIDIA GPU")
    start(GPU)
    torch.set_num_threads(1)
    result = {"hardware": hardware(GPU), "recipe": RECIPE._asdict(), "representations": {}, "cnn": {}}
    for name, (train, val, n_classes) in prepared().items():
        parts = {"train": train, "val": val}
        result["representations"][name] = measure(repeat, parts, n_classes)
        print(name, result["representations"][name])
        if train[0].dim() == 3:
            result["cnn"][name] = cnn(repeat, parts, n_classes)
            print(name, "cnn", result["cnn"][name])
    path = RESULTS / f"gpu-{'-'.join(result['hardware']['gpu'].lower().split())}.json"
    write_json(path, result)
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    run_command(main)
