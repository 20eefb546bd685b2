"""The GPU's route through CUDA graphs, held to the bit against the plain route: here with the graphs emulated."""

import inspect
from contextlib import contextmanager
from functools import partial

import pytest
import torch
from conftest import samples
from training import graph_emulator

from stages.models.network import build_network
from stages.training import closed_form, graphs
from stages.training.devices import start
from stages.training.job import Recipe
from stages.training.loop import fit
from stages.training.timing import Clock

CHUNK = 8  # batches, of which the closed form takes 64 at once otherwise
SIZES = (1, 5, 16, 37, 100, 144, 407)  # of the training set, in batches of 16: the last two are more than a chunk
OPTIMIZERS = {
    "SGD": {"momentum": 0.9},
    "Adam": {},
    "AdamW": {},
    "Rprop": {},
    "Adagrad": {},
    "RMSprop": {},
    "NAdam": {},
}
CHANGES = [{}, {"schedule": "cosine"}, {"schedule": "cosine", "class_weights": "balanced"}]  # in the closed form too
CPU = torch.device("cpu")


@pytest.fixture
def emulate(monkeypatch):
    def switch_on():
        monkeypatch.setattr(graphs, "uses_graphs", graph_emulator.uses_graphs)
        monkeypatch.setattr(graphs, "record", graph_emulator.record)

    return switch_on


def learn(recipe, network, shape, n, runs, device=CPU):
    """Return the records of all epochs and all weights after them."""
    models = [build_network(network, shape, [9, 7], 4, seed).to(device) for seed in range(runs)]
    sizes = {"train": n, "val": 30}
    parts = {part: [each.to(device) for each in samples(size, shape, seed=size)] for part, size in sizes.items()}
    epochs = list(fit(models, parts, recipe, list(range(runs)), Clock(device)))
    return epochs, [value for model in models for value in model.state_dict().values()]


def assert_same(emulate, recipe, network, shape, n, runs):
    plain, plain_weights = learn(recipe, network, shape, n, runs)
    emulate()
    graphed, graphed_weights = learn(recipe, network, shape, n, runs)
    assert len(plain) == recipe.epochs
    assert graphed == plain
    for mine, other in zip(graphed_weights, plain_weights, strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("runs", [1, 3, 5])
@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_the_closed_form(emulate, monkeypatch, changes, runs, n):
    monkeypatch.setattr(closed_form, "CHUNK", CHUNK)
    assert_same(emulate, Recipe("SGD", {}, 0.05, 2, 16)._replace(**changes), "mlp", (26,), n, runs)


def test_the_closed_form_in_chunks_as_large_as_they_are(emulate):
    assert_same(emulate, Recipe("SGD", {}, 0.05, 1, 16)._replace(**CHANGES[2]), "mlp", (26,), 1040, 3)


@pytest.mark.parametrize(
    ("optimizer", "n"),
    [*((name, n) for name in OPTIMIZERS for n in SIZES if n <= 100), *(("Rprop", n) for n in SIZES if n > 100)],
)
def test_autograd(emulate, optimizer, n):
    assert_same(emulate, Recipe(optimizer, OPTIMIZERS[optimizer], 0.01, 2, 16), "mlp", (26,), n, 2)


AUGMENTED = {
    "label_smoothing": 0.1,
    "input_noise": 0.5,
    "mixup": 0.4,
    "spec_augment": {"bands": 5, "frames": 3},
}


@pytest.mark.parametrize(
    "changes", [*CHANGES[1:], {"dropout": 0.3}, AUGMENTED, {**CHANGES[2], "dropout": 0.3, **AUGMENTED}], ids=str
)
@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_autograd_with_everything(emulate, network, changes):
    recipe = Recipe("AdamW", {"weight_decay": 0.1}, 0.01, 2, 16)._replace(**changes)
    assert_same(emulate, recipe, network, (16, 16), 37, 2)


@pytest.mark.parametrize(("optimizer", "n"), [*(("SGD", n) for n in SIZES[:-1]), *((name, 37) for name in OPTIMIZERS)])
def test_the_cnn(emulate, optimizer, n):
    assert_same(emulate, Recipe(optimizer, OPTIMIZERS[optimizer], 0.01, 2, 16), "cnn", (16, 16), n, 1)


def test_recording_computes_nothing_and_a_replay_does_it_once():
    state, step = torch.zeros(3), torch.ones(3)
    replay = graph_emulator.record(lambda: state.add_(2 * step))
    assert state.tolist() == [0, 0, 0]
    replay()
    step.fill_(10)
    replay()
    assert state.tolist() == [22, 22, 22]


def test_memory_that_was_freed_is_an_error():
    state, kept = torch.zeros(3), [torch.ones(3)]
    replay = graph_emulator.record(lambda: state.add_(kept[0]))
    replay()
    kept[0] = torch.ones(3)
    with pytest.raises(RuntimeError, match="memory that has been freed"):
        replay()


WAITS = {
    "item": torch.Tensor.item,
    "nonzero": torch.nonzero,
    "equal": lambda x: torch.equal(x, x + 1),
    "a condition": bool,
    "a mask": lambda x: x[x > 0],
    "unique": torch.unique,
    "numbers from the host": lambda x: x.add_(torch.tensor([1.0])),
}


@pytest.mark.parametrize("wait", WAITS)
def test_waiting_for_the_host_is_an_error(wait):
    x = torch.ones(1)
    with pytest.raises(RuntimeError, match="is not known to be allowed in a graph"):
        graph_emulator.record(lambda: WAITS[wait](x))


def test_a_replay_keeps_alive_what_it_needs_and_leaves_no_trace_of_the_rehearsal(emulate):
    emulate()
    state = torch.zeros(3)

    def work_on_a_buffer():
        buffer = torch.ones(3)
        return lambda: state.add_(buffer)

    replay = graphs.replayable(work_on_a_buffer(), [state])
    assert state.tolist() == [0, 0, 0]
    replay()
    assert state.tolist() == [1, 1, 1]


def test_work_is_rehearsed_once_before_it_is_recorded(monkeypatch, emulate):
    events, state = [], torch.zeros(1)
    emulate()
    monkeypatch.setattr(graphs, "record", lambda work: events.append("recorded") or work)
    replay = graphs.replayable(lambda: events.append("done"), [state])
    assert events == ["done", "recorded"]
    replay()
    assert events == ["done", "recorded", "done"]


def test_where_there_are_no_graphs_the_work_is_done_as_it_is():
    def work():
        pass

    assert not graphs.uses_graphs(CPU)
    assert not graphs.uses_graphs(torch.device("meta"))
    assert graphs.uses_graphs(torch.device("cuda"))
    assert graphs.replayable(work, [torch.zeros(1)]) is work


def test_what_is_said_to_cuda(monkeypatch):
    """The few lines that no emulation replaces, said to a stand-in that writes them down."""
    said = []

    class Stream:
        def __init__(self, name):
            self.name = name

        def wait_stream(self, other):
            said.append(f"{self.name} waits for {other.name}")

    class Graph:
        def replay(self):
            said.append("replay")

    @contextmanager
    def within(what):
        said.append(f"in {getattr(what, 'name', 'graph')}")
        yield
        said.append("out")

    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("here"))
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream("aside"))
    monkeypatch.setattr(graphs, "streams", graphs.streams.__wrapped__)  # nothing of it is kept
    monkeypatch.setattr(torch.cuda, "stream", within)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", within)
    graphs.rehearse(lambda: said.append("work"), torch.device("cuda"))
    assert said == ["aside waits for here", "in aside", "work", "out", "here waits for aside"]
    said.clear()
    graphs.side_by_side([lambda: said.append("one"), lambda: said.append("other")], torch.device("cuda"))
    there, back = ["aside waits for here"], ["here waits for aside"]
    assert said == [*there * 2, "in aside", "one", "out", "in aside", "other", "out", *back * 2]
    said.clear()
    graphs.side_by_side([lambda: None] * 100, torch.device("cuda"))
    assert (said.count(*there), said.count("in aside"), said.count(*back)) == (graphs.STREAMS, 100, graphs.STREAMS)
    said.clear()

    def fail():
        raise torch.OutOfMemoryError("no more")

    with pytest.raises(torch.OutOfMemoryError, match="no more"):
        graphs.side_by_side([fail, fail], torch.device("cuda"))
    assert said == [*there * 2, "in aside", *back * 2]
    said.clear()
    graphs.record(lambda: said.append("work"))()
    assert said == ["in graph", "work", "out", "replay"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("n", [37, 203])
@pytest.mark.parametrize(("network", "optimizer"), [("mlp", None), ("mlp", "SGD"), ("mlp", "Rprop"), ("cnn", "Adam")])
def test_on_a_gpu_graphs_change_nothing(monkeypatch, exact, network, optimizer, n):
    start(torch.device("cuda"))
    recipe = Recipe(optimizer or "SGD", OPTIMIZERS.get(optimizer, {}), 0.01, 2, 16)
    if "check_input_liveness" in inspect.signature(torch.cuda.graph.__init__).parameters:
        monkeypatch.setattr(torch.cuda, "graph", partial(torch.cuda.graph, check_input_liveness=True))
    graphed, graphed_weights = learn(recipe, network, (16, 16), n, 3, torch.device("cuda"))
    monkeypatch.setattr(graphs, "uses_graphs", lambda device: False)
    plain, plain_weights = learn(recipe, network, (16, 16), n, 3, torch.device("cuda"))
    assert graphed == plain
    for mine, other in zip(graphed_weights, plain_weights, strict=True):
        assert torch.equal(mine, other)
