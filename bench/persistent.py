"""A prototype: one Triton kernel walks all batches of an epoch and keeps its network's weights on chip.

It computes what stages/training/closed_form.py does, in float32, for MLPs of two hidden layers that fit into a
multiprocessor: of the course's networks the one on MFCCs. There it is launched 30 times, not 96,000: one run takes a
sixth of the closed form's time, on the GPU and on one core. But Triton needs a C compiler, and starting it costs more
than five runs of 30 epochs gain. `from_float64` is how far the weights lie from those that float64 gives, at most and
in the median.

    python -m bench.persistent     (on data/prepared, made by `make repro`; bench/results/persistent-NAME.json)
"""

import statistics
import sys
from collections.abc import Callable
from itertools import product
from unittest.mock import patch

import torch

from bench import gpu
from bench.gpu import AT_ONCE, GPU, RESULTS, agreement, learn
from bench.training import RECIPE, Part, prepared
from stages.common.files import UserError
from stages.common.running import run_script
from stages.common.writing import write_json
from stages.models.network import build_network
from stages.training import closed_form
from stages.training.devices import start, why_missing
from stages.training.job import Recipe
from stages.training.timing import hardware

try:
    import triton
    import triton.language as tl
except ImportError:
    sys.exit("error: bench.persistent: found no package triton, expected the one that torch's build for CUDA brings")

ROUNDS, WARPS = 5, 8  # of which the median counts; of a program
PIECES = tl.constexpr(4)  # of the longest sum, over the inner layer: added up side by side
CLOSED_FORM = closed_form.trainer


@triton.jit
def dot(a, b):
    """Return a product of float32 matrices that is one: the default would be TF32."""
    return tl.dot(a, b, input_precision="ieee")


@triton.jit
def walk(
    x, y, orders, first, second, third, losses, n, lr, inner, outer, n_classes, stride_1, stride_2, stride_3,
    B: tl.constexpr, X: tl.constexpr, H1: tl.constexpr, H2: tl.constexpr, C: tl.constexpr
):  # fmt: skip
    """Train network `program_id` for an epoch, named as in the closed form; widths in capitals are padded."""
    run = tl.program_id(0)
    rows, columns, h1, h2, c = tl.arange(0, B), tl.arange(0, X), tl.arange(0, H1), tl.arange(0, H2), tl.arange(0, C)
    at_1 = first + (run * inner + h1[None, :]) * stride_1 + columns[:, None]  # W_1^T; one of its rows is the bias
    at_2 = second + (run * outer + h2[:, None]) * stride_2 + h1[None, :]
    at_3 = third + (run * n_classes + c[:, None]) * stride_3 + h2[None, :]
    bias_2, bias_3 = second + (run * outer + h2) * stride_2 + inner, third + (run * n_classes + c) * stride_3 + outer
    in_1 = (h1[None, :] < inner) & (columns[:, None] < stride_1)
    in_2, in_3 = (h2[:, None] < outer) & (h1[None, :] < inner), (c[:, None] < n_classes) & (h2[None, :] < outer)
    # Weights that products take from either side are kept both ways: turned in shared memory, they meet in one bank.
    w1t, w2, w3 = tl.load(at_1, in_1, 0.0), tl.load(at_2, in_2, 0.0), tl.load(at_3, in_3, 0.0)
    w2t, w3t = tl.load(tl.trans(at_2), tl.trans(in_2), 0.0), tl.load(tl.trans(at_3), tl.trans(in_3), 0.0)
    b2, b3 = tl.load(bias_2, h2 < outer, 0.0), tl.load(bias_3, c < n_classes, float("-inf"))  # no other class ever
    loss, order = tl.zeros([B], tl.float32), orders + run * n
    chosen = tl.load(order + rows, rows < n, 0)
    a1, target = tl.load(x + chosen[:, None] * X + columns[None, :]), tl.load(y + chosen)
    chosen = tl.load(order + B + rows, B + rows < n, 0)
    for before in range(0, n, B):
        next_a1, next_target = tl.load(x + chosen[:, None] * X + columns[None, :]), tl.load(y + chosen)
        chosen = tl.load(order + before + 2 * B + rows, before + 2 * B + rows < n, 0)  # fetched while this batch trains
        a2 = tl.maximum(dot(a1, w1t), 0.0)
        pieces = tl.permute(tl.reshape(a2, (B, PIECES, H1 // PIECES)), (1, 0, 2))
        a3 = tl.maximum(tl.sum(dot(pieces, tl.reshape(w2t, (PIECES, H1 // PIECES, H2))), 0) + b2[None, :], 0.0)
        z = dot(a3, w3t) + b3[None, :]
        z -= tl.max(z, 1)[:, None]
        odds, right, valid = tl.exp(z), c[None, :] == target[:, None], before + rows < n
        total = tl.sum(odds, 1)
        loss += tl.where(valid, tl.log(total) - tl.sum(tl.where(right, z, 0.0), 1), 0.0)
        rate = -lr / tl.minimum(n - before, B)
        delta_3 = tl.where(valid[:, None], odds / total[:, None] - right.to(tl.float32), 0.0)
        delta_2 = tl.where(a3 > 0, dot(delta_3, w3), 0.0)
        delta_1 = tl.where(a2 > 0, dot(delta_2, w2), 0.0)
        w1t += rate * dot(tl.trans(a1), delta_1)
        w2, w2t = w2 + rate * dot(tl.trans(delta_2), a2), w2t + rate * dot(tl.trans(a2), delta_2)
        w3, w3t = w3 + rate * dot(tl.trans(delta_3), a3), w3t + rate * dot(tl.trans(a3), delta_3)
        b2, b3 = b2 + rate * tl.sum(delta_2, 0), b3 + rate * tl.sum(delta_3, 0)
        a1, target = next_a1, next_target
    tl.store(at_1, w1t, in_1)
    tl.store(at_2, w2, in_2)
    tl.store(at_3, w3, in_3)
    tl.store(bias_2, b2, h2 < outer)
    tl.store(bias_3, b3, c < n_classes)
    tl.store(losses + run, tl.sum(loss, 0) / n)


def trainer(
    models: list[torch.nn.Sequential], x: torch.Tensor, y: torch.Tensor, recipe: Recipe
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what trains the networks for an epoch, as `closed_form.trainer` does, which it leaves the CPU to."""
    if not x.is_cuda:
        return CLOSED_FORM(models, x, y, recipe)
    weights, losses = closed_form.merged_weights(models), x.new_zeros(len(models))
    widths, strides = zip(*(weight.shape[-2:] for weight in weights), strict=True)
    columns = x[0].numel() + 1
    padded = [max(16, triton.next_power_of_2(size)) for size in (recipe.batch_size, columns, *widths)]
    samples = torch.cat([x.flatten(1), x.new_ones(len(x), 1), x.new_zeros(len(x), padded[1] - columns)], dim=1)
    fixed = len(x), recipe.lr, *widths, *strides, *padded

    def train_epoch(orders: torch.Tensor) -> torch.Tensor:
        walk[len(models),](samples, y, orders, *weights, losses, *fixed, num_warps=WARPS)
        return losses

    return train_epoch


def measure(parts: dict[str, Part], n_classes: int) -> dict[str, dict]:
    """Return seconds of training and of whole runs by who trains, and how what they learn compares."""
    on_gpu = {part: tuple(tensor.to(GPU) for tensor in both) for part, both in parts.items()}
    double = {part: (x.double(), y) for part, (x, y) in parts.items()}
    ways, rounds, far = {"closed form": CLOSED_FORM, "kernel": trainer}, [], {}
    for _ in range(1 + ROUNDS):  # the first is warm-up
        rounds.append({"closed form, CPU": learn(parts, n_classes, range(1)).seconds})
        for (who, way), runs in product(ways.items(), AT_ONCE):
            with patch.object(closed_form, "trainer", way):
                rounds[-1][f"{who}, {runs} at once"] = learn(on_gpu, n_classes, range(runs)).seconds
    for epochs in (1, RECIPE.epochs):
        with patch.object(gpu, "build_network", lambda *how: build_network(*how).double()):
            exact = learn(double, n_classes, range(5), epochs=epochs).weights
        for who, way in ways.items():
            with patch.object(closed_form, "trainer", way):
                found = learn(on_gpu, n_classes, range(5), epochs=epochs).weights
            apart = torch.cat([(a - b).abs().flatten() for a, b in zip(exact, found, strict=True)])
            far[f"{who}, {epochs} epochs"] = {"most": apart.max().item(), "median": apart.median().item()}
    with patch.object(closed_form, "trainer", trainer):
        result = {"agreement": agreement(parts, on_gpu, n_classes), "from_float64": far}
    result["train_seconds"] = {who: statistics.median(each[who]["train"] for each in rounds[1:]) for who in rounds[0]}
    result["total_seconds"] = {who: statistics.median(each[who]["total"] for each in rounds[1:]) for who in rounds[0]}
    return result


def main() -> None:
    """Measure and write bench/results/persistent-NAME.json."""
    if why := why_missing("gpu"):
        raise UserError(f"bench.persistent: {why}; expected an NVIDIA GPU")
    start(GPU)
    torch.set_num_threads(1)
    train, val, n_classes = prepared()["mfccs"]
    result = {"hardware": hardware(GPU), "recipe": RECIPE._asdict(), **measure({"train": train, "val": val}, n_classes)}
    write_json(RESULTS / f"persistent-{'-'.join(result['hardware']['gpu'].lower().split())}.json", result)


if __name__ == "__main__":
    run_script(main)
