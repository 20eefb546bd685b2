"""Tasks: the same results wherever they are worked out, and nobody who works on when nobody waits."""

import gc
import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT

from stages.common import tasks
from stages.common.files import UserError

CORES = tasks.cores  # before a fixture takes them away


def square(n):
    tasks.report([n, os.getpid()])
    return n, n * n, os.getpid()


def fail(n):
    raise UserError(f"{n} cannot be squared")


def die(n):
    os._exit(9)


def die_amid_a_report(n):
    tasks._hear.__self__._wlock.acquire()
    os._exit(9)


class Client:
    """What Dask's client does, of a cluster that is this process."""

    def __init__(self, address, timeout):
        if address != "tcp://here:1":
            raise OSError("nobody answers")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def scheduler_info(self):
        return {"workers": {"one": {}, "another": {}}}

    def get_executor(self, retries, pure):
        assert (retries, pure) == (3, False)
        return ThreadPoolExecutor(1)


@pytest.fixture
def cluster(monkeypatch):
    """The address of a cluster, and the module distributed, both of them stand-ins."""
    killed = type("KilledWorker", (Exception,), {})
    module = SimpleNamespace(Client=Client, KilledWorker=killed)
    monkeypatch.setitem(sys.modules, "distributed", module)
    monkeypatch.setattr(tasks, "_hear", None)  # as in a worker
    return "tcp://here:1", module


@pytest.mark.parametrize("place", [tasks.in_this_process, tasks.on_threads, tasks.on_processes, tasks.on_cluster])
def test_every_place_gives_the_same(place, monkeypatch, cluster):
    monkeypatch.setattr(tasks, "cores", CORES)
    said = []
    more = {
        tasks.in_this_process: (said.append,),
        tasks.on_processes: (2, ["json"], said.append),
        tasks.on_cluster: (cluster[0],),
    }.get(place, ())
    results = list(place(square, range(20), *more))
    assert sorted(result[:2] for result in results) == [(n, n * n) for n in range(20)]
    heard = range(20) if place in (tasks.in_this_process, tasks.on_processes) else []
    assert sorted(each[0] for each in said) == list(heard)
    here = {result[2] for result in results} == {os.getpid()}
    assert here == (place is not tasks.on_processes)
    with pytest.raises(UserError, match="cannot be squared"):
        list(place(fail, range(20), *more))


@pytest.mark.parametrize("place", [tasks.on_threads, tasks.on_processes])
def test_no_more_is_begun_than_may_wait_and_results_are_in_order(place, monkeypatch):
    monkeypatch.setattr(tasks, "AHEAD", 10)
    taken = []
    results = place(
        math.sqrt, (taken.append(n) or n for n in range(100)), *([2, []] if place is tasks.on_processes else [])
    )
    for done in range(100):
        assert next(results) == math.sqrt(done)
        assert len(taken) <= done + 11
    assert list(results) == []


def test_what_a_cluster_lacks_is_told_in_one_line(cluster, monkeypatch, capsys):
    address, module = cluster
    assert sorted(tasks.on_cluster(math.sqrt, range(3), address)) == [0, 1, math.sqrt(2)]
    assert capsys.readouterr().out == "2 workers at tcp://here:1\n"

    def lose(n):
        raise module.KilledWorker("a worker\n was lost")

    with pytest.raises(
        UserError, match=rf"^{address}: the cluster could not run the tasks \(a worker was lost\); start"
    ):
        list(tasks.on_cluster(lose, range(3), address))
    with pytest.raises(UserError, match=r"^tcp://b:2: found no Dask scheduler \(nobody answers\); start one with: "):
        list(tasks.on_cluster(math.sqrt, range(3), "tcp://b:2"))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"^a Dask cluster needs the package distributed: pip install distributed$"):
        list(tasks.on_cluster(math.sqrt, range(3), address))


def test_a_process_that_is_not_forked_gives_the_same(monkeypatch):
    monkeypatch.setattr(tasks, "START", "spawn")
    said = []
    assert sorted(tasks.on_processes(math.sqrt, range(4), 2, ["json"], said.append)) == [math.sqrt(n) for n in range(4)]


def test_a_worker_that_dies_is_told_in_one_line():
    with pytest.raises(UserError, match="a worker process was ended, perhaps because memory ran out; run this again"):
        list(tasks.on_processes(die, range(3), 2, []))


def test_a_worker_that_dies_amid_a_report_is_told_too():
    """It keeps the queue of reports locked for ever."""
    code = (
        "import test_tasks as t; from stages.common import running\n"
        "running.run_command(lambda: list(t.tasks.on_processes(t.die_amid_a_report, range(3), 2, [])))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stderr == "error: a worker process was ended, perhaps because memory ran out; run this again\n"


def test_a_path_of_temporary_files_that_is_too_long_is_named(tmp_path):
    place = tmp_path / ("long" * 25)
    place.mkdir()
    code = (
        "import math; from stages.common import running, tasks\n"
        "running.run_command(lambda: list(tasks.on_processes(math.sqrt, range(3), 2, [])))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(place)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    said = f"error: TMPDIR: found {place}, expected a path of at most 70 characters; run this with TMPDIR=/tmp\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_cores_are_those_of_the_affinity_and_of_a_containers_quota(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.setattr(tasks, "QUOTA", tmp_path / "cpu.max")
    for quota, cores in {None: 8, "max 100000": 8, "250000 100000": 2, "50000 100000": 1, "9900000 100000": 8}.items():
        if quota:
            tasks.QUOTA.write_text(quota)
        assert CORES() == cores
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert CORES() == 5


def test_the_address_is_the_parameters_or_dasks(monkeypatch):
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://a:1")
    assert tasks.cluster_address("tls://b:2") == "tls://b:2"
    assert tasks.cluster_address(None) == "tcp://a:1"
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS")
    assert tasks.cluster_address(None) is None


SLEEPER = """
import os, sys, time
from pathlib import Path
def sleep(n):
    Path(str(os.getpid())).touch()
    time.sleep(60)
def main():
    from stages.common import tasks
    list(tasks.on_processes(sleep, range(4), 2, []))
if __name__ == "__main__":
    from sleeper import main
    from stages.common.running import run_command
    run_command(main)
"""


def lives(process):
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc who lives")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_one_who_started_them(tmp_path, ending):
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    with subprocess.Popen(
        [sys.executable, "-m", "sleeper"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"},
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's `&` has it ignored
    ) as process:
        deadline = time.monotonic() + 60
        while len(workers := [path.name for path in tmp_path.iterdir() if path.name.isdigit()]) < 2:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if ending == signal.SIGINT:
            os.killpg(process.pid, ending)  # as Ctrl-C does
        else:
            process.send_signal(ending)
        process.wait(timeout=120)
        assert b"Traceback" not in process.stderr.read()
    while any(lives(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_where_processes_can_share_no_locks_the_place_is_named(monkeypatch):
    """As in a container without /dev/shm, or with one that may only be read."""

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("multiprocessing.synchronize.SemLock._make_name", refuse)
    with pytest.raises(UserError, match=r"^/dev/shm: Read-only file system; expected a place"):
        list(tasks.on_processes(square, range(4), 2, []))


def looks_for_garbage(_):
    return gc.isenabled(), gc.get_freeze_count() > 0


def test_workers_look_for_garbage_but_not_among_what_was_imported():
    assert list(tasks.on_processes(looks_for_garbage, range(2), 2, [])) == [(True, True)] * 2


@pytest.mark.skipif(tasks.START != "forkserver", reason="elsewhere no process imports for the others")
def test_an_interrupt_while_workers_start_leaves_no_traceback(tmp_path):
    """Ctrl-C reaches the whole group: here the module that is imported for the workers presses it."""
    (tmp_path / "interrupting.py").write_text("import os, signal\nos.killpg(0, signal.SIGINT)\n")
    code = (
        "from stages.common import running, tasks; from common.test_tasks import square\n"
        "running.run_command(lambda: list(tasks.on_processes(square, range(4), 2, ['interrupting'])))"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{tmp_path}"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, start_new_session=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
