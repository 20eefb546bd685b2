"""CUDA graphs, and all that is special about them: many small kernels launched by one call.

A graph records a piece of work once, kernel by kernel, with the addresses of the memory that each kernel reads and
writes. Replaying it does the same to the same addresses, without the Python that made it. So such a piece of work

- changes memory in place, never by putting a new tensor where an old one was;
- uses memory that nobody frees as long as the graph is replayed;
- never waits for the host: no `.item()`, no shape that depends on a value.
"""

from collections.abc import Callable
from functools import cache
from itertools import cycle

import torch

Work = Callable[[], None]

STREAMS = 8  # at once; networks this small do not fill a GPU, but each stream more takes memory


def uses_graphs(device: torch.device) -> bool:
    """Return whether work on the device goes through graphs."""
    return device.type == "cuda"


def record(work: Work) -> Work:
    """Return the replay of a graph of `work`, which has been rehearsed; nothing is computed yet.

    It keeps alive what was allocated while it was recorded, but not what it refers to besides. Graphs share what cuBLAS
    sets aside, so all graphs of a training live and die together.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def replayable(work: Work, state: list[torch.Tensor]) -> Work:
    """Return what does `work` as fast as its device can: `work` itself or the replay of a graph of it.

    `state` is all tensors that `work` changes for good; a rehearsal leaves no trace in them.
    """
    device = state[0].device
    if not uses_graphs(device):
        return work
    before = [tensor.clone() for tensor in state]
    rehearse(work, device)
    with torch.no_grad():
        for tensor, value in zip(state, before, strict=True):
            tensor.copy_(value)
    replay = record(work)

    def replay_work(_: Work = work) -> None:  # holds on to `work`, and so to every buffer that the graph goes to
        replay()

    return replay_work


def side_by_side(works: list[Work], device: torch.device) -> None:
    """Do pieces of work that have nothing to do with each other: on a GPU on a few streams at once.

    What is done on one stream goes to the same memory, one work after the other; each stream would take its own.
    """
    if device.type != "cuda":
        for work in works:
            work()
        return
    here, asides = torch.cuda.current_stream(device), streams(device)[: len(works)]
    for aside in asides:
        aside.wait_stream(here)
    try:
        for work, aside in zip(works, cycle(asides)):
            with torch.cuda.stream(aside):
                work()
    finally:  # a recording with streams that go on would end in an error that hides what went wrong
        for aside in asides:
            here.wait_stream(aside)


@cache
def streams(device: torch.device) -> list[torch.cuda.Stream]:
    """Return the streams that work side by side, always the same: for each, cuBLAS sets memory aside for good."""
    return [torch.cuda.Stream(device) for _ in range(STREAMS)]


def rehearse(work: Work, device: torch.device) -> None:
    """Do `work` once on another stream, as torch's notes on CUDA graphs ask: what is lazily made is then there."""
    side_by_side([work], device)
