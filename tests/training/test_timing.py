"""Times: a clock that waits for the device, the spread over the runs, and what they were measured on."""

import platform

import pytest
import torch

from stages.common.results import PARTS_OF_TIME, Spread
from stages.training import timing
from stages.training.timing import Clock, spread


def test_a_clock_adds_up_what_lies_between_two_looks(monkeypatch):
    looks = iter([1.0, 3.0, 10.0, 10.5, 20.0, 24.0])
    monkeypatch.setattr(timing, "perf_counter", lambda: next(looks))
    clock = Clock(torch.device("cpu"))
    for part in ("train", "validate", "train"):
        with clock.part(part):
            pass
    assert clock.seconds == {"train": 2 + 4, "validate": 0.5}


def test_it_waits_for_a_gpu_at_either_end(monkeypatch):
    said = []
    monkeypatch.setattr(timing, "perf_counter", lambda: said.append("look") or 0.0)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: said.append("wait"))
    with Clock(torch.device("cuda")).part("train"):
        said.append("work")
    assert said == ["wait", "look", "work", "wait", "look"]


def test_the_spread_over_the_runs():
    clocks = [{"train": 3.0, "total": 5.0}, {"train": 1.0, "total": 2.0}, {"train": 2.0, "total": 9.0}]
    found = spread(clocks)
    assert list(found) == list(PARTS_OF_TIME)
    assert found["train"] == Spread(median=2.0, min=1.0, max=3.0)
    assert found["total"] == Spread(median=5.0, min=2.0, max=9.0)
    assert found["snapshot"] == Spread(median=0.0, min=0.0, max=0.0)


def test_the_hardware_names_the_instruction_set():
    found = timing.hardware(torch.device("cpu"))
    assert set(found) == {"cpu", "cores", "instruction_set", "versions"}
    assert found["instruction_set"] == torch.backends.cpu.get_cpu_capability()
    assert found["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize(
    ("cpuinfo", "sysctl", "name"),
    [
        ("processor: 0\nmodel name\t: AMD: EPYC\nmodel name\t: another\n", "exit 1", "AMD: EPYC"),
        ("processor: 0\n", "exit 1", platform.machine()),
        (None, "echo Apple M2; echo $* >&2; [ \"$*\" = '-n machdep.cpu.brand_string' ]", "Apple M2"),
        (None, "exit 1", platform.machine()),
        (None, None, platform.machine()),
    ],
)
def test_the_processor_has_its_name_on_any_system(tmp_path, monkeypatch, cpuinfo, sysctl, name):
    if cpuinfo:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    if sysctl:
        (tmp_path / "sysctl").write_text(f"#!/bin/sh\n{sysctl}\n")
        (tmp_path / "sysctl").chmod(0o755)
    monkeypatch.setattr(timing, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert timing.cpu_name() == name
