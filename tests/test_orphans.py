"""Orphans: a stage that outlives its killed `dvc` and writes later changes no figure of another run."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from chain import run_chain
from repository import Repository, set_params

SLICE = 0.0005  # seconds that the orphan-to-be may run at a time while it is watched
pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds processes by /proc")


def process_of(stage, folder):
    """Return the number of the stage's process in a folder, or None."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().split(b"\0")
            if command[-2:-1] == [f"stages.{stage}".encode()] and (path / "cwd").resolve() == folder.resolve():
                return int(path.name)
        except OSError:
            continue
    return None


def start(repository, *arguments):
    return subprocess.Popen(
        ["dvc", *arguments],
        cwd=repository.folder,
        env=repository.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def orphan_that_writes(repository):
    """Kill `dvc repro` while its stage prepare writes, and return the stage's process, stopped in the midst of it."""
    with start(repository, "repro") as dvc:
        while not (process := process_of("prepare", repository.folder)):
            assert dvc.poll() is None
        while not list((repository.folder / "data").glob(".prepared.tmp-*")):
            os.kill(process, signal.SIGCONT)
            time.sleep(SLICE)
            os.kill(process, signal.SIGSTOP)
        dvc.kill()
    return process


def ended(process):
    """Say whether it lives no more, or waits only for somebody to read how it ended."""
    try:
        return ") Z " in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True


def test_an_orphan_that_writes_late_changes_no_figure(base, repository, tmp_path):
    shutil.copytree(base.folder, tmp_path / "undisturbed", symlinks=True)
    undisturbed = Repository(tmp_path / "undisturbed")
    set_params(undisturbed, lr=0.02)
    run_chain(undisturbed.folder)

    set_params(repository, split_seed=6)
    orphan = orphan_that_writes(repository)
    set_params(repository, split_seed=0, lr=0.02)
    with start(repository, "repro") as dvc:  # the next run waits for the orphan
        assert any("waiting for another stage" in line for line in dvc.stdout)
        os.kill(orphan, signal.SIGCONT)
        said = dvc.stdout.read()
    assert dvc.returncode == 0, said
    assert ended(orphan)
    assert repository.results() == undisturbed.results()


def test_what_an_orphan_wrote_is_not_trained_on(base, repository):
    set_params(repository, split_seed=6)
    orphan = orphan_that_writes(repository)
    set_params(repository, split_seed=0)
    with start(repository, "repro", "--force", "--single-item", "train_cpu") as dvc:
        assert any("waiting for another stage" in line for line in dvc.stdout)
        os.kill(orphan, signal.SIGCONT)  # now it writes the data of the other split
        said = dvc.stdout.read()
    assert dvc.returncode != 0
    refusal = "error: data/prepared/dataset.json: was made with split_seed: 6, params.yaml has 0; run `dvc repro`"
    assert refusal in said.splitlines()
    assert "Traceback" not in said
    repository.dvc("repro")
    assert repository.results() == base.results()
    assert not list((repository.folder / "data").glob(".*.tmp-*"))
