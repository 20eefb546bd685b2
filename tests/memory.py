"""Memory: a piece of code in a process of its own, which may ask for so much and no more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # each thread would ask for a stack
PATIENCE = 60  # seconds: not every library fails when memory does, some wait for ever
LIMITED = """
{setup}
import re, resource
asked_for = re.search(r"VmData:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
limit = int(asked_for) * 1024 + {mib} * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
{work}
"""


def runs_within(mib: int, setup: str, work: str, folder: Path = ROOT) -> None:
    """Check that Python code gets by with so much memory.

    What is asked for counts, touched or not; a file that is mapped into memory does not. (The largest resident set does
    not tell: a process starts with its parent's.)

    Args:
        mib: how many MiB `work` may ask for beyond what `setup` left the process with.
        setup: code that runs without a limit, such as imports.
        work: code that runs under it, with what `setup` defined.
        folder: where to run.
    """
    if sys.platform != "linux":
        pytest.skip("asks /proc how much memory was asked for")
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/tests"} | dict.fromkeys(THREADS, "1")
    code = LIMITED.format(setup=setup, mib=mib, work=work)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
