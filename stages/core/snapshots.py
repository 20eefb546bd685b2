"""Snapshots on disk: a network's weights as safetensors, where they lie and what history.json says of them.

history.json: `{"params": {...}, "representations": {REPRESENTATION: {"network": ..., "runs": [[epoch, ...], ...]}}}`,
where an epoch is `{"train_loss", "val_loss", "val_accuracy", "val_f1_macro"}`; on a machine without the device it is
`{"skipped": reason}`. No seconds in it, so that it is the same whenever the training is the same.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from stages.files import SNAPSHOTS, read_json, write_bytes

if TYPE_CHECKING:
    import torch

DEVICES = ("cpu", "gpu")


def snapshot_path(device: str, representation: str, run: int, epoch: int) -> Path:
    """Return where the weights after an epoch lie; runs and epochs count from 0."""
    return SNAPSHOTS / device / representation / f"run_{run:02}" / f"epoch_{epoch:02}.safetensors"


def save_snapshot(path: Path, weights: dict[str, "torch.Tensor"]) -> None:
    """Write weights; the same weights give the same bytes."""
    from safetensors.numpy import save  # the same bytes as safetensors.torch, in half the time

    write_bytes(path, save({name: tensor.detach().cpu().contiguous().numpy() for name, tensor in weights.items()}))


def load_snapshot(path: Path) -> dict[str, "torch.Tensor"]:
    """Read weights onto the CPU."""
    from safetensors.torch import load

    return load(path.read_bytes())


def read_histories() -> dict[str, dict]:
    """Return history.json by device, leaving out a device that was skipped."""
    histories = {device: read_json(SNAPSHOTS / device / "history.json") for device in DEVICES}
    return {device: history for device, history in histories.items() if "skipped" not in history}


def best_epoch(epochs: list[dict[str, float]]) -> int:
    """Return the epoch with the highest validation macro F1; of equals the earliest."""
    return max(range(len(epochs)), key=lambda epoch: (epochs[epoch]["val_f1_macro"], -epoch))
