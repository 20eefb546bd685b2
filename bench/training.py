"""Training against its peers: the same network, data, batches of 16 and 30 epochs of SGD, on one thread of the CPU.

Three tables, written to bench/results/training.json:

- peers: a plain PyTorch DataLoader loop, scikit-learn's MLPClassifier, PyTorch Lightning and this project, taking
  turns; the median seconds of training proper, and the ratio to the plain loop's. What this project spends on
  validation, macro F1 and snapshots stands apart, as a share of its training.
- growth: seconds a sample and peak memory as the training set grows tenfold and a hundredfold.
- threads: one thread against two by the size of a step, which the rule in stages/training/worker.py rests on.

Training the CNN is measured by bench/cnn.py, training on a GPU by bench/gpu.py.

    make bench                                          (on data/prepared, made by `make repro`; about 10 minutes)
    python -m bench.training --repeat 3
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter

import torch
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from stages.common.fingerprints import read_description
from stages.common.running import run_command
from stages.common.tensors import read_prepared
from stages.common.writing import write_json
from stages.models.network import build_network, multiply_adds
from stages.models.snapshots import best_epoch, save_snapshot
from stages.training.job import Recipe
from stages.training.loop import fit, trainer
from stages.training.timing import Clock, hardware

RESULTS = Path("bench/results/training.json")
CPU = torch.device("cpu")
RECIPE = Recipe("SGD", {}, 0.002, 30, 16)
HIDDEN = [128, 32]
GROWTH = (3200, 32_000, 320_000)  # samples
MFCCS, MELGRAMS = (26,), (21, 128)
CASES = [  # networks, one sample's shape and hidden layers: one thread against two
    *(("mlp", MFCCS, hidden) for hidden in ([128, 32], [512, 256], [1024, 512])),
    *(("mlp", MELGRAMS, hidden) for hidden in ([128, 32], [512, 128], [2048, 512])),
    *(("cnn", shape, []) for shape in ((16, 16), MELGRAMS)),
]

Part = tuple[torch.Tensor, torch.Tensor]


def plain_loop(train: Part, val: Part, n_classes: int) -> dict[str, float]:
    """Train as PyTorch's tutorials do."""
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(*train), RECIPE.batch_size, shuffle=True)
    return plain_steps(lambda: loader, tuple(train[0].shape[1:]), n_classes, CPU, RECIPE.epochs)


def plain_steps(
    batches: Callable[[], Iterable[Part]],
    shape: tuple[int, ...],
    n_classes: int,
    device: torch.device,
    epochs: int,
    network: str = "mlp",
    optimizer: str = "SGD",
) -> dict[str, float]:
    """Train on the batches of each epoch, and send them to the device one by one; return the seconds."""
    model = build_network(network, shape, HIDDEN, n_classes, seed=0).to(device)
    optimizer = getattr(torch.optim, optimizer)(model.parameters(), lr=RECIPE.lr)
    clock = Clock(device)
    with clock.part("train"):
        for _ in range(epochs):
            for x, y in batches():
                loss = cross_entropy(model(x.to(device)), y.to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return clock.seconds


def scikit_learn(train: Part, val: Part, n_classes: int) -> dict[str, float]:
    """Train scikit-learn's MLPClassifier by the same recipe."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    warnings.simplefilter("ignore", ConvergenceWarning)
    model = MLPClassifier(
        HIDDEN,
        solver="sgd",
        alpha=0,
        batch_size=RECIPE.batch_size,
        learning_rate_init=RECIPE.lr,
        momentum=0,
        nesterovs_momentum=False,
        max_iter=RECIPE.epochs,
        n_iter_no_change=RECIPE.epochs,
        tol=0,
        random_state=0,
    )
    x, y = train[0].flatten(1).numpy(), train[1].numpy()
    with threadpool_limits(1):
        start = perf_counter()
        model.fit(x, y)
        return {"train": perf_counter() - start}


def lightning(train: Part, val: Part, n_classes: int) -> dict[str, float]:
    """Train with PyTorch Lightning, with all that can be switched off switched off."""
    import pytorch_lightning
    from torch.utils.data import DataLoader, TensorDataset

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")

    class Module(pytorch_lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = build_network("mlp", train[0].shape[1:], HIDDEN, n_classes, seed=0)

        def training_step(self, batch: Part, _: int) -> torch.Tensor:
            return cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=RECIPE.lr)

    trainer = pytorch_lightning.Trainer(
        accelerator="cpu",
        max_epochs=RECIPE.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = DataLoader(TensorDataset(*train), RECIPE.batch_size, shuffle=True)
    start = perf_counter()
    trainer.fit(Module(), loader)
    return {"train": perf_counter() - start}


def ours(train: Part, val: Part, n_classes: int) -> dict[str, float]:
    """Train as the pipeline does, validation, macro F1 and snapshots included, each with its own seconds."""
    model = build_network("mlp", train[0].shape[1:], HIDDEN, n_classes, seed=0)
    clock = Clock(CPU)
    epochs = []
    with tempfile.TemporaryDirectory() as folder:
        for (epoch,) in fit([model], {"train": train, "val": val}, RECIPE, [0], clock):
            epochs.append(epoch)
            if best_epoch(epochs) == len(epochs) - 1:
                with clock.part("snapshot"):
                    save_snapshot(Path(folder) / f"{len(epochs)}.safetensors", model.state_dict(), "bench")
    return clock.seconds


PEERS = {"plain PyTorch loop": plain_loop, "scikit-learn": scikit_learn, "PyTorch Lightning": lightning, "ours": ours}


def peers(repeat: int) -> dict[str, dict]:
    """Return, by representation and peer, the median seconds and the ratio to the plain loop's."""
    result = {}
    for name, (train, val, n_classes) in prepared().items():
        small = [(x[:64], y[:64]) for x, y in (train, val)]
        for peer in PEERS.values():
            peer(*small, n_classes)  # untimed: imports and first kernels
        rounds: dict[str, list[dict[str, float]]] = {peer: [] for peer in PEERS}
        for _ in tqdm(range(repeat), f"peers, {name}", disable=None):
            for peer, run in PEERS.items():
                rounds[peer].append(run(train, val, n_classes))
        steps = RECIPE.epochs * -(-len(train[1]) // RECIPE.batch_size)
        plain = [seconds["train"] for seconds in rounds["plain PyTorch loop"]]
        result[name] = {"samples": len(train[1]), "shape": list(train[0].shape[1:])}
        for peer, seconds in rounds.items():
            trained = [part["train"] for part in seconds]
            result[name][peer] = {
                "seconds": statistics.median(trained),
                "microseconds_per_step": statistics.median(trained) / steps * 1e6,
                "ratio_to_plain": statistics.median(mine / theirs for mine, theirs in zip(trained, plain, strict=True)),
            }
        extra = [(part["validate"] + part["snapshot"]) / part["train"] for part in rounds["ours"]]
        result[name]["ours"]["validation_and_snapshots_share"] = statistics.median(extra)
        scikit = [part["train"] for part in rounds["scikit-learn"]]
        mine = [part["train"] for part in rounds["ours"]]
        result[name]["ours"]["ratio_to_scikit_learn"] = statistics.median(
            a / b for a, b in zip(mine, scikit, strict=True)
        )
        print(f"\n{name}: {len(train[1])} samples of {tuple(train[0].shape[1:])}")
        for peer in PEERS:
            row = result[name][peer]
            print(
                f"  {peer:20} {row['seconds']:8.2f} s {row['microseconds_per_step']:8.1f} us a step"
                f" {row['ratio_to_plain']:6.2f} of the plain loop"
            )
        print(
            f"  ours: {result[name]['ours']['ratio_to_scikit_learn']:.2f} of scikit-learn; validation, macro F1 and "
            f"snapshots add {result[name]['ours']['validation_and_snapshots_share']:.0%}"
        )
    return result


def prepared() -> dict[str, tuple[Part, Part, int]]:
    """Return by representation the train and val parts that the pipeline has prepared, and the number of classes."""
    description = read_description()
    result = {}
    for name in description.representations:
        tensors = read_prepared(name, description, "pt", ["train_x", "train_y", "val_x", "val_y"])
        train, val = ((tensors[f"{part}_x"], tensors[f"{part}_y"]) for part in ("train", "val"))
        result[name] = (train, val, len(description.classes))
    return result


def growth() -> list[dict]:
    """Return seconds of an epoch and peak memory by the number of samples, each in a process of its own."""
    rows = []
    for shape in (MFCCS, MELGRAMS):
        for samples in tqdm(GROWTH, f"growth, {shape}", disable=None):
            command = [sys.executable, "-m", "bench.training", "--grow", str(samples), *map(str, shape)]
            rows.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    print("\ngrowth: one epoch")
    for row in rows:
        print(
            f"  {row['samples']:8,} samples of {row['shape']!s:10} {row['seconds']:8.3f} s"
            f" {row['microseconds_per_sample']:6.2f} us a sample   data {row['data_mib']:7,.0f} MiB"
            f"   peak {row['peak_mib']:7,.0f} MiB"
        )
    return rows


def grow(samples: int, shape: list[int]) -> None:
    """Train two epochs on random samples and print what the second took, and the process's peak memory."""
    import resource

    torch.set_num_threads(1)
    x, y = torch.randn(samples, *shape), torch.randint(0, 4, (samples,))
    clock = Clock(CPU)
    model = build_network("mlp", tuple(shape), HIDDEN, 4, seed=0)
    seconds = []
    parts = {"train": (x, y), "val": (x[:800], y[:800])}
    for _ in fit([model], parts, RECIPE._replace(epochs=2), [0], clock):
        seconds.append(clock.seconds["train"] - sum(seconds))
    row = {
        "samples": samples,
        "shape": shape,
        "seconds": seconds[-1],
        "microseconds_per_sample": seconds[-1] / samples * 1e6,
        "data_mib": x.nbytes / 2**20,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if sys.platform == "linux" else 2**20),
    }
    print(json.dumps(row))


def threads(repeat: int) -> list[dict]:
    """Return the microseconds of a step on one thread and on two for networks of growing size."""
    rows = []
    for network, shape, hidden in tqdm(CASES, "threads", disable=None):
        n = 64 if network == "cnn" else 640
        model = build_network(network, shape, hidden, 4, seed=0)
        train_epoch = trainer([model], torch.randn(n, *shape), torch.randint(0, 4, (n,)), RECIPE, [0])
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(repeat):
            for count, measured in seconds.items():
                torch.set_num_threads(count)
                train_epoch(torch.randperm(n)[None])  # untimed: the threads are started
                start = perf_counter()
                train_epoch(torch.randperm(n)[None])
                measured.append(perf_counter() - start)
        rows.append(
            {
                "network": network,
                "shape": list(shape),
                "hidden": hidden,
                "multiply_adds_per_step": RECIPE.batch_size * multiply_adds(network, shape, hidden, 4),
                "microseconds_per_step": {
                    str(count): statistics.median(measured) / (n / RECIPE.batch_size) * 1e6
                    for count, measured in seconds.items()
                },
            }
        )
    rows.sort(key=lambda row: row["multiply_adds_per_step"])
    print("\nthreads: microseconds a step")
    for row in rows:
        one, two = row["microseconds_per_step"].values()
        print(
            f"  {row['network']} {row['shape']!s:10} {row['hidden']!s:12} "
            f"{row['multiply_adds_per_step'] / 1e6:7.1f} million multiply-adds   one {one:7.0f}"
            f"   two {two:9.0f}   ratio {two / one:.2f}"
        )
    torch.set_num_threads(1)
    return rows


def main() -> None:
    """Measure all three and write them."""
    parser = argparse.ArgumentParser(description="Measure training against its peers.")
    parser.add_argument("--repeat", type=int, default=5, help="rounds, of which the median counts")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the JSON goes")
    parser.add_argument("--grow", type=int, nargs="+", help=argparse.SUPPRESS)  # growth() calls this file with it
    arguments = parser.parse_args()
    if arguments.grow:
        grow(arguments.grow[0], arguments.grow[1:])
        return
    torch.set_num_threads(1)
    result = {
        "hardware": hardware(CPU),
        "recipe": RECIPE._asdict(),
        "dataset": Path(read_description().source.dataset).name,
    }
    result["peers"] = peers(arguments.repeat)
    if os.cpu_count() > 1:
        result["threads"] = threads(arguments.repeat)
    result["growth"] = growth()
    write_json(arguments.output, result)
    print(f"\nwritten to {arguments.output}")


if __name__ == "__main__":
    run_command(main)
