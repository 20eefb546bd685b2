"""All runs of a representation: how many threads, who trains beside whom, which weights are kept, what is told."""

from threading import Event, current_thread

import pytest
import torch
from conftest import samples
from training.training_loop import SGD

from stages.common.records import Epoch
from stages.models.network import build_network
from stages.training import runs
from stages.training.job import Job
from stages.training.runs import Hooks
from stages.training.timing import Clock, timed

CPU = torch.device("cpu")


def job(**changes):
    return Job("mlp", (26,), [9], 4, SGD._replace(epochs=4), [3, 4, 5], False)._replace(**changes)


def data():
    parts = {"train": samples(100), "val": samples(60, seed=1)}
    return {f"{part}_{axis}": tensor for part, both in parts.items() for axis, tensor in zip("xy", both, strict=True)}


def train(job, monkeypatch=None, side_by_side=False):
    """Return each run's epochs, what was saved and what the bar was told."""
    saved, ticks = {}, []
    if side_by_side:
        monkeypatch.setattr(Job, "groups", lambda job, on_gpu: [range(len(job.seeds))])
    hooks = Hooks(
        lambda run, epoch, weights: saved.update(
            {(run, epoch): {key: value.clone() for key, value in weights.items()}}
        ),
        lambda trained: ticks.append([run.number for run in trained]),
    )
    groups = [runs.train_runs(job, numbers, data(), CPU, hooks) for numbers in job.groups(on_gpu=False)]
    return [own for group in groups for own in group.epochs], saved, ticks, timed(job, groups, 1, 100)


def test_runs_one_after_the_other_and_side_by_side_save_the_same(monkeypatch):
    epochs, saved, ticks, alone = train(job())
    together, saved_together, ticks_together, at_once = train(job(), monkeypatch, side_by_side=True)
    assert ticks == [[0]] * 4 + [[1]] * 4 + [[2]] * 4
    assert ticks_together == [[0, 1, 2]] * 4
    assert (alone.runs_at_once, at_once.runs_at_once) == (1, 3)
    assert saved.keys() == saved_together.keys()
    for run, own in enumerate(epochs):
        best = -1.0
        for number, epoch in enumerate(own):
            assert ((run, number) in saved) == (epoch.val_f1_macro > best)
            best = max(best, epoch.val_f1_macro)
            assert epoch.model_dump() == pytest.approx(together[run][number].model_dump(), abs=1e-5)
    for place, weights in saved.items():
        for key, value in weights.items():
            torch.testing.assert_close(value, saved_together[place][key], rtol=0, atol=1e-5)


def test_a_run_that_diverged_still_counts_in_what_is_told(monkeypatch):
    epoch = Epoch(train_loss=1, val_loss=1, val_accuracy=0.5, val_f1_macro=0.5)
    monkeypatch.setattr(runs, "fit", lambda *_: iter([[epoch, epoch, None], [epoch, None, None]]))
    told = []
    hooks = Hooks(lambda *_: None, lambda group: told.append([len(run.epochs) for run in group]))
    runs.train_runs(job(), range(3), data(), CPU, hooks)
    assert told == [[1, 1], [2, 1]]


def test_every_epoch_is_kept_on_demand():
    assert train(job(keep_every=True))[1].keys() == {(run, epoch) for run in range(3) for epoch in range(4)}


def test_weights_leave_the_device_by_one_copy_of_all_together(monkeypatch):
    copied, real = [], torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: copied.append(tensor.numel()) or real(tensor))
    models = [build_network("cnn", (16, 16), [1], 4, seed) for seed in (0, 1)]
    copies = runs.on_the_host(models)
    for model, weights in zip(models, copies, strict=True):
        assert list(weights) == list(model.state_dict())
        assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
    assert copied == [sum(value.numel() for model in models for value in model.state_dict().values())]
    assert runs.on_the_host([]) == []


def test_on_a_cpu_snapshots_are_saved_at_once():
    done = []
    with runs.beside(Clock(CPU)) as do:
        do(lambda: done.append(current_thread()))
        assert done == [current_thread()]


@pytest.fixture
def gpu_clock(monkeypatch):
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    return Clock(torch.device("cuda"))


def test_beside_a_gpu_they_are_saved_while_it_trains_on(gpu_clock):
    """The second waits for the first, the end for the second."""
    done, may_go_on = [], Event()

    def slow():
        may_go_on.wait(10)
        done.append("first")

    with runs.beside(gpu_clock) as do:
        do(slow)
        assert done == []
        may_go_on.set()
        do(lambda: done.append(current_thread()))
        assert done[0] == "first"
    assert done[1:] not in ([], [current_thread()])
    assert gpu_clock.seconds.keys() == {"snapshot"}


@pytest.mark.parametrize("others", [0, 1])
def test_what_goes_wrong_there_is_raised_here(gpu_clock, others):
    def fail():
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), runs.beside(gpu_clock) as do:
        do(fail)
        for _ in range(others):
            do(lambda: None)
            pytest.fail("the next was begun")


def test_a_gpu_trains_all_runs_side_by_side():
    for each in (job(), job(recipe=SGD._replace(optimizer="Adam"))):
        assert each.groups(on_gpu=True) == [range(3)]
        assert each.groups(on_gpu=False) == [range(1), range(1, 2), range(2, 3)]


def test_the_rehearsal_meets_what_the_runs_will_meet(monkeypatch):
    met, copied, real, real_copy = [], [], runs.fit, runs.on_the_host

    def watched(models, parts, recipe, seeds, clock):
        met.append((len(models), len(parts["train"][1]), recipe.epochs))
        return real(models, parts, recipe, seeds, clock)

    def watched_copy(models):
        copied.append(len(models))
        return real_copy(models)

    monkeypatch.setattr(runs, "fit", watched)
    monkeypatch.setattr(runs, "on_the_host", watched_copy)
    runs.warm_up(job(), data(), CPU)
    monkeypatch.setattr(Job, "groups", lambda job, on_gpu: [range(len(job.seeds))])
    runs.warm_up(job(), data(), CPU)
    assert met == [(1, 4 * 16 + 100 % 16, 2), (3, 4 * 16 + 100 % 16, 2)]
    assert copied == [1, 1, 3, 3]


def test_small_steps_take_one_thread_and_large_ones_what_they_may():
    mission = job(hidden=[128, 32])
    large = (mission._replace(recipe=SGD._replace(batch_size=16384)), job(network="cnn", shape=(21, 128)))
    for cores, threads in {1: 1, 2: 2, 3: 3, 64: runs.MAX_THREADS}.items():
        assert runs.threads_for(mission, cores) == 1
        assert [runs.threads_for(each, cores) for each in large] == [threads] * 2
