"""Snapshots: a network's weights as safetensors, and which of them are worth keeping."""

from pathlib import Path
from typing import TYPE_CHECKING

from stages.files import write_bytes
from stages.learning.network import build_network
from stages.records import Card, Epoch

if TYPE_CHECKING:
    import torch


def save_snapshot(path: Path, weights: dict[str, "torch.Tensor"]) -> None:
    """Write weights; the same weights give the same bytes."""
    from safetensors.numpy import save  # the same bytes as safetensors.torch, in half the time

    write_bytes(path, save({name: tensor.detach().cpu().contiguous().numpy() for name, tensor in weights.items()}))


def load_snapshot(path: Path) -> dict[str, "torch.Tensor"]:
    """Read weights onto the CPU."""
    from safetensors.torch import load

    return load(path.read_bytes())


def load_model(card: Card, weights: Path) -> "torch.nn.Sequential":
    """Return the network that a card describes, with the weights of a snapshot, on the CPU."""
    model = build_network(card.network, card.shape, card.hidden, len(card.classes), seed=0)
    model.load_state_dict(load_snapshot(weights))
    return model


def best_epoch(epochs: list[Epoch]) -> int:
    """Return the epoch with the highest validation macro F1; of equals the earliest."""
    return max(range(len(epochs)), key=lambda epoch: epochs[epoch].val_f1_macro)  # max keeps the first of equals
