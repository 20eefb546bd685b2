"""Times: a clock for the parts of a run, their spread over the runs, and what they were measured on.

A run's seconds are those from its start to its end, whoever runs beside it: nothing is divided and nothing taken away.
"""

import platform
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.common.records import Epoch
from stages.common.results import PARTS_OF_TIME, Spread, Timed
from stages.common.tasks import cores
from stages.training.job import Job

if TYPE_CHECKING:
    import torch

CPUINFO = Path("/proc/cpuinfo")  # of Linux


class Clock:
    """Adds up the seconds of each part of a run; the host waits for the device at either end of a part."""

    def __init__(self, device: "torch.device") -> None:
        """Start at nothing."""
        self.seconds: dict[str, float] = {}
        self.device = device

    @contextmanager
    def part(self, part: str) -> Iterator[None]:
        """Time a block."""
        self._synchronize()
        start = perf_counter()
        try:
            yield
        finally:
            self._synchronize()
            self.seconds[part] = self.seconds.get(part, 0) + perf_counter() - start

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            import torch

            torch.cuda.synchronize(self.device)


def spread(clocks: list[dict[str, float]]) -> dict[str, Spread]:
    """Return median, minimum and maximum seconds of each part over the runs, given each run's seconds by part."""
    seconds = {part: [clock.get(part, 0.0) for clock in clocks] for part in PARTS_OF_TIME}
    return {
        part: Spread(median=statistics.median(values), min=min(values), max=max(values))
        for part, values in seconds.items()
    }


class Trained(NamedTuple):
    """What came of a group of runs that trained side by side in one process."""

    numbers: range  # of the runs, from 0
    epochs: list[list[Epoch]]  # of each run; fewer than asked for if it diverged
    seconds: dict[str, float]  # of each run, by part; the total from start to end
    started: float  # seconds since 1970, which hosts agree on
    ended: float
    threads: int


def timed(job: Job, groups: list[Trained], processes: int, n_train: int) -> Timed:
    """Return how long the runs of a job took, whose groups trained in so many processes, on n_train samples."""
    epochs = sum(len(own) for group in groups for own in group.epochs)
    train_seconds = sum(group.seconds["train"] for group in groups) / processes
    return Timed(
        seconds=spread([group.seconds for group in groups for _ in group.numbers]),
        runs_at_once=min(processes * max(len(group.numbers) for group in groups), len(job.seeds)),
        all_runs_seconds=max(group.ended for group in groups) - min(group.started for group in groups),
        steps_per_second=epochs * -(-n_train // job.recipe.batch_size) / train_seconds,
        samples_per_second=epochs * n_train / train_seconds,
        threads=max(group.threads for group in groups),
    )


def hardware(device: "torch.device") -> dict[str, Any]:
    """Return what the times were measured on: processor, instruction set (torch's word for it), versions, GPU."""
    import torch

    record = {  # of plain types: a class of torch's own would have the parent of the workers import it
        "cpu": cpu_name(),
        "cores": cores(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": version("numpy")},
    }
    if device.type == "cuda":
        driver = Path("/sys/module/nvidia/version")
        record |= {
            "gpu": torch.cuda.get_device_name(device),
            "driver": driver.read_text(encoding="utf-8").strip() if driver.exists() else None,
            "cuda": torch.version.cuda,
        }
    return record


def cpu_name() -> str:
    """Return the processor's name as Linux or macOS gives it, elsewhere of what kind it is."""
    with suppress(OSError):
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
        if names := [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]:
            return names[0]
    with suppress(OSError, subprocess.CalledProcessError):
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return platform.machine()
