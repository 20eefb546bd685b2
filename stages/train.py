"""train: train the networks on one device, `python -m stages.train cpu` or `gpu`, and time it.

For every representation and each of `runs` seeds: snapshots under data/snapshots/DEVICE, their history.json, and the
times in metrics/train_DEVICE.json.
"""

import ctypes
import fcntl
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from time import perf_counter

from stages.core.params import load_params
from stages.files import METRICS, SNAPSHOTS, UserError, run_stage, write_json


def main() -> None:
    """Train on the device that the command line names."""
    if len(sys.argv) != 2 or sys.argv[1] not in ("cpu", "gpu"):
        raise UserError(f"usage: python -m stages.train cpu|gpu, found {' '.join(sys.argv[1:]) or 'nothing'}")
    name, started = sys.argv[1], perf_counter()
    params = load_params()
    with sole_writer(name):
        shutil.rmtree(SNAPSHOTS / name, ignore_errors=True)
        reason = why_skipped(name)
        if reason:
            print(f"train_{name}: skipped: {reason}")
            history, timing = {"skipped": "no GPU"}, {"skipped": reason}
        else:
            # Before torch is imported: OpenMP's threads wait by spinning, by default for so long that two trainings on
            # the same cores, say of a queue with two workers, take many times as long as one after the other.
            os.environ.setdefault("GOMP_SPINCOUNT", "1000")
            from stages.core.runs import train_all

            history, timing = train_all(name, params, started)
        write_json(SNAPSHOTS / name / "history.json", history)
        write_json(METRICS / f"train_{name}.json", timing)


@contextmanager
def sole_writer(device: str) -> Iterator[None]:
    """Wait until no other training, orphaned by a killed `dvc`, writes the same snapshots."""
    SNAPSHOTS.mkdir(parents=True, exist_ok=True)
    with (SNAPSHOTS / f"{device}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"train_{device}: waiting for an earlier training to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def why_skipped(device: str) -> str | None:
    """Return why there can be no training on the device, or None if there can.

    Raises:
        UserError: if there is a GPU that CUDA cannot start, say for an old driver: no reason to go on without it.
    """
    if device == "cpu":
        return None
    how_to_run = "where there is an NVIDIA GPU: dvc repro --force --single-item train_gpu && dvc repro"
    if "rocm" in version("torch"):
        return f"this build of torch ({version('torch')}) is for AMD's ROCm, which is not supported; {how_to_run}"
    try:
        ctypes.CDLL("libcuda.so.1")  # asked first: where there is no driver, torch need not be imported to be told so
    except OSError:
        return f"no NVIDIA driver (libcuda.so.1) was found; {how_to_run}"
    import torch

    if not torch.backends.cuda.is_built():
        return f"this build of torch ({torch.__version__}) has no CUDA; {how_to_run}"
    try:
        torch.cuda.init()
    except RuntimeError as error:
        said = re.sub(r".*(?=Error \d+:)", "", str(error).splitlines()[0]).split(". ")[0]
        if any(phrase in str(error) for phrase in NO_GPU):
            return f"no CUDA device was found ({said}); {how_to_run}"
        raise UserError(
            f"train_gpu: found a GPU that CUDA cannot start ({said}), expected one that it can; mend that, or go on "
            "without it: CUDA_VISIBLE_DEVICES= dvc repro"
        ) from None
    return None


# What torch says where there is a driver's library, but no GPU.
NO_GPU = ("No CUDA GPUs are available", "Found no NVIDIA driver", "you might not have a CUDA gpu")


if __name__ == "__main__":
    run_stage(main)
