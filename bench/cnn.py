"""A step of the CNN against a plain PyTorch loop's: the same network, mel-spectrograms and batches, on one thread.

SGD and AdamW, some batches at a time, taking turns; medians of rounds, and of the ratio within a round. The seconds are
those of the processor, so that whoever else computes on the machine hardly counts. `floor` is the
arithmetic alone, at the rate of a large float32 product on the same thread: each weight meets each place of a picture
forward, in its own gradient and, but for the first convolution, in the gradient of what came in.

    python -m bench.cnn       (on data/prepared, made by `make repro`; half a minute; bench/results/cnn.json)
"""

import argparse
import statistics
from collections.abc import Callable
from math import prod
from pathlib import Path
from time import process_time

import torch
from tqdm import tqdm

from bench.training import CPU, RECIPE, Part, plain_steps, prepared
from stages.common.running import run_command
from stages.common.writing import write_json
from stages.models.network import build_network, multiply_adds
from stages.training.loop import trainer
from stages.training.timing import hardware

RESULTS = Path("bench/results/cnn.json")
OPTIMIZERS = (RECIPE.optimizer, "AdamW")
STEPS = 50  # of a round
PRODUCT = 2048  # rows and columns


def steps(repeat: int, train: Part, n_classes: int, optimizer: str) -> dict[str, float]:
    """Return the milliseconds of a step of the plain loop and of ours, and the ratio of the two."""
    from torch.utils.data import DataLoader, TensorDataset

    shape = tuple(train[0].shape[1:])
    loader = DataLoader(TensorDataset(*train), RECIPE.batch_size, shuffle=True)
    model = build_network("cnn", shape, [], n_classes, seed=0)
    train_epoch = trainer([model], *train, RECIPE._replace(optimizer=optimizer), [0])

    def milliseconds(train: Callable[[], object]) -> float:
        start = process_time()
        train()
        return (process_time() - start) * 1e3 / len(loader)

    rounds = []
    for attempt in tqdm(range(repeat + 1), optimizer, disable=None):
        plain = milliseconds(lambda: plain_steps(lambda: loader, shape, n_classes, CPU, 1, "cnn", optimizer))
        mine = milliseconds(lambda: train_epoch(torch.randperm(len(train[1]))[None]))
        rounds += [(plain, mine, mine / plain)] if attempt else []  # the first round is warm-up
    names = ("plain PyTorch loop", "ours", "ratio")
    return dict(zip(names, map(statistics.median, zip(*rounds, strict=True)), strict=True))


def floor(shape: tuple[int, ...], n_classes: int) -> float:
    """Return the milliseconds of a step's arithmetic."""
    first = build_network("cnn", shape, [], n_classes, seed=0)[1].weight.numel() * prod(shape)
    adds = 3 * multiply_adds("cnn", shape, [], n_classes) - first
    return RECIPE.batch_size * adds / multiply_adds_a_second() * 1e3


def multiply_adds_a_second() -> float:
    """Return the rate of a large float32 product, the best of a few."""
    large, seconds = torch.randn(PRODUCT, PRODUCT), []
    for _ in range(5):
        start = process_time()
        large @ large
        seconds.append(process_time() - start)
    return PRODUCT**3 / min(seconds)


def main() -> None:
    """Measure and write bench/results/cnn.json."""
    parser = argparse.ArgumentParser(description="Measure a step of the CNN.")
    parser.add_argument("--repeat", type=int, default=5, help="rounds, of which the median counts")
    repeat = parser.parse_args().repeat
    torch.set_num_threads(1)
    result = {"hardware": hardware(CPU), "batch_size": RECIPE.batch_size, "representations": {}}
    for name, ((x, y), _, n_classes) in prepared().items():
        shape, n = tuple(x.shape[1:]), STEPS * RECIPE.batch_size
        if len(shape) == 2:
            own = {optimizer: steps(repeat, (x[:n], y[:n]), n_classes, optimizer) for optimizer in OPTIMIZERS}
            result["representations"][name] = own | {"floor": floor(shape, n_classes)}
            print(name, result["representations"][name])
    write_json(RESULTS, result)
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    run_command(main)
