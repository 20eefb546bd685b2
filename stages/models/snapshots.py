"""Snapshots: a network's weights as safetensors, and which of them are worth keeping."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stages.common.files import SELECTED, UserError, digest, mixed, shown
from stages.common.records import Card, Choice, Epoch, History
from stages.common.results import Selection
from stages.common.tensors import read_tensors
from stages.common.writing import write_bytes
from stages.models.network import build_network, check_network

if TYPE_CHECKING:
    import torch


def save_snapshot(path: Path, weights: dict[str, "torch.Tensor"], fingerprint: str) -> None:
    """Write weights and what they were learnt from; the same give the same bytes."""
    from safetensors.numpy import save  # the same bytes as safetensors.torch, in half the time

    arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in weights.items()}
    write_bytes(path, save(arrays, {"fingerprint": fingerprint}))


def load_model(card: Card, weights: Path) -> "torch.nn.Sequential":
    """Return the network that a card describes, with the weights of a snapshot of the same training, on the CPU."""
    return _load(card, weights, members=1, vectors=0)


def load_chosen(card: Card, path: Path) -> "torch.nn.Module":
    """Return the chosen model of the card at `path`, as `load_model`.

    A network or an Ensemble of several, a support vector machine, or an Ensemble of these two.
    """
    weights = path.with_suffix(".safetensors")
    model = _load(card, weights, len(card.members), card.vectors)
    if digest(weights) != card.weights:
        raise UserError(mixed(weights))
    return model


def _load(card: Card, weights: Path, members: int, vectors: int) -> "torch.nn.Module":
    import torch

    from stages.models.ensemble import together
    from stages.models.svm import Svm

    try:
        check_network(card.network, card.shape)
    except ValueError as error:
        raise UserError(f"{weights}: the model's card says {card.network}, {error}; run `dvc repro`") from None
    found = read_tensors(weights, "pt", card.fingerprint)
    with torch.device("meta"):  # takes no memory, whatever the card claims
        about = (card.network, card.shape, card.hidden, len(card.classes))
        networks = [build_network(*about, seed=0) for _ in range(members)]
        machine = [Svm(vectors, card.shape, len(card.classes))] if vectors else []
        model = together([*([together(networks)] if networks else []), *machine])
    expected = {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()}
    if {name: (tensor.shape, tensor.dtype) for name, tensor in found.items()} != expected:
        raise UserError(f"{weights}: does not fit the network that the model's card describes; run `dvc repro`")
    model.load_state_dict(found, assign=True)
    return model.eval()


def standardization_of(card: Card, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the training set's mean and deviation as the card at `path` has them, of its shape, float64."""
    try:
        mean, std = (np.array(numbers, np.float64) for numbers in (card.mean, card.std))
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{path}: mean, std: {shown(error)}; remove it and run `dvc repro`") from None
    if not mean.shape == std.shape == card.shape or not np.isfinite(mean).all() or not (std > 0).all():
        raise UserError(f"{path}: mean, std: expected numbers of shape {card.shape}; remove it and run `dvc repro`")
    return mean, std


def best_epoch(epochs: list[Epoch]) -> int:
    """Return the epoch with the highest validation macro F1; ties go to the earliest."""
    return max(range(len(epochs)), key=lambda epoch: epochs[epoch].val_f1_macro)  # max keeps the first of a tie


def best_of_runs(device: str, history: History, representation: str) -> list[Choice]:
    """Return the best snapshot of each run on a device, or the last where only that is kept.

    A run that diverged in its first epoch has none.
    """
    runs, last = history.representations[representation].runs, history.params["snapshots"] == "last"
    best = {run: len(epochs) - 1 if last else best_epoch(epochs) for run, epochs in enumerate(runs) if epochs}
    return [
        Choice(device=device, run=run, epoch=epoch, val_f1_macro=runs[run][epoch].val_f1_macro)
        for run, epoch in best.items()
    ]


def members_of(model: str, choice: Choice, history: History, representation: str) -> list[Choice]:
    """Return a model's networks: best, the choice alone; ensemble and all, the best of each run on its device."""
    each = best_of_runs(choice.device, history, representation)
    return {"best": [choice], "ensemble": each, "svm": [], "all": each}[model]


def has_machine(model: str) -> bool:
    """Return whether a model has a support vector machine, alone or beside networks."""
    return {"best": False, "ensemble": False, "svm": True, "all": True}[model]


def check_chosen(card: Card, representation: str, selection: Selection, histories: dict[str, History]) -> None:
    """Check that a card is of the model that select.json names for a representation."""
    choice = selection.representations.get(representation)
    history = histories[card.chosen.device]
    members = members_of(selection.model, card.chosen, history, card.representation)
    found = (card.representation, card.chosen, card.members, card.vectors > 0)
    if found != (representation, choice, members, has_machine(selection.model)):
        raise UserError(mixed(SELECTED))
