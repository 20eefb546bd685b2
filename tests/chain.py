"""The chain without DVC: every stage of dvc.yaml as DVC calls it, in this process, which takes a third of the time."""

import contextlib
import importlib
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from stages.common import drawing, tasks

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
COMMANDS = {name: stage["cmd"].removeprefix("python -m stages.").split() for name, stage in STAGES.items()}


def run_chain(folder: Path, *names: str, pictures: bool = False) -> None:
    """Run these stages, or all, in a folder with params.yaml and data, on one core.

    Pictures are drawn, but their files stay empty if nobody asks for them: to write them takes longer than all else.
    """
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setattr(tasks, "cores", lambda: 1)
        if not pictures:
            patch.setattr(drawing, "save", lambda _, path: path.touch() or set())
        for name in names or COMMANDS:
            patch.setattr(sys, "argv", COMMANDS[name])
            importlib.import_module(f"stages.{COMMANDS[name][0]}").main()
