"""train: snapshots, history and timing as the design says, the same bytes every time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT, save_dataset, write_params
from safetensors.torch import load_file

from stages import prepare, train
from stages.core import runs, training
from stages.core.snapshots import best_epoch
from stages.files import SNAPSHOTS, UserError, read_json


@pytest.fixture(autouse=True)
def prepared(workplace):
    save_dataset(workplace / "data" / "mine")
    prepare.main()


def train_on(device, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", device])
    train.main()


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_snapshots_are_kept_when_macro_f1_improves_and_repeat_to_the_byte(workplace, monkeypatch):
    write_params(epochs=6)
    train_on("cpu", monkeypatch)
    first = files(SNAPSHOTS / "cpu")
    history = read_json(SNAPSHOTS / "cpu" / "history.json")
    expected = {"history.json"}
    for name, about in history["representations"].items():
        assert about["network"] == "mlp"
        assert len(about["runs"]) == 2
        for run, epochs in enumerate(about["runs"]):
            assert [set(epoch) for epoch in epochs] == [{"train_loss", "val_loss", "val_accuracy", "val_f1_macro"}] * 6
            f1 = [epoch["val_f1_macro"] for epoch in epochs]
            improved = [i for i in range(6) if f1[i] > max([-1, *f1[:i]])]
            assert improved[-1] == best_epoch(epochs)
            expected |= {f"{name}/run_{run:02}/epoch_{epoch:02}.safetensors" for epoch in improved}
    assert set(first) == expected
    assert "second" not in first["history.json"].decode()
    train_on("cpu", monkeypatch)
    assert files(SNAPSHOTS / "cpu") == first


def test_every_epoch_is_kept_on_demand_and_runs_differ(workplace, monkeypatch):
    write_params(snapshots="every", epochs=3)
    train_on("cpu", monkeypatch)
    names = sorted(path.name for path in (SNAPSHOTS / "cpu" / "mfccs" / "run_01").iterdir())
    assert names == [f"epoch_{epoch:02}.safetensors" for epoch in range(3)]
    first, second = (load_file(SNAPSHOTS / f"cpu/mfccs/run_{run:02}/epoch_00.safetensors") for run in (0, 1))
    assert first.keys() == second.keys()
    assert not all(torch.equal(first[name], second[name]) for name in first)


def test_times_come_by_part_with_their_spread_and_the_hardware(workplace, monkeypatch):
    train_on("cpu", monkeypatch)
    timing = read_json(Path("metrics/train_cpu.json"))
    assert set(timing) == {"hardware", "representations", "start_seconds"}
    assert set(timing["hardware"]) == {"cpu", "cores", "instruction_set", "versions"}
    assert timing["hardware"]["instruction_set"] == torch.backends.cpu.get_cpu_capability()
    assert set(timing["hardware"]["versions"]) == {"python", "torch", "numpy"}
    for timed in timing["representations"].values():
        assert (timed["threads"], timed["runs_at_once"]) == (1, 1)
        assert set(timed["seconds"]) == set(runs.PARTS_OF_TIME)


class Ticks:
    """A clock that goes on by one at every look."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        self.now += 1
        return float(self.now)


@pytest.mark.parametrize("side_by_side", [False, True])
def test_seconds_are_from_a_runs_start_to_its_end_whoever_runs_beside_it(monkeypatch, side_by_side):
    """Every look at the clock takes a second; a device that trains all runs at once looks less often."""
    write_params(epochs=3, runs=3, representations=["mfccs"], snapshots="every")
    prepare.main()
    ticks = Ticks()
    for module in (train, runs, training):
        monkeypatch.setattr(module, "perf_counter", ticks)
    if side_by_side:
        monkeypatch.setattr(runs, "groups_of", lambda device, count: [range(count)])
    train_on("cpu", monkeypatch)
    timing = read_json(Path("metrics/train_cpu.json"))
    timed = timing["representations"]["mfccs"]
    # A part is two looks, the second a tick after the first: warm-up and transfer once, the others once an epoch.
    looks = {"warmup": 1, "transfer": 1, "train": 3, "validate": 3, "snapshot": 3}
    # From a run's start to its end: two looks a part, and the last one.
    looks["total"] = 2 * sum(looks.values()) + 1
    assert timed["seconds"] == {part: {"median": n, "min": n, "max": n} for part, n in looks.items()}
    groups = 1 if side_by_side else 3
    assert timed["runs_at_once"] == (3 if side_by_side else 1)
    # Between two looks around them all lie, for each group, its first and its last and the ticks between.
    assert timed["all_runs_seconds"] == groups * (looks["total"] + 1) + 1
    steps = 3 * 3 * 5  # runs, epochs, batches of 16 in 72 samples
    assert timed["steps_per_second"] == steps / (3 * groups)
    assert timed["samples_per_second"] == 3 * 3 * 72 / (3 * groups)
    # The device is there a tick after the start; the rehearsal of two epochs has a tick a part and one between parts.
    assert timing["start_seconds"] == 1 + 1 + 2 * (1 + 2 + 2)


def test_both_networks_and_another_optimizer(workplace, monkeypatch):
    write_params(network={"mfccs": "mlp", "melgrams": "cnn"}, optimizer="Adam", optimizer_args={"weight_decay": 0.01})
    train_on("cpu", monkeypatch)
    history = read_json(SNAPSHOTS / "cpu" / "history.json")
    assert {name: about["network"] for name, about in history["representations"].items()} == {
        "mfccs": "mlp",
        "melgrams": "cnn",
    }


def test_divergence_of_every_run_suggests_a_smaller_lr(workplace, monkeypatch):
    write_params(lr=1e30)
    with pytest.raises(UserError, match=r"mel.*: every run diverged; found lr: 1e\+30"):
        train_on("cpu", monkeypatch)


def test_divergence_of_a_run_keeps_its_earlier_snapshots(workplace, monkeypatch, capsys):
    real_fit = runs.fit

    def diverging_fit(models, *arguments):
        """Spoil the weights of the first run in its second epoch."""
        for epoch, records in enumerate(real_fit(models, *arguments)):
            yield records
            if epoch == 0 and arguments[3] == [0]:
                with torch.no_grad():
                    models[0][-1].weight.fill_(float("nan"))

    monkeypatch.setattr(runs, "fit", diverging_fit)
    train_on("cpu", monkeypatch)
    assert "mfccs run 0 diverged in epoch 1" in capsys.readouterr().out
    history = read_json(SNAPSHOTS / "cpu" / "history.json")
    assert [len(epochs) for epochs in history["representations"]["mfccs"]["runs"]] == [1, 2]
    assert (SNAPSHOTS / "cpu" / "mfccs" / "run_00" / "epoch_00.safetensors").exists()


def test_without_a_gpu_the_record_says_so(workplace):
    done = subprocess.run(
        [sys.executable, "-m", "stages.train", "gpu"],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "train_gpu: skipped: " in done.stdout
    assert set(read_json(SNAPSHOTS / "gpu" / "history.json")) == {"skipped"}
    timing = read_json(Path("metrics/train_gpu.json"))
    assert set(timing) == {"skipped"}
    assert "dvc repro --force --single-item train_gpu" in timing["skipped"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(workplace, monkeypatch):
    train_on("gpu", monkeypatch)
    assert len(read_json(SNAPSHOTS / "gpu" / "history.json")["representations"]["mfccs"]["runs"]) == 2


@pytest.mark.parametrize("arguments", [[], ["tpu"], ["cpu", "gpu"]])
def test_usage(monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", ["train", *arguments])
    with pytest.raises(UserError, match=r"usage: python -m stages.train cpu\|gpu"):
        train.main()
