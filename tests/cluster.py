"""A Dask cluster of real processes on the loopback interface, and the loss of one of its workers."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

HERE = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", "cluster.json"]
WORKER = ["worker", "--nthreads", "1", "--no-nanny"]


def start_cluster(programs: Path, variables, protocol="tcp", security=None):
    """Yield a scheduler's address and its two workers, who find it by a file in the current folder.

    Which `dask` they are, the folder of programs says.
    """
    from distributed import Client
    from distributed.utils import json_load_robust

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": os.environ | variables}
    commands = [["scheduler", "--protocol", protocol, "--port", "0"], WORKER, WORKER]
    processes = [subprocess.Popen([programs / "dask", *command, *HERE], **quiet) for command in commands]
    try:
        address = json_load_robust("cluster.json", timeout=60)["address"]
        with Client(address, security=security) as client:
            client.wait_for_workers(2, timeout=60)
        yield address, processes[1:]
    finally:
        for process in processes[::-1]:
            process.kill()
            process.wait()


@contextlib.contextmanager
def losing(address: str, worker: subprocess.Popen, done: Callable[[], object]) -> Iterator[None]:
    """Kill a worker as soon as something has been done, while this thread waits for the whole; one is left."""
    from distributed import Client

    def kill():
        while not done():
            time.sleep(0.01)
        worker.send_signal(signal.SIGKILL)

    thread = Thread(target=kill, daemon=True)
    thread.start()
    yield
    thread.join(timeout=60)
    assert worker.wait(timeout=60) == -signal.SIGKILL
    deadline = time.monotonic() + 60
    with Client(address) as client:
        while len(client.scheduler_info()["workers"]) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.02)
