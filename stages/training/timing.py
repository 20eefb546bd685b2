"""Times: a clock for the parts of a run, their spread over the runs, and what they were measured on.

A run's seconds are those from its start to its end, whatever runs beside it: nothing is divided or subtracted.
"""

import platform
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from stages.common.results import PARTS_OF_TIME, Spread, Timed
from stages.common.tasks import cores
from stages.training.job import Trained

if TYPE_CHECKING:
    import torch

CPUINFO = Path("/proc/cpuinfo")  # of Linux


class Clock:
    """Adds up the seconds of each part of a run; the host waits for the device at either end of a part."""

    def __init__(self, device: "torch.device") -> None:
        """Start without any seconds."""
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


def timed(done: list[Trained], n_train: int) -> Timed:
    """Return how long the runs on a representation took, on n_train samples."""
    epochs = sum(len(own) for each in done for own in each.epochs)
    processes, at_once = len({each.process for each in done}), max(len(each.job.runs) for each in done)
    train_seconds = sum(each.seconds["train"] for each in done) / processes
    return Timed(
        seconds=spread([each.seconds for each in done for _ in each.job.runs]),
        runs_at_once=min(processes * at_once, sum(len(each.job.runs) for each in done)),
        all_runs_seconds=max(each.ended for each in done) - min(each.started for each in done),
        steps_per_second=epochs * -(-n_train // done[0].job.recipe.batch_size) / train_seconds,
        samples_per_second=epochs * n_train / train_seconds,
        threads=max(each.threads for each in done),
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
