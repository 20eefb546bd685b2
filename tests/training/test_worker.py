"""trainer: the same bytes from one process, from several, and from a cluster that loses a worker."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, save_dataset, write_params
from test_features import start_cluster

from stages import prepare
from stages.common.files import SNAPSHOTS, read_json


@pytest.fixture
def prepared(workplace):
    save_dataset(workplace / "data" / "mine")
    write_params(epochs=8, runs=3)
    prepare.main()


def train(**variables):
    """Train as DVC does, in processes of its own; return the snapshots, what was said, and the times."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    done = subprocess.run(
        [sys.executable, "-m", "stages.train", "cpu"], env=environment, capture_output=True, text=True, check=True
    )
    found = {path: path.read_bytes() for path in sorted(SNAPSHOTS.rglob("*")) if path.is_file()}
    return found, done.stdout, read_json(Path("metrics/train_cpu.json"))


def with_cores(number):
    """Return variables under which a stage finds so many cores: Python imports sitecustomize before anything else."""
    Path("sitecustomize.py").write_text(
        "import os\ncores = os.environ.get('CORES')\nif cores:\n"
        "    os.sched_getaffinity = lambda process: set(range(int(cores)))\n"
    )
    return {"CORES": str(number), "PYTHONPATH": f"{ROOT}:{Path.cwd()}"}


def test_the_number_of_cores_changes_nothing_but_the_times(prepared):
    write_params(epochs=60, runs=3)  # long enough that no worker has done all before the next one is there
    prepare.main()
    alone, said_alone, one = train(**with_cores(1))
    together, said, three = train(**with_cores(3))
    assert alone == together
    assert len(alone) > 6
    for name in ("mfccs", "melgrams"):
        assert one["representations"][name]["runs_at_once"] == 1
        assert {each["representations"][name]["threads"] for each in (one, three)} == {1}
        assert f"train_cpu: {name}: " in said and f"train_cpu: {name}: " in said_alone
    assert max(timed["runs_at_once"] for timed in three["representations"].values()) in (2, 3)
    assert "hosts" not in three["hardware"]


@pytest.fixture
def cluster(prepared):
    yield from start_cluster({"PYTHONPATH": str(ROOT)})


def test_a_cluster_that_loses_a_worker_gives_the_same_bytes(cluster):
    address, workers = cluster
    write_params(epochs=200, runs=6, hidden=[64], representations="all")
    prepare.main()
    here, _, _ = train()
    command, environment = [sys.executable, "-m", "stages.train", "cpu"], os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment | {"DASK_SCHEDULER_ADDRESS": address}, stdout=subprocess.PIPE, text=True
    ) as stage:
        assert stage.stdout.readline() == f"2 workers at {address}\n"
        while not list(SNAPSHOTS.rglob("epoch_00.safetensors")):
            assert stage.poll() is None
        workers[0].send_signal(signal.SIGKILL)
        assert stage.wait(timeout=120) == 0
    assert workers[0].wait(timeout=10) == -signal.SIGKILL
    assert {path: path.read_bytes() for path in sorted(SNAPSHOTS.rglob("*")) if path.is_file()} == here
