"""CUDA graphs, and all that is special about them: many small kernels launched by one call.

A graph records a piece of work once, kernel by kernel, with the addresses of the memory that each kernel reads and
writes. Replaying it does the same to the same addresses, without the Python that made it. So such a piece of work

- changes memory in place, never by putting a new tensor where an old one was;
- uses memory that nobody frees as long as the graph is replayed;
- never waits for the host: no `.item()`, no shape that depends on a value.
"""

from collections.abc import Callable

import torch

Work = Callable[[], None]


def uses_graphs(device: torch.device) -> bool:
    """Return whether work on the device goes through graphs."""
    return device.type == "cuda"


def record(work: Work) -> Work:
    """Return the replay of a graph of `work`, which has been rehearsed; nothing is computed yet.

    The replay owns the memory that was allocated while it was recorded, and no other.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def replayable(work: Work, state: list[torch.Tensor]) -> Work:
    """Return what does `work` as fast as its device can: `work` itself or the replay of a graph of it.

    Args:
        work: takes and returns nothing; everything it uses is in tensors that it refers to.
        state: all tensors that `work` changes for good; a rehearsal leaves no trace in them.
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
    """Do pieces of work that have nothing to do with each other: on a GPU each on a stream of its own, all at once."""
    if device.type != "cuda":
        for work in works:
            work()
        return
    here = torch.cuda.current_stream(device)
    streams = [torch.cuda.Stream(device) for _ in works]
    for work, aside in zip(works, streams, strict=True):
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            work()
    for aside in streams:
        here.wait_stream(aside)


def rehearse(work: Work, device: torch.device) -> None:
    """Do `work` once on a stream of its own, as torch's notes on CUDA graphs ask: what is lazily made is then there."""
    side_by_side([work], device)
