"""Snapshots: the same bytes for the same weights, and which epoch is best."""

import torch

from stages.common.records import Epoch
from stages.common.tensors import read_tensors
from stages.models.network import build_network
from stages.models.snapshots import best_epoch, save_snapshot


def test_weights_come_back_and_give_the_same_bytes(tmp_path):
    weights = build_network("mlp", (5,), [4], 3, seed=1).state_dict()
    save_snapshot(tmp_path / "a", weights, "f")
    save_snapshot(tmp_path / "other name", {name: tensor.clone() for name, tensor in weights.items()}, "f")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "other name").read_bytes()
    again = read_tensors(tmp_path / "a", "pt", "f")
    assert again.keys() == weights.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in weights.items())


def test_the_best_epoch_is_the_earliest_of_equals():
    def epochs(*scores):
        return [Epoch(train_loss=0, val_loss=0, val_accuracy=0, val_f1_macro=score) for score in scores]

    assert best_epoch(epochs(0.2, 0.5, 0.5, 0.4)) == 1
    assert best_epoch(epochs(0.2)) == 0
