"""Times: a clock for the parts of a run, their spread over the runs, and what they were measured on.

A run's seconds are those from its start to its end, whoever runs beside it: nothing is divided and nothing taken away.
"""

import os
import platform
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from stages.results import PARTS_OF_TIME, Spread


class Clock:
    """Adds up the seconds of each part of a run; the host waits for the device at either end of a part."""

    def __init__(self, device: torch.device) -> None:
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
            torch.cuda.synchronize(self.device)


def spread(clocks: list[dict[str, float]]) -> dict[str, Spread]:
    """Return median, minimum and maximum seconds of each part over the runs, given each run's seconds by part."""
    seconds = {part: [clock.get(part, 0.0) for clock in clocks] for part in PARTS_OF_TIME}
    return {
        part: Spread(median=statistics.median(values), min=min(values), max=max(values))
        for part, values in seconds.items()
    }


def hardware(device: torch.device) -> dict[str, Any]:
    """Return what the times were measured on: processor, instruction set (torch's word for it), versions, GPU."""
    record = {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": version("numpy")},
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
    """Return the processor's name as Linux gives it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
