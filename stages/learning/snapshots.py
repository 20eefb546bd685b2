"""Snapshots: a network's weights as safetensors, and which of them are worth keeping."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stages.files import UserError, shown
from stages.fingerprints import digest
from stages.learning.network import build_network, check_network
from stages.records import Card, Epoch
from stages.tensors import mixed, read_tensors
from stages.writing import write_bytes

if TYPE_CHECKING:
    import torch


def save_snapshot(path: Path, weights: dict[str, "torch.Tensor"], fingerprint: str) -> None:
    """Write weights and what they were learnt from; the same give the same bytes."""
    from safetensors.numpy import save  # the same bytes as safetensors.torch, in half the time

    arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in weights.items()}
    write_bytes(path, save(arrays, {"fingerprint": fingerprint}))


def load_model(card: Card, weights: Path) -> "torch.nn.Sequential":
    """Return the network that a card describes, with the weights of a snapshot of the same training, on the CPU.

    Raises:
        UserError: if the weights are missing, damaged, of another training or of another network.
    """
    import torch

    try:
        check_network(card.network, card.shape)
    except ValueError as error:
        raise UserError(f"{weights}: the model's card says {card.network}, {error}; run `dvc repro`") from None
    found = read_tensors(weights, "pt", card.fingerprint)
    with torch.device("meta"):  # takes no memory, whatever the card claims
        model = build_network(card.network, card.shape, card.hidden, len(card.classes), seed=0)
    expected = {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()}
    if {name: (tensor.shape, tensor.dtype) for name, tensor in found.items()} != expected:
        raise UserError(f"{weights}: does not fit the network that the model's card describes; run `dvc repro`")
    model.load_state_dict(found, assign=True)
    return model


def load_chosen(card: Card, path: Path) -> "torch.nn.Sequential":
    """Return the chosen model of the card at `path`, as `load_model`.

    Raises:
        UserError: if the weights beside the card are not those that it was written for.
    """
    weights = path.with_suffix(".safetensors")
    model = load_model(card, weights)
    if digest(weights) != card.weights:
        raise UserError(mixed(weights))
    return model


def standardization_of(card: Card, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of the training part's columns as the card at `path` has them, of its shape, float64.

    Raises:
        UserError: if they have another shape or are no numbers.
    """
    try:
        mean, std = (np.array(numbers, np.float64) for numbers in (card.mean, card.std))
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{path}: mean, std: {shown(error)}; remove it and run `dvc repro`") from None
    if not mean.shape == std.shape == card.shape or not np.isfinite(mean).all() or not (std > 0).all():
        raise UserError(f"{path}: mean, std: expected numbers of shape {card.shape}; remove it and run `dvc repro`")
    return mean, std


def best_epoch(epochs: list[Epoch]) -> int:
    """Return the epoch with the highest validation macro F1; of equals the earliest."""
    return max(range(len(epochs)), key=lambda epoch: epochs[epoch].val_f1_macro)  # max keeps the first of equals
