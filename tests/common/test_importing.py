"""Importing: without a look for garbage, and without a traceback at Ctrl-C."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

INTERRUPT = "import gc, os, signal\nprint(gc.isenabled(), flush=True)\nos.kill(os.getpid(), signal.SIGINT)\n"
IN_WORK = (
    "import stages.common.importing, gc, os, signal; from stages.common.running import run_command\n"
    "def command():\n    print(gc.isenabled(), gc.get_freeze_count() > 0)\n    os.kill(os.getpid(), signal.SIGINT)\n"
    "run_command(command)"
)
LIBRARY = "import stages.common.running, gc, signal; print(gc.isenabled(), signal.getsignal(signal.SIGINT).__name__)"


def end_of(*words, path="", handler=signal.SIG_DFL):
    """Return what Python ends with and prints; a shell's `&` would have Ctrl-C ignored."""
    environment = os.environ | {"PYTHONPATH": f"{path}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, handler),
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("stage", ["stages.check", "stages.report"])
def test_an_interrupt_amid_the_imports_of_a_stage_leaves_no_traceback(tmp_path, stage):
    (tmp_path / "yaml.py").write_text(INTERRUPT)
    assert end_of("-m", stage, path=tmp_path) == (-signal.SIGINT, "False\n", "")


def test_where_an_interrupt_is_ignored_it_stays_so(tmp_path):
    (tmp_path / "yaml.py").write_text(f"{INTERRUPT}raise SystemExit(3)")
    assert end_of("-m", "stages.check", path=tmp_path, handler=signal.SIG_IGN) == (3, "False\n", "")


def test_both_are_turned_back_before_the_work():
    assert end_of("-c", IN_WORK) == (130, "True True\n", "")


@pytest.mark.parametrize("words", [["predict", "a"], ["judge", "a"], ["export"], ["page"]])
def test_a_command_imports_as_a_stage_does(tmp_path, words):
    (tmp_path / "numpy.py").write_text("import gc\nprint(gc.isenabled())\nraise SystemExit(3)")
    assert end_of("-m", "stages.cli", *words, path=tmp_path) == (3, "False\n", "")


def test_an_interrupt_amid_the_imports_of_a_command_leaves_no_traceback(tmp_path):
    (tmp_path / "numpy.py").write_text(INTERRUPT)
    assert end_of("-m", "stages.cli", "judge", "a", path=tmp_path) == (-signal.SIGINT, "False\n", "")


def test_who_imports_a_part_of_the_program_finds_nothing_changed():
    assert end_of("-c", LIBRARY) == (0, "True default_int_handler\n", "")


@pytest.mark.parametrize(
    ("stages", "lacking"),
    [("check, compare, train", {"numpy", "scipy", "torch", "tqdm"}), ("demo, features, report", {"scipy", "torch"})],
)
def test_stages_start_without_what_they_may_not_use(stages, lacking):
    code = f"import sys; from stages import {stages}; print(sorted({lacking} & sys.modules.keys()))"
    assert end_of("-c", code) == (0, "[]\n", "")
