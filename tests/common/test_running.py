"""Running: one stage at a time, and every error as one line."""

import io
import os
import runpy
import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from errno import ENOSPC, EROFS

import pytest
import yaml
from conftest import ROOT

from stages.common.files import UserError
from stages.common.running import LEAST, LOCK, check_limit, run_command, run_stage, sole_stage

NO_MEMORY = "error: not enough memory; close other programs, or give this one more (ulimit -v, a container's limit)"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (UserError("lr: found abc"), "error: lr: found abc"),
        (UserError("class a\nb\x1b"), r"error: class a\nb\x1b"),
        (OSError(EROFS, "Read-only file system", "a.json"), "error: a.json: Read-only file system"),
        (
            OSError(ENOSPC, "No space left on device", "a.json"),
            "error: a.json: No space left on device; free some space and run this again",
        ),
        (MemoryError(), NO_MEMORY),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), NO_MEMORY),
        (ImportError("libtorch.so: failed to map segment from shared object"), NO_MEMORY),
    ],
)
def test_a_command_ends_in_one_line(error, code):
    def command():
        raise error

    with pytest.raises(SystemExit) as end:
        run_command(command)
    assert end.value.code == code


def test_a_mistake_of_ours_is_no_error_of_the_users():
    def command():
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run_command(command)


def test_outside_of_the_project_nothing_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [""])
    with pytest.raises(SystemExit) as end:
        run_stage(lambda: pytest.fail("it ran"))
    assert end.value.code == "error: data: no such folder; run this from the repository's root"


def python(code, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | options.pop("env", {})
    return subprocess.Popen([sys.executable, "-c", code], env=environment, text=True, **options)


def test_two_stages_take_turns(workplace):
    """The second one waits, says so, and goes on when the first one has ended, however it ended."""
    code = (
        "import sys; from stages.common.running import run_stage\n"
        "def stage():\n    print('writes'); sys.stdin.read()\n"
        "run_stage(stage)"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with python(code, **pipes) as first:
        assert first.stdout.readline() == "writes\n"
        with python(code, **pipes) as second:
            waiting = "waiting for another stage, perhaps of a `dvc` that was killed, to end (data/tmp/lock)\n"
            assert second.stdout.readline() == waiting
            (LOCK.parent.parent / f".x.tmp-{first.pid}-0").touch()
            first.kill()
            first.wait()
            assert second.stdout.readline() == "writes\n"
            assert sorted(path.name for path in LOCK.parent.parent.iterdir()) == [LOCK.parent.name]


COMMANDS = [stage["cmd"] for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()]
BENCHES = [f"bench.{path.stem}" for path in sorted((ROOT / "bench").glob("*.py")) if "__main__" in path.read_text()]
SCRIPTS = [*dict.fromkeys(command.split()[2] for command in COMMANDS), *BENCHES, "stages.cli"]


def end_of(script, *words):
    """Run what `python -m` names; return what it ends with and what it printed."""
    printed = io.TextIOWrapper(io.BytesIO())
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), pytest.raises(SystemExit) as end:
        patch.setattr(sys, "argv", [script, *words])
        with warnings.catch_warnings(action="ignore"):  # that the module has been imported before
            runpy.run_module(script, run_name="__main__")
            raise SystemExit
    printed.flush()
    return end.value.code, printed.buffer.getvalue().decode()


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_knows_help_and_refuses_what_it_does_not_know(script, tmp_path, monkeypatch):
    """And does nothing: here is nothing that it needs."""
    monkeypatch.chdir(tmp_path)
    if script == "bench.persistent":
        pytest.importorskip("triton", reason="this build of torch comes without triton")
    code, printed = end_of(script, "--help")
    assert not code
    assert len(printed) > 50
    code, printed = end_of(script, "--nonsense")
    assert code
    assert not printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["tpu"], ["cpu", "gpu"]])
def test_one_of_the_choices_is_wanted(words):
    found = " ".join(words) or "nothing"
    usage = f"error: usage: python -m stages.train cpu|gpu, found {found} after it; see --help"
    assert end_of("stages.train", *words) == (usage, "")


def test_another_python_is_told_in_one_line_what_to_do():
    """One without the project's packages: here without any."""
    command = [sys.executable, "-S", "-m", "stages.check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "lacks the project's packages; run `source .venv/bin/activate`, or first `make repro`" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_stage_waits_for_another_to_end(workplace, forked, command):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{forked}:{os.environ['PATH']}"}
    with (
        sole_stage(),
        subprocess.Popen(command.split(), env=environment, text=True, stdout=subprocess.PIPE) as stage,
    ):
        assert stage.stdout.readline().startswith("waiting for another stage")
        stage.kill()


def test_the_lock_is_free_again(workplace):
    for _ in range(2):
        with pytest.raises(RuntimeError), sole_stage():
            raise RuntimeError


def test_who_has_read_enough_is_not_troubled():
    code = (
        "from stages.common.running import run_command\n"
        "def command():\n    for i in range(100_000):\n        print(i)\n"
        "run_command(command)"
    )
    with python(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == "0\n"
        writer.stdout.close()
        assert writer.stderr.read() == ""
        assert writer.wait() == 1


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("ascii", r"\u65e5 \xfc \udce9"), ("latin-1", r"\u65e5 ü \udce9"), ("utf-8", r"日 ü \udce9")],
)
def test_a_terminal_without_the_letters_shows_escapes(encoding, expected):
    code = r"from stages.common.running import run_command; run_command(lambda: print('\u65e5 \xfc \udce9'))"
    with python(code, stdout=subprocess.PIPE, env={"PYTHONIOENCODING": encoding}, encoding=encoding) as writer:
        assert writer.stdout.read() == f"{expected}\n"


def test_a_process_ends_without_going_through_all_its_objects_once_more():
    code = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 0)); import stages.common.running"
    with python(code, stdout=subprocess.PIPE, encoding="ascii") as writer:
        assert writer.stdout.read() == "True\n"


def test_too_little_memory_is_told_before_anything_runs(monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda what: (LEAST - 1024, -1))
    with pytest.raises(UserError, match=r"^ulimit -v: found 2097151 KiB, expected 2097152 or more"):
        check_limit()
    monkeypatch.setattr("resource.getrlimit", lambda what: (LEAST, -1))
    check_limit()


@pytest.mark.parametrize("missing", ["resource", "RLIMIT_AS"])
def test_where_memory_has_no_limit_nothing_is_held(monkeypatch, missing):
    if missing == "resource":
        monkeypatch.setitem(sys.modules, "resource", None)
    else:
        monkeypatch.delattr("resource.RLIMIT_AS")
    check_limit()
