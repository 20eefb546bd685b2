"""select: the best snapshot wins, and is copied beside a card that rebuilds it."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT, write_params
from safetensors.torch import load_file
from sklearn.metrics import f1_score

from stages import select, train
from stages.common.files import (
    DESCRIPTION,
    SELECTED,
    card_path,
    history_path,
    snapshot_path,
    tensors_path,
    weights_path,
)
from stages.common.params import TRAINING, load_params
from stages.common.records import Card, Choice, Description, Epoch, History, Runs
from stages.common.results import Selection
from stages.models.snapshots import load_chosen, load_model, members_of


def history(*runs):
    runs = [[Epoch(train_loss=0, val_loss=0, val_accuracy=0, val_f1_macro=f1) for f1 in run] for run in runs]
    return History(fingerprint="t", params={}, representations={"mfccs": Runs(network="mlp", runs=runs)})


@pytest.mark.parametrize(
    ("cpu", "gpu", "chosen"),
    [
        (([0.1, 0.5], [0.6, 0.2]), ([0.3, 0.4],), ("cpu", 1, 0, 0.6)),
        (([0.1, 0.5],), ([0.3, 0.7],), ("gpu", 0, 1, 0.7)),
        (([0.1, 0.5, 0.5], [0.5, 0.2]), ([0.5, 0.4],), ("cpu", 0, 1, 0.5)),
        (([], [0.2]), ([0.1],), ("cpu", 1, 0, 0.2)),
    ],
)
def test_the_highest_macro_f1_wins_and_ties_go_to_the_first(cpu, gpu, chosen):
    choice = select.choose({"cpu": history(*cpu), "gpu": history(*gpu)}, "mfccs")
    assert choice == Choice(**dict(zip(("device", "run", "epoch", "val_f1_macro"), chosen, strict=True)))


def test_the_choice_is_copied_beside_a_card_that_rebuilds_it(trained):
    select.main()
    selection = Selection.read(SELECTED)
    assert set(selection.representations) == {"mfccs", "melgrams"}
    assert selection.model == "best"
    assert selection.best == max(
        selection.representations, key=lambda name: selection.representations[name].val_f1_macro
    )
    for name, choice in selection.representations.items():
        source = snapshot_path(choice.device, name, choice.run, choice.epoch)
        assert weights_path(name).read_bytes() == source.read_bytes()
        card = Card.read(card_path(name))
        assert card.members == [card.chosen] == [choice]
        assert card.classes == ["blues", "pop", "rock"]
        assert card.front_end is None  # samples of other shapes than the front end gives
        assert np.shape(card.mean) == np.shape(card.std) == card.shape
        assert card.params == load_params().model_dump(mode="json", include=set(TRAINING))
        assert (card.hidden, card.network, card.data.counts) == ([8], "mlp", Description.read(DESCRIPTION).counts)
        # The card and the weights alone give the validation score that the choice rests on.
        data = load_file(tensors_path(name))
        with torch.inference_mode():
            predicted = load_model(card, weights_path(name))(data["val_x"]).argmax(dim=1)
        assert f1_score(data["val_y"], predicted, average="macro") == pytest.approx(choice.val_f1_macro)


def test_an_ensemble_is_every_runs_best_snapshot_in_one_file(trained):
    write_params(epochs=12, model="ensemble")
    select.main()
    selection, history = Selection.read(SELECTED), History.read(history_path("cpu"))
    assert selection.model == "ensemble"
    for name, choice in selection.representations.items():
        card, best, together = Card.read(card_path(name)), {}, load_file(weights_path(name))
        for run, epochs in enumerate(history.representations[name].runs):
            f1 = [epoch.val_f1_macro for epoch in epochs]
            best[run] = f1.index(max(f1))
            for key, value in load_file(snapshot_path("cpu", name, run, best[run])).items():
                assert torch.equal(together.pop(f"{run}.{key}"), value)
        assert together == {}
        assert {member.run: member.epoch for member in card.members} == best
        assert card.chosen == choice == max(card.members, key=lambda member: member.val_f1_macro)
        model, x = load_chosen(card, card_path(name)), load_file(tensors_path(name))["val_x"]
        alone = [load_model(card, snapshot_path("cpu", name, *place)) for place in best.items()]
        with torch.inference_mode():
            mean = torch.stack([torch.softmax(member(x), dim=1) for member in alone]).mean(dim=0)
            torch.testing.assert_close(torch.softmax(model(x), dim=1), mean, rtol=0, atol=1e-6)
        assert not any(module.training for module in model.modules())


def test_an_ensemble_of_one_run_is_its_snapshot(trained, monkeypatch):
    write_params(epochs=12, runs=1, model="ensemble")
    monkeypatch.setattr(sys, "argv", ["train", "cpu"])
    train.main()
    select.main()
    for name, choice in Selection.read(SELECTED).representations.items():
        source = snapshot_path("cpu", name, choice.run, choice.epoch)
        assert weights_path(name).read_bytes() == source.read_bytes()
        assert Card.read(card_path(name)).members == [choice]


def test_a_run_without_an_epoch_is_no_member():
    runs = history([0.1, 0.5], [], [0.4, 0.4]).representations["mfccs"].runs
    choice = Choice(device="gpu", run=0, epoch=1, val_f1_macro=0.5)
    assert members_of("best", choice, runs) == [choice]
    third = Choice(device="gpu", run=2, epoch=0, val_f1_macro=0.4)
    assert members_of("ensemble", choice, runs) == [choice, third]


def test_it_needs_no_torch():
    code = "import sys; import stages.select; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
