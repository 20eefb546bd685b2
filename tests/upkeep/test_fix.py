"""Mend: real DVC refuses what a killed one left, and no longer afterwards; a dvc that lives and whole things stay."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import zc.lockfile
from conftest import ROOT
from filelock import FileLock
from repository import Repository

from stages.common.files import UserError
from stages.common.running import LOCK
from stages.upkeep import fix

PIPELINE = """
stages:
  copy:
    cmd: cp params.yaml out.yaml
    params: [lr]
    deps: [params.yaml]
    outs: [out.yaml]
"""
REMOVED = "a killed dvc left it empty or cut short; removed\n"
CORRUPTED = "Unable to read RWLock-file '{}'. JSON structure is corrupted"


@pytest.fixture(scope="module")
def base(tmp_path_factory, forked) -> Repository:
    """A repository of one stage, which ran; its experiments' rwlock is there too."""
    repository = Repository(tmp_path_factory.mktemp("base") / "clone", forked)
    repository.folder.mkdir()
    (repository.folder / "params.yaml").write_text("lr: 1\n")
    (repository.folder / "dvc.yaml").write_text(PIPELINE)
    repository.run("git", "init", "--quiet", "--initial-branch=main")
    repository.dvc("init")
    repository.dvc("repro")
    repository.commit()
    repository.dvc("exp", "run", "-S", "lr=2")
    return repository


@pytest.fixture
def repository(base, forked, tmp_path, monkeypatch) -> Repository:
    """A copy of it, the current folder."""
    shutil.copytree(base.folder, tmp_path / "clone", symlinks=True)
    monkeypatch.chdir(tmp_path / "clone")
    monkeypatch.setattr(fix, "PATIENCE", 0)  # nobody else is here; the sleep itself is in question further below
    return Repository(tmp_path / "clone", forked)


def leave(what: str):
    """Leave one of the things that a killed dvc leaves and return its path."""
    if what == "run":
        (fix.RUN_CACHE / "ab" / "abcd").mkdir(parents=True)
        return fix.RUN_CACHE / "ab" / "abcd"
    path = {"rwlock": fix.RWLOCKS[0], "experiments": fix.RWLOCKS[1]}.get(what, fix.LOCK_FILE)
    os.truncate(path, path.read_text().index("outs:") + 4 if what == "cut" else 0)
    return path


def enter(pid: int) -> None:
    """Enter a dvc that runs a stage into the rwlock."""
    fix.RWLOCKS[0].write_text(json.dumps({"write": {"out": {"pid": pid, "cmd": "dvc repro"}}, "read": {}}))


def gone() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def everything() -> dict:
    """Return all that is in the current folder: files with what they hold, and folders."""
    paths = [each for each in fix.Path().rglob("*") if ".git" not in each.parts]
    return {each: each.read_bytes() if each.is_file() else None for each in paths}


@pytest.mark.parametrize(
    ("what", "command", "refusal"),
    [
        ("rwlock", "repro", CORRUPTED.format(fix.RWLOCKS[0])),
        ("experiments", "exp run", CORRUPTED.format(fix.RWLOCKS[1])),
        ("empty", "repro", "'./dvc.lock' validation failed"),
        ("cut", "repro", "'./dvc.lock' is invalid"),
    ],
)
def test_dvc_refuses_what_it_left_until_it_is_mended(repository, what, command, refusal, capsys):
    path = leave(what)
    assert refusal in repository.dvc(*command.split(), fails=True)
    fix.fix()
    assert capsys.readouterr().out == f"{path}: {REMOVED}"
    repository.dvc(*command.split())
    assert path.stat().st_size


def test_dvc_refuses_an_empty_run_until_it_is_mended(repository, capsys):
    entries = [path for path in fix.RUN_CACHE.rglob("*") if path.is_file()]
    for entry in entries:
        entry.unlink()
    fix.LOCK_FILE.unlink()
    assert "not 'NoneType'" in repository.dvc("repro", fails=True)
    fix.fix()
    assert sorted(capsys.readouterr().out.splitlines(True)) == sorted(f"{entry.parent}: {REMOVED}" for entry in entries)
    repository.dvc("repro")


def test_whole_things_stay_and_nothing_is_said(repository, capsys):
    fix.RWLOCKS[0].write_text("torn, but who knows")
    fix.LOCK_FILE.write_text("<<<<<<< a merge\n")
    before = everything()
    fix.fix()
    assert everything() == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("held", [fix.LOCK, fix.RWLOCKS[0].with_name("rwlock.lock")])
def test_while_a_dvc_holds_a_lock_nothing_is_touched(repository, held, capsys):
    for what in ("rwlock", "empty", "run"):
        leave(what)
    before = everything()
    lock = zc.lockfile.LockFile(str(held), content_template=held.read_text().strip())
    fix.fix()
    lock.close()
    assert everything() == before
    assert capsys.readouterr().out == ""
    fix.fix()
    assert len(everything()) == len(before) - 3


def test_while_a_dvc_runs_a_stage_nothing_is_touched(repository):
    leave("empty")
    enter(os.getpid())
    before = everything()
    fix.fix()
    assert everything() == before
    enter(gone())
    fix.fix()
    assert not fix.LOCK_FILE.exists()


def test_meanwhile_no_dvc_starts_and_what_another_one_fills_stays(repository, monkeypatch):
    path = leave("run")

    def another_one(_seconds):
        for lock in (fix.LOCK, fix.RWLOCKS[0].with_name("rwlock.lock")):
            with pytest.raises(zc.lockfile.LockError):
                zc.lockfile.LockFile(str(lock))
        (path / "entry").write_text("filled")

    monkeypatch.setattr(fix.time, "sleep", another_one)
    fix.fix()
    assert (path / "entry").read_text() == "filled"


def test_it_waits_for_the_stage_of_a_killed_dvc(repository):
    enter(gone())
    LOCK.parent.mkdir(parents=True)
    with FileLock(LOCK):
        command = [sys.executable, "-m", "stages.cli", "fix"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline().startswith("waiting for another stage")
        assert process.poll() is None
        zc.lockfile.LockFile(str(fix.LOCK)).close()  # it holds none of DVC's locks meanwhile
    assert process.communicate() == ("", None)
    assert process.returncode == 0


def test_where_no_dvc_ever_ran_it_does_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fix.LOCK_FILE.touch()
    fix.fix()
    assert list(everything()) == [fix.LOCK_FILE]
    assert capsys.readouterr().out == ""


def test_it_runs_before_every_make_repro():
    recipe = (ROOT / "Makefile").read_text().split("\nrepro:")[1].splitlines()[1:3]
    assert recipe == ["\t@genre fix", "\tdvc repro"]


def test_another_users_repository_is_named(tmp_path, monkeypatch):
    """Where DVC would only say that its lock may not be opened; root may open any."""
    monkeypatch.chdir(tmp_path)
    fix.LOCK.parent.mkdir(parents=True)
    fix.LOCK.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (fix.LOCK, os.W_OK))
    with pytest.raises(
        UserError, match=r"^\.dvc/tmp/lock: may not be written, perhaps another user's; run `sudo chown"
    ):
        fix.fix()
