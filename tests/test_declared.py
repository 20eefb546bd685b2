"""What dvc.yaml declares that a stage reads, parameters and files, is what it reads while it runs: no less, no more.

A parameter or a file that is read and not declared keeps old figures: DVC skips the stage and shows them as new.
"""

import contextlib
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
import torch
import yaml
from conftest import ROOT, save_dataset, write_params

from stages import demo, prepare, train
from stages.common import tasks
from stages.common.files import TEMPORARY
from stages.common.fingerprints import check_params
from stages.common.params import TRAINING, Params, load_params
from stages.common.records import PARTS

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
CHECKED = "data/checked.json"  # nobody opens it: to depend on it is to wait for `check`, which reads every parameter
WHERE = "scheduler"  # where something is computed is not part of what is computed
# These compare a parameter with the one that a file was made with, and refuse if it is another. They give nothing to
# compute with; the file is declared and changes with the parameter.
REFUSE = {check_params.__code__, prepare.read_audio.__code__}


class Reads(NamedTuple):
    """What a stage read."""

    params: set[str]
    files: set[Path]


reading: list[Reads] = []  # of the stage that runs, if one does


def callers():
    frame = sys._getframe(1)
    while frame:
        yield frame.f_code
        frame = frame.f_back


def note_file(event, arguments):
    if not reading or event != "open" or isinstance(arguments[0], int) or arguments[2] & (os.O_WRONLY | os.O_RDWR):
        return
    here = Path.cwd()
    path = here / os.fsdecode(arguments[0])
    if path.is_relative_to(here) and path.is_file() and load_params.__code__ not in callers():
        reading[0].files.add(path.relative_to(here))


sys.addaudithook(note_file)  # for good: a hook cannot be taken away


def note_params(patch):
    get, dump = Params.__getattribute__, Params.model_dump

    def note(names):
        if reading and REFUSE.isdisjoint(callers()):
            reading[0].params.update(names)

    def noted_get(params, name):
        note({name} & Params.model_fields.keys())
        return get(params, name)

    def noted_dump(params, *, include=None, **how):
        note(Params.model_fields if include is None else include)
        return dump(params, include=include, **how)

    patch.setattr(Params, "__getattribute__", noted_get)
    patch.setattr(Params, "model_dump", noted_dump)


def run(name):
    """Run a stage as its command in dvc.yaml does, but in this process; return what it read."""
    module, *arguments = STAGES[name]["cmd"].removeprefix("python -m ").split()
    reads, cpu = Reads(set(), set()), torch.device("cpu")
    reading.append(reads)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [module, *arguments])
            if arguments == ["gpu"]:
                patch.setattr(torch, "device", lambda name: cpu)
            import_module(module).main()
    finally:
        reading.clear()
    return reads


def songs_without_a_gpu(patch):
    """Songs, of which one is broken; what the recipe is by default; no GPU."""
    rng = np.random.default_rng(0)
    for number in range(16):
        song = Path("data/audio", ("noise", "tone")[number % 2], f"{number}.wav")
        song.parent.mkdir(parents=True, exist_ok=True)
        tone = np.sin(np.arange(16000) * (0.2 + 0.02 * number)) * (number % 2)
        soundfile.write(song, 0.3 * tone + 0.05 * rng.standard_normal(16000), 8000)
    Path("data/audio/noise/broken.wav").write_bytes(b"no sound")
    Path("data/features").mkdir()
    audio = {"sample_rate": 8000, "on_error": "skip"}
    write_params(dataset="data/features", representations=["mfccs"], audio=audio, epochs=1)
    patch.setattr(train, "why_missing", lambda device: "none here" if device == "gpu" else None)


def arrays_with_a_gpu(patch):
    """A demo, short; arrays that come split; both networks, by autograd; an ensemble; a CPU that stands for a GPU."""
    for number, part in enumerate(PARTS):
        save_dataset(Path("data/mine") / part, number)
    network = {"mfccs": "mlp", "melgrams": "cnn"}
    write_params(network=network, optimizer="Adam", class_weights="balanced", model="ensemble", epochs=1, runs=1)
    patch.setattr(train, "why_missing", lambda device: None)
    patch.setattr(torch.cuda, "max_memory_allocated", lambda device: 0)
    patch.setattr(demo, "TRACKS", 2)
    patch.setattr(demo, "on_processes", lambda task, items, workers, preload: map(task, items))


def dependencies(name):
    """Return the data and metrics that a stage declares with the params.yaml that is here."""
    paths = [Path(dep.replace("${dataset}", load_params().dataset)) for dep in STAGES[name]["deps"]]
    return {path for path in paths if path.parts[0] in ("data", "metrics")} - {Path(CHECKED)}


def parameters(name):
    return set(STAGES[name].get("params", []))


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Each stage's reads, and the dependencies it then has, of every run of it."""
    runs = {name: [] for name in STAGES}
    for prepared in (songs_without_a_gpu, arrays_with_a_gpu):
        folder = tmp_path_factory.mktemp("declared")
        with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
            patch.setattr(tasks, "cores", lambda: 1)
            (folder / "data").mkdir()
            prepared(patch)
            note_params(patch)
            for name in STAGES:
                runs[name].append((run(name), dependencies(name)))
    return runs


@pytest.mark.parametrize("name", [name for name in STAGES if name != "check"])
def test_parameters(seen, name):
    read = set.union(*(reads.params for reads, _ in seen[name])) - {WHERE}
    assert read == parameters(name)


@pytest.mark.parametrize("name", [name for name in STAGES if name != "check"])
def test_files(seen, name):
    opened = set()
    for reads, declared in seen[name]:
        within = {path: [dep for dep in declared if path.is_relative_to(dep)] for path in reads.files}
        undeclared = {
            path
            for path, deps in within.items()
            if not deps and not path.is_relative_to(TEMPORARY) and ".tmp-" not in str(path)
        }
        assert undeclared == set()
        opened |= {dep for deps in within.values() for dep in deps}
    assert opened == set.union(*(declared for _, declared in seen[name]))


def outs(name):
    listed = [out for kind in ("outs", "metrics", "plots") for out in STAGES[name].get(kind, [])]
    return {next(iter(out)) if isinstance(out, dict) else out for out in listed}


def test_what_training_reads_belongs_to_what_its_results_are_known_by():
    assert sorted(TRAINING) == sorted(parameters("train_cpu"))


def test_every_stage_waits_for_check_which_depends_on_every_parameter():
    assert "params.yaml" in STAGES["check"]["deps"]
    waiting = {CHECKED}
    for _ in STAGES:
        waiting |= {out for name in STAGES if waiting & set(STAGES[name]["deps"]) for out in outs(name)}
    assert waiting == set.union(*map(outs, STAGES))
