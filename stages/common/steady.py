"""Steady: a stage that DVC runs computes with the params.yaml that `check` saw, and DVC records no other for it.

params.yaml may change while a stage runs, in an editor or by `dvc exp run -S` in another terminal. DVC reads it again
when the stage ends, and would keep the results of the old values as those of the new ones.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from stages.common.files import UserError, read_bytes, shown
from stages.common.params import PARAMS, load_params

PIPELINE = Path("dvc.yaml")
LOCK_FILE = Path("dvc.lock")  # holds the MD5 of the params.yaml that `check` saw


@contextmanager
def steady_params() -> Iterator[None]:
    """Check that the parameters of a stage that DVC runs are those that were checked, and that they stay so."""
    stage = os.environ.get("DVC_STAGE", "").rpartition(":")[2]  # "" by hand
    names = declared_by(stage) if stage else set()
    if not names:
        yield
        return
    content, before = read_bytes(PARAMS), values_of(names)
    if hashlib.md5(content, usedforsecurity=False).hexdigest().encode() not in read_bytes(LOCK_FILE):
        raise UserError(
            f"{PARAMS}: has changed since the stage `check` read it, perhaps by `dvc exp run -S` in another terminal; "
            "see what it holds now, then run `dvc repro`"
        )
    yield
    now = before if read_bytes(PARAMS) == content else values_of(names)
    for name in sorted(names):
        if now[name] != before[name]:
            raise UserError(
                f"{PARAMS}: {name}: found {shown(now[name])}, expected {shown(before[name])}, as when {stage} started; "
                f"run `dvc repro`, or put the old value back and keep what was made: dvc commit --force {stage}"
            )


def declared_by(stage: str) -> set[str]:
    """Return the parameters that dvc.yaml says a stage reads."""
    fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML was built with it
    stages = yaml.load(read_bytes(PIPELINE), fast)["stages"]
    return set(stages.get(stage, {}).get("params", []))


def values_of(names: set[str]) -> dict:
    """Return what params.yaml says of these parameters."""
    return load_params().model_dump(mode="json", include=names)
