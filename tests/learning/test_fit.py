"""Training: the closed form against autograd, and runs that repeat to the bit."""

import copy
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from stages.learning import training
from stages.learning.network import build_network
from stages.learning.fit import Clock, Recipe, fit, has_closed_form, threads_for

SGD = Recipe("SGD", {}, 0.05, 30, 16)


def samples(n, shape=(26,), n_classes=4, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, n_classes, (n,), generator=generator)
    x = torch.randn(n, *shape, generator=generator, dtype=dtype) + 0.5 * y.reshape(-1, *[1] * len(shape))
    return x, y


def train(models, data, recipe, seeds, device="cpu"):
    """Return each network's records of all its epochs."""
    epochs = list(fit(models, *data, recipe, seeds, Clock(torch.device(device))))
    return [[record for record in records if record] for records in zip(*epochs, strict=True)] or [[] for _ in models]


def run(model, recipe, seed=0, shape=(26,)):
    history = train([model], (samples(200, shape), samples(60, shape, seed=1)), recipe, [seed])[0]
    return history, {name: value.clone() for name, value in model.state_dict().items()}


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    n=st.integers(1, 33),
    seed=st.integers(0, 999),
)
def test_one_step_moves_the_weights_along_autograds_gradient(sizes, n, seed):
    inputs, *hidden, n_classes = sizes
    model = build_network("mlp", (inputs,), hidden, n_classes, seed).double()
    x, y = samples(n, (inputs,), n_classes, torch.float64, seed)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    gradients = torch.autograd.grad(cross_entropy(model(x), y), list(model.parameters()))
    training._closed_form([model], x, y, Recipe("SGD", {}, 1.0, 1, n))(torch.arange(n)[None])
    for (name, after), gradient in zip(model.named_parameters(), gradients, strict=True):
        torch.testing.assert_close(before[name] - after.detach(), gradient, rtol=0, atol=1e-12)


def test_thirty_epochs_agree_with_autograd():
    by_hand = build_network("mlp", (26,), [128, 32], 4, seed=3)
    by_autograd = copy.deepcopy(by_hand)
    autograd = SGD._replace(optimizer_args={"momentum": 0.0})
    assert has_closed_form(by_hand, SGD)
    assert not has_closed_form(by_autograd, autograd)
    ours, our_weights = run(by_hand, SGD)
    theirs, their_weights = run(by_autograd, autograd)
    assert len(ours) == len(theirs) == 30
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["train_loss"] == pytest.approx(other["train_loss"], abs=1e-5)
        assert mine["val_loss"] == pytest.approx(other["val_loss"], abs=1e-5)
    for name, value in our_weights.items():
        torch.testing.assert_close(value, their_weights[name], rtol=0, atol=1e-4)


def test_training_repeats_to_the_bit():
    first, weights = run(build_network("mlp", (26,), [16], 4, seed=1), SGD, seed=1)
    again, same = run(build_network("mlp", (26,), [16], 4, seed=1), SGD, seed=1)
    other, _ = run(build_network("mlp", (26,), [16], 4, seed=2), SGD, seed=2)
    assert first == again != other
    assert all(torch.equal(value, same[name]) for name, value in weights.items())


def test_small_steps_take_one_thread_and_large_ones_all():
    mlp, cnn = build_network("mlp", (26,), [128, 32], 4, 0), build_network("cnn", (21, 128), [1], 4, 0)
    assert threads_for(mlp, (26,), 16) == 1
    assert (
        threads_for(mlp, (26,), 16384)
        == threads_for(cnn, (21, 128), 16)
        == min(len(os.sched_getaffinity(0)), training.MAX_THREADS)
    )


OPTIMIZERS = ("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_other_optimizers_train_as_torch_says(optimizer):
    """Against a plain loop over the same batches, with torch's own optimizer in its default form."""
    recipe = Recipe(optimizer, {}, 0.01, 2, 16)
    model, plain = (build_network("mlp", (26,), [16], 4, seed=1) for _ in range(2))
    _, weights = run(model, recipe, seed=5)
    x, y = samples(200)
    theirs = getattr(torch.optim, optimizer)(plain.parameters(), lr=0.01)
    shuffle = torch.Generator().manual_seed(5)
    for _ in range(2):
        for rows in torch.randperm(200, generator=shuffle).split(16):
            theirs.zero_grad()
            cross_entropy(plain(x[rows]), y[rows]).backward()
            theirs.step()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(weights[name], value, rtol=1e-4, atol=1e-5)


def test_the_cnn_repeats_to_the_bit():
    recipe = SGD._replace(epochs=3, lr=0.02, optimizer_args={"momentum": 0.9})
    (first, weights), (again, same) = (
        run(build_network("cnn", (16, 16), [1], 4, seed=1), recipe, shape=(16, 16)) for _ in range(2)
    )
    assert first == again
    assert all(torch.equal(value, same[name]) for name, value in weights.items())


def test_the_last_batch_may_be_short_and_the_chunks_many():
    """85 steps and a short one: more than a chunk of 64."""
    by_hand, by_autograd = (build_network("mlp", (5,), [7], 3, seed=2) for _ in range(2))
    data = [samples(n, (5,), 3, seed=n) for n in (16 * 85 + 3, 30)]
    histories = [
        train([model], data, Recipe("SGD", arguments, 0.05, 2, 16), [0])[0]
        for model, arguments in ((by_hand, {}), (by_autograd, {"momentum": 0.0}))
    ]
    for mine, other in zip(*histories, strict=True):
        assert mine["train_loss"] == pytest.approx(other["train_loss"], abs=1e-5)
        assert mine["val_loss"] == pytest.approx(other["val_loss"], abs=1e-5)


def test_a_loss_that_is_not_finite_ends_the_run():
    model = build_network("mlp", (26,), [16], 4, seed=1)
    assert run(model, SGD._replace(lr=1e30))[0] == []
    assert not torch.isfinite(model[-1].weight).all()


@pytest.mark.parametrize("arguments", [{}, {"momentum": 0.9}])
def test_networks_side_by_side_learn_what_each_learns_alone(arguments):
    """One network goes through products of matrices, several through products of batches of matrices."""
    recipe, data = Recipe("SGD", arguments, 0.05, 4, 16), (samples(203), samples(60, seed=1))
    alone = [build_network("mlp", (26,), [9, 7], 4, seed) for seed in (3, 4, 5)]
    together = copy.deepcopy(alone)
    histories = train(together, data, recipe, [3, 4, 5])
    for network, seed, history in zip(alone, (3, 4, 5), histories, strict=True):
        for mine, other in zip(history, train([network], data, recipe, [seed])[0], strict=True):
            assert mine == pytest.approx(other, abs=1e-5)
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


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@needs_gpu
@pytest.mark.parametrize("network", ["mlp", "cnn"])
@pytest.mark.parametrize("arguments", [{}, {"momentum": 0.9}])
def test_the_gpu_learns_what_the_cpu_learns(network, arguments):
    recipe, shape = Recipe("SGD", arguments, 0.01, 3, 16), (16, 16)
    histories = []
    for device in ("cpu", "cuda"):
        models = [build_network(network, shape, [32, 16], 4, seed).to(device) for seed in (0, 1)]
        data = [[tensor.to(device) for tensor in samples(n, shape, seed=seed)] for n, seed in ((203, 0), (60, 1))]
        histories.append(train(models, data, recipe, [0, 1], device))
    for cpu_run, gpu_run in zip(*histories, strict=True):
        for cpu, gpu in zip(cpu_run, gpu_run, strict=True):
            assert cpu["train_loss"] == pytest.approx(gpu["train_loss"], abs=1e-3)
            assert cpu["val_f1_macro"] == pytest.approx(gpu["val_f1_macro"], abs=0.05)


@needs_gpu
def test_the_gpu_repeats_to_the_bit():
    results = []
    for _ in range(2):
        models = [build_network("mlp", (26,), [128, 32], 4, seed).cuda() for seed in (0, 1)]
        data = [[tensor.cuda() for tensor in samples(n, seed=seed)] for n, seed in ((200, 0), (60, 1))]
        results.append((train(models, data, SGD, [0, 1], "cuda"), [model.state_dict() for model in models]))
    assert results[0][0] == results[1][0]
    for mine, other in zip(results[0][1], results[1][1], strict=True):
        assert all(torch.equal(value, other[name]) for name, value in mine.items())
