"""Learning curves: metrics/curves, a line for each epoch of each run."""

from collections.abc import Iterable
from pathlib import Path

from stages.common.files import CURVES
from stages.common.records import Epoch
from stages.common.writing import write_csv


def curves_path(representation: str, device: str, folder: Path = CURVES) -> Path:
    """Return where the learning curves of a device's runs are."""
    return folder / f"{representation}_{device}.csv"


def write_curves(path: Path, epochs: Iterable[tuple[int, int, Epoch]]) -> None:
    """Write epochs, each after its run and its number, which count from 0."""
    rows = [[run, number, *epoch.model_dump().values()] for run, number, epoch in epochs]
    write_csv(path, ["run", "epoch", *Epoch.model_fields], rows)
