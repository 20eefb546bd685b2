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
from stages.common.files import DESCRIPTION, SNAPSHOTS, UserError, read_json
from stages.common.fingerprints import of_training
from stages.common.params import TRAINING, SpecAugment, load_params
from stages.common.records import Description, Epoch
from stages.common.results import PARTS_OF_TIME
from stages.training import timing, worker
from stages.training.devices import DeviceError
from stages.training.job import Job, Recipe, Setting, Trained
from stages.training.optimizer import OptimizerError


@pytest.fixture(autouse=True)
def prepared(workplace):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    worker.REHEARSED.clear()


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
            assert f1[improved[-1]] == max(f1)
            expected |= {f"{name}/run_{run:02}/epoch_{epoch:02}.safetensors" for epoch in improved}
    assert set(first) == expected
    assert "second" not in first["history.json"].decode()
    train_on("cpu", monkeypatch)
    assert files(SNAPSHOTS / "cpu") == first


def test_every_parameter_of_training_and_the_data_make_another_fingerprint():
    params = load_params().model_dump(mode="json", include=set(TRAINING))
    others = [of_training("data", params | {key: "another"}) for key in TRAINING]
    assert len({of_training("data", params), of_training("others", params), *others}) == len(TRAINING) + 2


def test_whoever_starts_the_workers_needs_no_torch(workplace):
    """Importing it takes a second or more of a core that others train on."""
    code = (
        "import sys; from stages import train; from stages.common import tasks; tasks.cores = lambda: 2\n"
        "sys.argv[1:] = ['cpu']; train.main(); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0
    assert Path("metrics/train_cpu.json").exists()


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
        assert set(timed["seconds"]) == set(PARTS_OF_TIME)


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
    for module, name in ((train, "time"), (worker, "time"), (worker, "perf_counter"), (timing, "perf_counter")):
        monkeypatch.setattr(module, name, ticks)
    if side_by_side:
        real = train.jobs_of
        monkeypatch.setattr(train, "jobs_of", lambda params, description, device: real(params, description, "gpu"))
    train_on("cpu", monkeypatch)
    written = read_json(Path("metrics/train_cpu.json"))
    timed = written["representations"]["mfccs"]
    # A part is two looks, the second a tick after the first: warm-up and transfer once, the others once an epoch.
    looks = {"warmup": 1, "transfer": 1, "train": 3, "validate": 3, "snapshot": 3}
    # From a run's start to its end: two looks a part, and the last one.
    looks["total"] = 2 * sum(looks.values()) + 1
    assert timed["seconds"] == {part: {"median": n, "min": n, "max": n} for part, n in looks.items()}
    groups = 1 if side_by_side else 3
    assert timed["runs_at_once"] == (3 if side_by_side else 1)
    # Around each group lie two looks more; the next one starts a tick after.
    assert timed["all_runs_seconds"] == groups * (looks["total"] + 2) + groups - 1
    steps = 3 * 3 * 5  # runs, epochs, batches of 16 in 72 samples
    assert timed["steps_per_second"] == steps / (3 * groups)
    assert timed["samples_per_second"] == 3 * 3 * 72 / (3 * groups)
    # From the stage's start to the first run's: the rehearsal has two looks a part and two around all of them.
    assert written["start_seconds"] == 2 * (1 + 1 + 2 + 2 + 2) + 2 + 1


@pytest.mark.parametrize(("device", "runs"), [("cpu", [[0], [1], [2]]), ("gpu", [[0, 1, 2]])])
def test_a_gpu_trains_all_runs_of_a_representation_side_by_side(device, runs):
    """The longest representation comes first."""
    write_params(runs=3, seed=7)
    prepare.main()
    jobs = train.jobs_of(load_params(), Description.read(DESCRIPTION), device)
    expected = [(name, own) for name in ("melgrams", "mfccs") for own in runs]
    assert [(job.name, list(job.runs)) for job in jobs] == expected
    assert [job.seeds for job in jobs[: len(runs)]] == [[7 + run for run in own] for own in runs]
    assert [(job.name, job.runs.start) for job in train.firsts(jobs)] == [("melgrams", 0), ("mfccs", 0)]


def test_both_networks_and_another_optimizer(workplace, monkeypatch):
    write_params(network={"mfccs": "mlp", "melgrams": "cnn"}, optimizer="Adam", optimizer_args={"weight_decay": 0.01})
    train_on("cpu", monkeypatch)
    history = read_json(SNAPSHOTS / "cpu" / "history.json")
    assert {name: about["network"] for name, about in history["representations"].items()} == {
        "mfccs": "mlp",
        "melgrams": "cnn",
    }


def test_a_mask_that_is_wider_than_the_pictures_is_refused_before_anything_is_trained(monkeypatch):
    write_params(spec_augment={"bands": 16, "frames": 17})
    with pytest.raises(UserError) as refusal:
        train_on("cpu", monkeypatch)
    assert str(refusal.value) == (
        "params.yaml: spec_augment.frames: found 17 for melgrams, whose samples have the shape (16, 16), expected at "
        "most 16"
    )
    write_params(spec_augment={"bands": 16, "frames": 17}, representations=["mfccs"])  # no pictures, no masks
    prepare.main()
    train_on("cpu", monkeypatch)


def test_divergence_of_every_run_suggests_a_smaller_lr(workplace, monkeypatch):
    write_params(lr=1e30)
    with pytest.raises(UserError, match=r"mel.*: every run diverged; found lr: 1e\+30 .*, say 1e\+29$"):
        train_on("cpu", monkeypatch)


def test_divergence_of_a_run_keeps_its_earlier_snapshots(workplace, monkeypatch, capsys):
    real_fit = worker.fit

    def diverging_fit(models, parts, recipe, seeds, clock):
        """Spoil the weights of the first run in its second epoch; a rehearsal is shorter."""
        for epoch, records in enumerate(real_fit(models, parts, recipe, seeds, clock)):
            yield records
            if epoch == 0 and seeds == [0] and len(parts["val"][1]) == 24:
                with torch.no_grad():
                    models[0][-1].weight.fill_(float("nan"))

    monkeypatch.setattr(worker, "fit", diverging_fit)
    train_on("cpu", monkeypatch)
    assert "mfccs run 0 diverged in epoch 1" in capsys.readouterr().out
    history = read_json(SNAPSHOTS / "cpu" / "history.json")
    assert [len(epochs) for epochs in history["representations"]["mfccs"]["runs"]] == [1, 2]
    assert (SNAPSHOTS / "cpu" / "mfccs" / "run_00" / "epoch_00.safetensors").exists()


def test_what_is_special_about_a_gpu_but_the_gpu(workplace, monkeypatch):
    """The gpu's way through the stage, on the CPU: where its snapshots and times go, and its memory."""
    device = torch.device("cpu")
    monkeypatch.setattr(train, "why_missing", lambda device: None)
    monkeypatch.setattr(torch, "device", lambda name: asked.append(name) or device)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**20)
    asked = []
    write_params(runs=1)  # more would train in one product of matrices, which rounds otherwise
    train_on("gpu", monkeypatch)
    assert set(asked) == {"cuda"}
    assert read_json(Path("metrics/train_gpu.json"))["peak_mib"] == 3
    on_gpu = files(SNAPSHOTS / "gpu")
    train_on("cpu", monkeypatch)
    assert files(SNAPSHOTS / "cpu") == on_gpu
    assert "peak_mib" not in read_json(Path("metrics/train_cpu.json"))


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


def test_what_is_said_of_a_gpu_that_is_not_there_or_does_not_start(monkeypatch):
    monkeypatch.setattr(train, "why_missing", lambda device: "no CUDA device was found")
    where = "where there is an NVIDIA GPU: dvc repro --force --single-item train_gpu && dvc repro"
    assert train.why_skipped("gpu") == f"no CUDA device was found; {where}"

    def fail(device):
        raise DeviceError("CUDA cannot start (Error 802: system not yet initialized)")

    monkeypatch.setattr(train, "why_missing", fail)
    with pytest.raises(UserError) as refusal:
        train.why_skipped("gpu")
    assert str(refusal.value) == (
        "train_gpu: found a driver, but CUDA cannot start (Error 802: system not yet initialized), expected a GPU that "
        "it can use; fix that, or go on without: CUDA_VISIBLE_DEVICES= dvc repro"
    )


def failing(error):
    """Let the training of `failures_as_one_line` fail; return what is said."""
    data = {"train_x": torch.zeros(2**18), "val_x": torch.zeros(2**17), "test_x": torch.zeros(2**20)}
    job = Job("", "mlp", (26,), [], 4, Recipe("ASGD", {"alpha": 1000.0}, 0.1, 1, 16), 0, range(1), False)
    with (
        pytest.raises(UserError) as refusal,
        worker.failures_as_one_line(job, data, torch.device("cuda")),
    ):
        raise error
    return str(refusal.value)


def test_what_can_go_wrong_in_training_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (300 * 2**20, 2**30))
    assert failing(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")) == (
        "train_gpu: not enough GPU memory: found 300 MiB free; the samples alone take 2 MiB (CUDA out of memory); free "
        "the GPU, or train fewer runs at once (runs)"
    )
    assert failing(OptimizerError("math range error")) == (
        "params.yaml: optimizer_args: found {'alpha': 1000.0}, which ASGD refuses: math range error"
    )


def test_an_optimizer_that_objects_after_many_steps_is_named(workplace, monkeypatch):
    write_params(optimizer="ASGD", optimizer_args={"lambd": 1.0, "alpha": 1000.0}, lr=0.1, epochs=9)
    with pytest.raises(UserError, match=r"optimizer_args: found .*, which ASGD refuses: "):
        train_on("cpu", monkeypatch)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(workplace, monkeypatch):
    train_on("gpu", monkeypatch)
    assert len(read_json(SNAPSHOTS / "gpu" / "history.json")["representations"]["mfccs"]["runs"]) == 2


@pytest.mark.parametrize(
    ("snapshots", "said"), [("improved", "best validation macro F1 0.700"), ("last", "last validation macro F1 0.350")]
)
def test_the_score_that_is_printed_is_that_of_the_weights_that_are_kept(snapshots, said):
    of_epochs = [[0.4, 0.9, 0.3], [0.5, 0.2, 0.4]]
    runs = [[Epoch(train_loss=1, val_loss=1, val_accuracy=0, val_f1_macro=f1) for f1 in run] for run in of_epochs]
    done = [Trained(None, runs, {"total": 1.5}, 0, 0, 1, ("", 0), {}, 0)]
    params = load_params().model_copy(update={"snapshots": snapshots, "epochs": 3})
    assert train.outcome("timbre", done, params) == [f"timbre: 1.50 s a run, {said} (mean of 2 runs)"]


def test_cores_are_shared_out_among_the_processes(monkeypatch):
    asked = []
    monkeypatch.setattr(train.tasks, "cores", lambda: 7)
    monkeypatch.setattr(
        train.tasks, "on_processes", lambda share, jobs, n, *_: asked.append((n, share.args[0].cores)) or []
    )
    monkeypatch.setattr(train.tasks, "in_this_process", lambda share, *_: asked.append((1, share.args[0].cores)) or [])
    for n_jobs in (1, 2, 3, 7, 9):
        setting = Setting(Path(), "cpu", Description.read(DESCRIPTION), "", 0, [])
        assert train.carry_out([None] * n_jobs, setting, load_params(), print) == []
    assert asked == [(1, 7), (2, 3), (3, 2), (7, 1), (7, 1)]


def test_a_first_layer_of_more_weights_than_fit_is_refused():
    units = train.MOST_WEIGHTS // 21
    most, more = (
        load_params().model_copy(update={"hidden": [first], "network": "mlp"}) for first in (units, units + 1)
    )
    assert train.network_of(most, "mfccs", (7, 3)) == "mlp"
    with pytest.raises(UserError, match=rf"hidden: found {units + 1} units behind the 21 numbers of mfccs"):
        train.network_of(more, "mfccs", (7, 3))


@pytest.mark.parametrize("shape", [(26,), (2, 3, 4)])
def test_what_is_no_picture_has_no_masks(shape):
    train.check_masks(load_params().model_copy(update={"spec_augment": SpecAugment(bands=99, frames=99)}), "x", shape)
