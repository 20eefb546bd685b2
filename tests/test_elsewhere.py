"""Elsewhere: every stage imports and runs, with the same results, where what only Linux has is missing, as on macOS."""

import contextlib
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from chain import COMMANDS as CHAIN
from chain import run_chain
from conftest import ROOT, write_params

from stages import cli, demo
from stages.common.files import read_json

WITHOUT = """
import builtins, io, os, sys

sys.modules["resource"] = None
for name in (
    "copy_file_range eventfd getrandom getxattr listxattr memfd_create pidfd_open pipe2 posix_fadvise posix_fallocate "
    "O_PATH process_cpu_count sched_getaffinity sched_setaffinity setxattr splice"
).split():
    if hasattr(os, name):
        delattr(os, name)
os.cpu_count = lambda: 2
os.supports_effective_ids = set()
access = os.access

def access_as_the_real_user(path, mode, *, effective_ids=False, **more):
    if effective_ids:
        raise NotImplementedError("access: effective_ids unavailable on this platform")
    return access(path, mode, **more)

def without_linux(function):
    def call(path, *arguments, **more):
        if str(path).startswith(("/proc/", "/sys/")) and path != "/proc/self/maps":  # which a library reads
            raise FileNotFoundError(2, "No such file or directory", path)
        return function(path, *arguments, **more)
    return call

os.access, os.open = access_as_the_real_user, without_linux(os.open)
builtins.open = io.open = without_linux(io.open)
"""

RUN = """
import importlib, os, pkgutil, sys
import stages
from stages import cli, demo
from stages.common import running, tasks

tasks.START, demo.TRACKS, demo.asks_for = "spawn", 2, lambda *_: True
for module in pkgutil.walk_packages(stages.__path__, "stages."):
    importlib.import_module(module.name)
for command in sys.argv[1:]:
    name, *arguments = command.split()
    sys.argv = [name, *arguments]
    os.cpu_count = lambda: 2 if name == "train" else 1  # each worker that is spawned imports for seconds
    if name == "genre":
        cli.main()
    else:
        running.run_stage(importlib.import_module(f"stages.{name}").main, *arguments)
"""
PREDICT = "predict data/audio --csv songs.csv"
COMMANDS = [*map(" ".join, CHAIN.values()), "genre fix", f"genre {PREDICT}"]
SAME = [
    "data/demo",
    "data/features",
    "data/prepared",
    "data/snapshots",
    "data/model",
    "metrics/evaluate.json",
    "songs.csv",
]


def place(folder):
    """Make a folder with a few songs, where every stage can run."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / "data" / "audio" / name).mkdir(parents=True)
        for i in range(6):
            sound = rng.uniform(-0.3, 0.3, 40000) * np.sin(np.arange(40000) * (0.1 if name == "a" else 0.7))
            soundfile.write(folder / "data" / "audio" / name / f"{i}.flac", sound, 8000)
    with contextlib.chdir(folder):
        write_params(dataset="data/features", split={"train": 0.5, "val": 0.25, "test": 0.25})
        Path("data/features").mkdir()
    return folder


def made(folder):
    """Return what must be the same anywhere, by its path."""
    with contextlib.chdir(folder):
        files = [file for place in map(Path, SAME) for file in ([place] if place.is_file() else place.rglob("*"))]
        return {str(file): file.read_bytes() for file in files if file.is_file()}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """What every stage makes in this process, with all that this system has."""
    folder = place(tmp_path / "here")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # the demo sets it
    monkeypatch.setattr(demo, "TRACKS", 2)
    monkeypatch.setattr(demo, "asks_for", lambda *_: True)
    run_chain(folder)
    monkeypatch.chdir(folder)
    cli.run(PREDICT.split())
    return made(folder)


@pytest.mark.slow
def test_every_stage_gives_the_same_without_what_only_linux_has(here, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WITHOUT)
    folder = place(tmp_path / "elsewhere")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", RUN, *COMMANDS]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(here) > 20
    assert made(folder) == here
    hardware = read_json(tmp_path / "elsewhere" / "metrics" / "train_cpu.json")["hardware"]
    assert (hardware["cores"], hardware["cpu"]) == (2, platform.machine())


@pytest.mark.parametrize("code", ["import resource", "open('/proc/cpuinfo')", "os.sched_getaffinity(0)"])
def test_the_pretence_holds(tmp_path, code):
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    command = [sys.executable, "-c", f"import os, sys; {code}"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert re.search(r"(ModuleNotFound|FileNotFound|Attribute)Error", done.stderr)
