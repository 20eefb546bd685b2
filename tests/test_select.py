"""select: the best snapshot wins, and is copied beside a card that rebuilds it."""

import sys

import numpy as np
import pytest
import torch
from conftest import write_params
from safetensors.torch import load_file
from sklearn.metrics import f1_score

from stages import select, train
from stages.common.files import (
    DESCRIPTION,
    SELECTED,
    UserError,
    card_path,
    history_path,
    snapshot_path,
    tensors_path,
    weights_path,
)
from stages.common.fingerprints import read_description, read_histories
from stages.common.joint import JOINT, Joint
from stages.common.params import TRAINING, load_params
from stages.common.records import Card, Choice, Description, Epoch, History, Runs
from stages.common.results import Selection
from stages.models import svm
from stages.models.calibration import fit_temperature
from stages.models.snapshots import check_chosen, load_chosen, load_model, members_of


def history(*runs, snapshots="improved"):
    runs = [[Epoch(train_loss=0, val_loss=0, val_accuracy=0, val_f1_macro=f1) for f1 in run] for run in runs]
    learnt = {"mfccs": Runs(network="mlp", runs=runs)}
    return History(fingerprint="t", params={"snapshots": snapshots}, representations=learnt)


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


def test_where_only_the_last_is_kept_it_stands_for_its_run():
    kept = history([0.9, 0.5], [], [0.8, 0.1, 0.6], snapshots="last")
    choice = select.choose({"cpu": kept}, "mfccs")
    assert choice == Choice(device="cpu", run=2, epoch=2, val_f1_macro=0.6)
    assert [(each.run, each.epoch) for each in members_of("ensemble", choice, kept, "mfccs")] == [(0, 1), (2, 2)]


def test_a_run_without_an_epoch_is_no_member():
    of = (history([0.1, 0.5], [], [0.4, 0.4]), "mfccs")
    choice = Choice(device="gpu", run=0, epoch=1, val_f1_macro=0.5)
    assert members_of("best", choice, *of) == [choice]
    third = Choice(device="gpu", run=2, epoch=0, val_f1_macro=0.4)
    assert members_of("ensemble", choice, *of) == members_of("all", choice, *of) == [choice, third]
    assert members_of("svm", choice, *of) == []


def machine_of(data):
    """Return what a support vector machine learns, calibrated."""
    machine = svm.fit(data["train_x"].numpy(), data["train_y"].numpy(), None)
    svm.calibrate(machine, data["val_x"], data["val_y"], data["train_y"])
    return machine


@pytest.mark.parametrize("model", ["svm", "all"])
def test_a_support_vector_machine_learns_alone_or_beside_the_ensemble(trained, model):
    write_params(epochs=12, model="ensemble")
    select.main()
    networks = {name: load_chosen(Card.read(card_path(name)), card_path(name)) for name in ("mfccs", "melgrams")}
    write_params(epochs=12, model=model)
    select.main()
    selection, f1 = Selection.read(SELECTED), {}
    assert selection.model == model
    for name, choice in selection.representations.items():
        card, data = Card.read(card_path(name)), load_file(tensors_path(name))
        machine = machine_of(data)
        assert (card.chosen, card.vectors) == (choice, len(machine[1].vectors))
        assert len(card.members) == {"svm": 0, "all": 2}[model]
        with torch.inference_mode():
            x, y = data["val_x"], data["val_y"]
            logits = load_chosen(card, card_path(name))(x)
            each = [machine(x), *([networks[name](x)] if model == "all" else [])]
            expected = sum(torch.softmax(one, dim=1) for one in each) / len(each)
        torch.testing.assert_close(torch.softmax(logits, dim=1), expected, rtol=0, atol=1e-6)
        assert card.temperature == pytest.approx(fit_temperature(logits, y, data["train_y"]), rel=1e-5)
        assert (abs(card.temperature - 1) < 1e-4) == (model == "svm"), "which is calibrated itself"
        f1[name] = card.val_f1_macro
        assert f1[name] == pytest.approx(f1_score(y, logits.argmax(dim=1), average="macro"))
    assert selection.best == max(f1, key=f1.get)
    assert JOINT.exists() == (model == "all")


def test_a_joint_model_is_the_mean_of_the_representations(trained, capsys):
    write_params(epochs=12, model="all")
    select.main()
    probabilities = []
    for name in ("melgrams", "mfccs"):
        model, data = load_chosen(Card.read(card_path(name)), card_path(name)), load_file(tensors_path(name))
        with torch.inference_mode():
            probabilities.append(torch.softmax(model(data["val_x"]).double(), dim=1))
    joint, y, mean = Joint.read(JOINT), data["val_y"], sum(probabilities) / 2
    assert joint.representations == ["melgrams", "mfccs"]
    assert joint.temperature == pytest.approx(fit_temperature(torch.log(mean), y, data["train_y"]), rel=1e-5)
    assert joint.val_f1_macro == pytest.approx(f1_score(y, mean.argmax(dim=1), average="macro"))
    assert "select: melgrams + mfccs: mean of the others, temperature " in capsys.readouterr().out


def test_a_machine_weighs_classes_as_the_networks_did(trained, monkeypatch):
    asked, fit = [], svm.fit
    monkeypatch.setattr(svm, "fit", lambda x, y, class_weight: asked.append(class_weight) or fit(x, y, class_weight))
    for weights in ("none", "balanced"):
        select.learn("mfccs", Description.read(DESCRIPTION), weights)
    assert asked == [None, "balanced"]


def test_of_many_samples_a_machine_learns_some_of_every_class(monkeypatch):
    monkeypatch.setattr(select, "MOST_SAMPLES", 20)
    y = np.array([*[0] * 500, *range(1, 30), *[0] * 500])  # a sample of each of the others
    rows = select.some_of(y)
    assert set(y[rows]) == set(range(30))
    assert 20 <= len(rows) <= 50
    assert (np.diff(rows) > 0).all()


@pytest.mark.parametrize("best", ["melgrams", "mfccs"])
def test_the_best_representation_is_that_of_the_best_model(trained, monkeypatch, best):
    f1 = iter([0.6, 0.4] if best == "melgrams" else [0.4, 0.6])
    monkeypatch.setattr(select, "judge", lambda *_: {"temperature": 1.0, "val_f1_macro": next(f1)})
    select.main()
    assert Selection.read(SELECTED).best == best


def test_a_machine_that_was_not_asked_for_is_refused(trained):
    select.main()
    card, histories = Card.read(card_path("mfccs")), read_histories(read_description())
    check_chosen(card, "mfccs", Selection.read(SELECTED), histories)
    with pytest.raises(UserError, match=r"select\.json: was made from other data or parameters"):
        check_chosen(card.model_copy(update={"vectors": 5}), "mfccs", Selection.read(SELECTED), histories)
