"""Orphans: a stage that outlives its killed `dvc` and writes later changes no figure of another run."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from chain import run_chain
from repository import Repository, set_params

STOPS = """
import os, signal, sys
def stop(event, arguments):
    if event == "open" and ".prepared.tmp-" in str(arguments[0]):
        os.kill(os.getpid(), signal.SIGSTOP)
sys.addaudithook(stop)
"""  # a sitecustomize.py: a process that begins to write data/prepared stops, once a file
pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds processes by /proc")


@pytest.fixture
def struck(repository) -> Repository:
    """The project with the programs as they are: a signal meets them."""
    return Repository(repository.folder)


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


def start(repository, *arguments, **environment):
    return subprocess.Popen(
        ["dvc", *arguments],
        cwd=repository.folder,
        env=repository.environment | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def orphan_that_writes(repository):
    """Kill `dvc repro` while its stage prepare writes, and return the stage's process, stopped in the midst of it."""
    (repository.folder.parent / "sitecustomize.py").write_text(STOPS)
    with start(repository, "repro", PYTHONPATH=str(repository.folder.parent)) as dvc:
        while not (process := process_of("prepare", repository.folder)) or state(process) != "T":
            assert dvc.poll() is None
            time.sleep(0.01)
        dvc.kill()
    return process


def state(process):
    """Return the letter that /proc has for a process: T if it is stopped, Z if nobody has read how it ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return ""


def go_on(process):
    """Let a process that stops at some points go on to its end."""
    while state(process) not in ("", "Z"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)
        time.sleep(0.01)


def test_an_orphan_that_writes_late_changes_no_figure(base, repository, struck, tmp_path):
    shutil.copytree(base.folder, tmp_path / "undisturbed", symlinks=True)
    undisturbed = Repository(tmp_path / "undisturbed")
    set_params(undisturbed, lr=0.02)
    run_chain(undisturbed.folder, pictures=True)

    set_params(repository, split_seed=6)
    orphan = orphan_that_writes(struck)
    set_params(repository, split_seed=0, lr=0.02)
    with start(repository, "repro") as dvc:  # the next run waits for the orphan
        assert any("waiting for another stage" in line for line in dvc.stdout)
        go_on(orphan)
        said = dvc.stdout.read()
    assert dvc.returncode == 0, said
    assert repository.results() == undisturbed.results()


def test_what_an_orphan_wrote_is_not_trained_on(base, repository, struck):
    set_params(repository, split_seed=6)
    orphan = orphan_that_writes(struck)
    set_params(repository, split_seed=0)
    with start(repository, "repro", "--force", "--single-item", "train_cpu") as dvc:
        assert any("waiting for another stage" in line for line in dvc.stdout)
        go_on(orphan)  # now it writes the data of the other split
        said = dvc.stdout.read()
    assert dvc.returncode != 0
    assert "error: params.yaml: has changed since the stage `check` read it" in said
    assert "Traceback" not in said
    repository.dvc("repro")
    assert repository.results() == base.results()
    assert not list((repository.folder / "data").glob(".*.tmp-*"))
