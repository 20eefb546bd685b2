"""The loop over epochs: runs that repeat to the bit, alone or side by side, and what becomes of those that diverge."""

import copy

import pytest
import torch
from conftest import samples
from memory import runs_within
from sklearn.metrics import accuracy_score, f1_score
from training.training_loop import SGD, run, train

from stages.models import network as network_module
from stages.models.network import build_network
from stages.training.devices import start
from stages.training.job import Recipe
from stages.training.loop import pieces_of, validator


def test_training_repeats_to_the_bit():
    first, weights = run(build_network("mlp", (26,), [16], 4, seed=1), SGD, seed=1)
    again, same = run(build_network("mlp", (26,), [16], 4, seed=1), SGD, seed=1)
    other, _ = run(build_network("mlp", (26,), [16], 4, seed=2), SGD, seed=2)
    assert first == again != other
    assert all(torch.equal(value, same[name]) for name, value in weights.items())


def test_the_cnn_repeats_to_the_bit():
    recipe = SGD._replace(epochs=3, lr=0.02, optimizer_args={"momentum": 0.9})
    (first, weights), (again, same) = (
        run(build_network("cnn", (16, 16), [1], 4, seed=1), recipe, shape=(16, 16)) for _ in range(2)
    )
    assert first == again
    assert all(torch.equal(value, same[name]) for name, value in weights.items())


def test_a_loss_that_is_not_finite_ends_the_run():
    model = build_network("mlp", (26,), [16], 4, seed=1)
    assert run(model, SGD._replace(lr=1e30))[0] == []
    assert not torch.isfinite(model[-1].weight).all()


def test_a_validation_loss_that_is_not_finite_ends_the_run_too():
    x, y = samples(60, seed=1)
    model = build_network("mlp", (26,), [16], 4, seed=1)
    assert train([model], (samples(200), (x * float("nan"), y)), SGD, [0]) == [[]]
    assert torch.isfinite(model[-1].weight).all()


@pytest.mark.parametrize("arguments", [{}, {"momentum": 0.9}])
def test_networks_side_by_side_learn_what_each_learns_alone(arguments):
    """One network goes through products of matrices, several through products of batches of matrices."""
    recipe, data = Recipe("SGD", arguments, 0.05, 4, 16), (samples(203), samples(60, seed=1))
    alone = [build_network("mlp", (26,), [9, 7], 4, seed) for seed in (3, 4, 5)]
    together = copy.deepcopy(alone)
    histories = train(together, data, recipe, [3, 4, 5])
    for network, seed, history in zip(alone, (3, 4, 5), histories, strict=True):
        for mine, other in zip(history, train([network], data, recipe, [seed])[0], strict=True):
            assert mine.model_dump() == pytest.approx(other.model_dump(), abs=1e-5)
    for mine, other in zip(together, alone, strict=True):
        for name, value in mine.state_dict().items():
            torch.testing.assert_close(value, other.state_dict()[name], rtol=0, atol=1e-5)


def test_a_network_that_diverges_leaves_its_neighbours_alone():
    data = samples(64), samples(60, seed=1)
    good, bad = (build_network("mlp", (26,), [8], 4, seed) for seed in (0, 1))
    with torch.no_grad():
        bad[-1].weight.fill_(float("nan"))
    first, second = train([good, bad], data, SGD._replace(epochs=3), [0, 1])
    assert len(first) == 3
    assert second == []


@pytest.mark.parametrize("at_once", [network_module.AT_ONCE, 26 * 7])
def test_validation_is_scikit_learns_in_one_piece_or_many(monkeypatch, at_once):
    monkeypatch.setattr(network_module, "AT_ONCE", at_once)
    x, y = samples(100, n_classes=5)
    models = [build_network("mlp", (26,), [16], 5, seed) for seed in (0, 1)]
    pieces = [len(piece) for piece, _ in pieces_of(models[0], x, y)]
    assert pieces == ([100] if at_once > 10_000 else [7] * 14 + [2])
    validate = validator(models, x, y)
    validate(torch.zeros(2))  # what it leaves behind does not count
    found = validate(torch.tensor([0.25, 0.5]))
    assert [epoch.train_loss for epoch in found] == [0.25, 0.5]
    for model, epoch in zip(models, found, strict=True):
        logits = model(x).detach()
        predicted = logits.argmax(dim=1)
        assert epoch.val_loss == pytest.approx(torch.nn.functional.cross_entropy(logits, y).item(), abs=1e-6)
        assert epoch.val_accuracy == pytest.approx(accuracy_score(y, predicted))
        assert epoch.val_f1_macro == pytest.approx(f1_score(y, predicted, average="macro"))


VALIDATED = """
import torch
from conftest import samples
from stages.models import network
from stages.training.loop import validator
torch.set_num_threads(1)
def judge(model, shape, n, n_classes):
    validator([model], *samples(n, shape, n_classes))(torch.zeros(1))
"""


def test_500_classes_are_validated_in_the_memory_of_their_logits():
    work = 'judge(network.build_network("mlp", (26,), [128, 32], 500, 0), (26,), 5000, 500)'
    runs_within(100, VALIDATED, work)


def test_a_cnn_validates_in_memory_that_does_not_grow_with_the_samples():
    setup = VALIDATED + 'network.AT_ONCE = 2**20; cnn = network.build_network("cnn", (16, 16), [1], 4, 0)'
    runs_within(120, setup, "judge(cnn, (16, 16), 10_000, 4)")


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@needs_gpu
@pytest.mark.parametrize("network", ["mlp", "cnn"])
@pytest.mark.parametrize("arguments", [{}, {"momentum": 0.9}])
def test_the_gpu_learns_what_the_cpu_learns(exact, network, arguments):
    start(torch.device("cuda"))
    recipe, shape = Recipe("SGD", arguments, 0.01, 3, 16), (16, 16)
    kind = {"mlp": torch.float32, "cnn": torch.float64}[network]  # in float32 its pooling makes much of a last digit
    histories = []
    for device in ("cpu", "cuda"):
        models = [build_network(network, shape, [32, 16], 4, seed).to(device, kind) for seed in (0, 1)]
        parts = [samples(n, shape, dtype=kind, seed=seed) for n, seed in ((203, 0), (60, 1))]
        data = [[tensor.to(device) for tensor in part] for part in parts]
        histories.append(train(models, data, recipe, [0, 1], device))
    for cpu_run, gpu_run in zip(*histories, strict=True):
        for cpu, gpu in zip(cpu_run, gpu_run, strict=True):
            assert cpu.train_loss == pytest.approx(gpu.train_loss, abs=1e-3)
            assert cpu.val_f1_macro == pytest.approx(gpu.val_f1_macro, abs=0.05)


@needs_gpu
@pytest.mark.parametrize(
    ("network", "arguments", "runs"), [("mlp", {}, 2), ("cnn", {}, 2), ("mlp", {"momentum": 0.9}, 40)]
)
def test_the_gpu_repeats_to_the_bit(exact, network, arguments, runs):
    start(torch.device("cuda"))
    recipe, results = SGD._replace(optimizer_args=arguments), []
    for _ in range(2):
        models = [build_network(network, (16, 16), [128, 32], 4, seed).cuda() for seed in range(runs)]
        data = [[tensor.cuda() for tensor in samples(n, (16, 16), seed=seed)] for n, seed in ((200, 0), (60, 1))]
        history = train(models, data, recipe, list(range(runs)), "cuda")
        results.append((history, [model.state_dict() for model in models]))
    assert results[0][0] == results[1][0]
    for mine, other in zip(results[0][1], results[1][1], strict=True):
        assert all(torch.equal(value, other[name]) for name, value in mine.items())
