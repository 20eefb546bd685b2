"""The worker: who trains beside whom, which weights are kept, what is reported; the same bytes from any processes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Event, current_thread

import pytest
import torch
from cluster import losing, start_cluster
from conftest import ROOT, samples, save_dataset, write_params
from training.training_loop import SGD

import stages.train
from stages import prepare
from stages.common import tasks
from stages.common.files import SNAPSHOTS, read_json, timing_path
from stages.common.records import Epoch
from stages.models.network import build_network
from stages.training import worker
from stages.training.job import Job
from stages.training.timing import Clock

CPU = torch.device("cpu")


def job(**changes):
    return Job("", "mlp", (26,), [9], 4, SGD._replace(epochs=4), 3, range(3), "improved")._replace(**changes)


def data():
    parts = {"train": samples(100), "val": samples(60, seed=1)}
    return {f"{part}_{axis}": tensor for part, both in parts.items() for axis, tensor in zip("xy", both, strict=True)}


def train_all(job, together):
    """Return each run's epochs, what was saved and how far the runs were after each epoch."""
    saved, ticks, epochs = {}, [], []

    def save(kept):
        for place, weights in kept.items():
            saved[place] = {key: value.clone() for key, value in weights.items()}

    for runs in [job.runs] if together else [range(run, run + 1) for run in job.runs]:
        part = job._replace(runs=runs)
        epochs += worker.train_runs(
            part, data(), Clock(CPU), save, lambda told: ticks.append([len(own) for own in told])
        )
    return epochs, saved, ticks


def test_runs_one_after_the_other_and_side_by_side_save_the_same():
    epochs, saved, ticks = train_all(job(), together=False)
    together, saved_together, ticks_together = train_all(job(), together=True)
    assert ticks == [[1], [2], [3], [4]] * 3
    assert ticks_together == [[1] * 3, [2] * 3, [3] * 3, [4] * 3]
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


def test_a_run_that_diverged_still_counts_in_what_is_reported(monkeypatch):
    """The last epoch of each run is told, if it has one."""
    epoch = Epoch(train_loss=1, val_loss=1, val_accuracy=0.5, val_f1_macro=0.5)
    monkeypatch.setattr(worker, "fit", lambda *_: iter([[epoch, epoch, None], [epoch, None, None]]))
    told = []
    worker.train_runs(job(), data(), Clock(CPU), lambda *_: None, lambda runs: told.append([len(own) for own in runs]))
    assert told == [[1, 1, 0], [2, 1, 0]]
    said, later = [], epoch.model_copy(update={"train_loss": 0.25})
    monkeypatch.setattr(tasks, "report", said.append)
    for runs in ([[], []], [[], [epoch]], [[epoch, later], [epoch]]):
        worker.report(job(name="mfccs", runs=range(4, 6)), runs)
    assert said == [["mfccs", 4, 1, {5: (0, epoch)}], ["mfccs", 4, 3, {4: (1, later), 5: (0, epoch)}]]


def test_every_epoch_is_kept_on_demand():
    assert train_all(job(snapshots="every"), together=False)[1].keys() == {
        (run, epoch) for run in range(3) for epoch in range(4)
    }


@pytest.mark.parametrize("together", [True, False])
def test_the_last_weights_are_kept_on_demand(together):
    every, last = (train_all(job(snapshots=which), together)[1] for which in ("every", "last"))
    assert last.keys() == {(run, 3) for run in range(3)}
    for place, weights in last.items():
        assert all(torch.equal(weights[key], value) for key, value in every[place].items())


def test_the_last_weights_of_a_run_that_diverged_are_those_before(monkeypatch):
    epoch = Epoch(train_loss=1, val_loss=1, val_accuracy=0.5, val_f1_macro=0.5)
    monkeypatch.setattr(worker, "fit", lambda *_: iter([[epoch, epoch, None], [epoch, None, None]]))
    assert train_all(job(snapshots="last"), together=True)[1].keys() == {(0, 1), (1, 0)}


@pytest.mark.parametrize(("network", "types"), [("mlp", {torch.float32}), ("cnn", {torch.float32, torch.int64})])
def test_weights_leave_the_device_by_one_copy_of_all_of_a_type_together(monkeypatch, network, types):
    copied, real = [], torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: copied.append(tensor.numel()) or real(tensor))
    models = [build_network(network, (16, 16), [1], 4, seed) for seed in (0, 1)]
    copies = worker.on_the_host(models)
    for model, weights in zip(models, copies, strict=True):
        assert list(weights) == list(model.state_dict())
        assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
        assert {value.dtype for value in weights.values()} == types
    assert len(copied) == len(types)
    assert sum(copied) == sum(value.numel() for model in models for value in model.state_dict().values())


def test_on_a_cpu_snapshots_are_saved_at_once():
    done = []
    with worker.beside(Clock(CPU)) as do:
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

    with worker.beside(gpu_clock) as do:
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

    with pytest.raises(OSError, match="disk full"), worker.beside(gpu_clock) as do:
        do(fail)
        for _ in range(others):
            do(lambda: None)
            pytest.fail("the next was begun")


def test_the_rehearsal_meets_what_the_runs_will_meet(monkeypatch):
    met, copied, real, real_copy = [], [], worker.fit, worker.on_the_host

    def watched(models, parts, recipe, seeds, clock):
        met.append((len(models), len(parts["train"][1]), recipe.epochs))
        return real(models, parts, recipe, seeds, clock)

    def watched_copy(models):
        copied.append(len(models))
        return real_copy(models)

    monkeypatch.setattr(worker, "fit", watched)
    monkeypatch.setattr(worker, "on_the_host", watched_copy)
    for numbers in (range(1), range(3)):
        worker.warm_up(job(runs=numbers), data(), CPU)
    assert met == [(1, 4 * 16 + 100 % 16, 2), (3, 4 * 16 + 100 % 16, 2)]
    assert copied == [1, 1, 3, 3]


def test_small_steps_take_one_thread_and_large_ones_what_they_may():
    mission = job(hidden=[128, 32])
    large = (mission._replace(recipe=SGD._replace(batch_size=16384)), job(network="cnn", shape=(21, 128)))
    for cores, threads in {1: 1, 2: 2, 3: 3, 64: worker.MAX_THREADS}.items():
        assert worker.threads_for(mission, cores) == 1
        assert [worker.threads_for(each, cores) for each in large] == [threads] * 2


@pytest.fixture
def prepared(workplace):
    save_dataset(workplace / "data" / "mine")
    write_params(epochs=8, runs=3)
    prepare.main()


def snapshots():
    return {path: path.read_bytes() for path in sorted(SNAPSHOTS.rglob("*")) if path.is_file()}


def train_on(cores):
    """Train in a process that finds so many cores: Python imports sitecustomize before anything else."""
    Path("sitecustomize.py").write_text(
        "import os\ncores = os.environ.get('CORES')\nif cores:\n"
        "    os.sched_getaffinity = lambda process: set(range(int(cores)))\n"
    )
    environment = os.environ | {"CORES": str(cores), "PYTHONPATH": f"{ROOT}:{Path.cwd()}"}
    command = [sys.executable, "-m", "stages.train", "cpu"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_number_of_cores_changes_nothing_but_the_times(prepared, monkeypatch, capsys):
    write_params(epochs=60, runs=3)  # long enough that no worker has done all before the next one is there
    prepare.main()
    monkeypatch.setattr(sys, "argv", ["train", "cpu"])
    stages.train.main()
    alone, said_alone, one = snapshots(), capsys.readouterr().out, read_json(timing_path("cpu"))
    said = train_on(cores=3)
    together, three = snapshots(), read_json(timing_path("cpu"))
    assert alone == together
    assert len(alone) > 6
    for name in ("mfccs", "melgrams"):
        assert one["representations"][name]["runs_at_once"] == 1
        assert {each["representations"][name]["threads"] for each in (one, three)} == {1}
        assert f"train_cpu: {name}: " in said and f"train_cpu: {name}: " in said_alone
    assert max(timed["runs_at_once"] for timed in three["representations"].values()) in (2, 3)
    assert "hosts" not in three["hardware"]


@pytest.fixture
def cluster(prepared, forked):
    yield from start_cluster(forked, {"PYTHONPATH": str(ROOT)})


def test_a_cluster_that_loses_a_worker_gives_the_same_bytes(cluster, monkeypatch, capsys):
    address, workers = cluster
    write_params(epochs=200, runs=6, hidden=[64], representations="all")
    prepare.main()
    monkeypatch.setattr(sys, "argv", ["train", "cpu"])
    stages.train.main()
    here = snapshots()
    shutil.rmtree(SNAPSHOTS)
    capsys.readouterr()
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
    with losing(address, workers[0], lambda: list(SNAPSHOTS.rglob("epoch_00.safetensors"))):
        stages.train.main()
    assert capsys.readouterr().out.startswith(f"2 workers at {address}\n")
    assert snapshots() == here
