"""Fingerprints: what was not made from the same is refused, whatever it is."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from chain import run_chain
from conftest import write_params

from stages import baselines, compare, evaluate, prepare, report, select, train
from stages.common.files import (
    BASELINES,
    COMPARED,
    DESCRIPTION,
    EVALUATED,
    MODEL,
    PREPARED,
    SELECTED,
    SNAPSHOTS,
    SONGS,
    UserError,
    card_path,
    digest,
    read_json,
    timing_path,
)
from stages.common.fingerprints import fingerprint, of_training, read_cards
from stages.common.params import load_params
from stages.common.records import Card, Description
from stages.common.writing import write_json

HISTORY = SNAPSHOTS / "cpu" / "history.json"


def test_the_same_gives_the_same_and_anything_else_does_not():
    one = {"a": 1, "b": [0.1, None, "x"]}
    assert fingerprint(one, "y") == fingerprint({"b": [0.1, None, "x"], "a": 1}, "y")
    assert len({fingerprint(each) for each in (one, one | {"a": 2}, [one], {}, None, "", 0, 0.1)}) == 8


def test_what_is_learnt_is_of_its_data_and_of_its_parameters():
    assert len({of_training(data, {"lr": lr}) for data in ("a", "b") for lr in (0.1, 0.2)}) == 4


def run(stage, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train", "cpu"] if stage is train else [stage.__name__])
    stage.main()


@pytest.fixture(scope="module")
def chain_once(trained_once, tmp_path_factory):
    """A folder where the whole chain has run: to look at, not to change."""
    folder = tmp_path_factory.mktemp("chain")
    shutil.copytree(trained_once, folder, dirs_exist_ok=True)
    run_chain(folder, "baselines", "select", "evaluate", "compare")
    return folder


@pytest.fixture
def chain(chain_once, workplace):
    """A copy of it, the current folder."""
    shutil.copytree(chain_once, workplace, dirs_exist_ok=True)


def test_prepared_data_tell_what_they_were_made_from(trained):
    first = Description.read(DESCRIPTION).fingerprint
    prepare.main()
    assert Description.read(DESCRIPTION).fingerprint == first
    groups = np.load("data/mine/mfccs/groups.npy")
    for name in ("mfccs", "melgrams"):
        np.save(f"data/mine/{name}/groups.npy", groups + 1)  # the same groups under other names
    prepare.main()
    second = Description.read(DESCRIPTION).fingerprint
    Path("data/mine/audio.json").write_text('{"sample_rate": 16000}')
    prepare.main()
    third = Description.read(DESCRIPTION).fingerprint
    write_params(split_seed=6)
    prepare.main()
    assert len({first, second, third, Description.read(DESCRIPTION).fingerprint}) == 4


def test_every_artefact_says_what_it_was_made_from(chain):
    data, history = read_json(DESCRIPTION)["fingerprint"], read_json(HISTORY)
    assert history["fingerprint"] == of_training(data, history["params"])
    assert read_json(BASELINES)["fingerprint"] == data
    for name in ("mfccs", "melgrams"):
        card = Card.read(card_path(name))
        assert (card.data.fingerprint, card.fingerprint) == (data, history["fingerprint"])
        assert card.weights == digest(MODEL / f"{name}.safetensors")


@pytest.mark.parametrize("reader", [train, baselines, select, evaluate, compare, report])
def test_data_of_another_split_are_refused(chain, monkeypatch, reader):
    write_params(epochs=12, split_seed=6)
    prepare.main()
    write_params(epochs=12)
    with pytest.raises(UserError) as refusal:
        run(reader, monkeypatch)
    assert str(refusal.value) == f"{DESCRIPTION}: was made with split_seed: 6, params.yaml has 0; run `dvc repro`"


@pytest.mark.parametrize("reader", [select, evaluate, compare, report])
def test_another_training_is_refused(chain, monkeypatch, reader):
    write_params(epochs=12, lr=0.01)
    run(train, monkeypatch)
    write_params(epochs=12)
    with pytest.raises(UserError, match=r"cpu/history.json: was made with lr: 0.01, params.yaml has 0.05; run `dvc"):
        run(reader, monkeypatch)


def test_baselines_with_other_weights_are_refused(chain, monkeypatch):
    write_params(epochs=12, class_weights="balanced")
    run(baselines, monkeypatch)
    write_params(epochs=12)
    with pytest.raises(UserError, match=r"baselines.json: was made with class_weights: balanced, params.yaml has none"):
        run(evaluate, monkeypatch)


@pytest.mark.parametrize("reader", [evaluate, report])
def test_a_model_that_is_not_asked_for_any_more_is_refused(chain, monkeypatch, reader):
    write_params(epochs=12, model="ensemble")
    with pytest.raises(UserError, match=r"select.json: was made with model: best, params.yaml has ensemble; run `dvc"):
        run(reader, monkeypatch)
    asked = read_json(SELECTED)
    write_json(SELECTED, asked | {"model": "ensemble"})  # data/model still holds single snapshots
    with pytest.raises(UserError, match=r"select.json: was made from other data or parameters"):
        run(reader, monkeypatch)


@pytest.fixture(scope="module")
def theirs(trained_once, tmp_path_factory):
    """What another run, with other data and parameters, made."""
    folder = tmp_path_factory.mktemp("theirs")
    shutil.copytree(trained_once / "data" / "mine", folder / "data" / "mine")
    with contextlib.chdir(folder):
        write_params(epochs=12, split_seed=6, lr=0.01)
    run_chain(folder, "prepare", "baselines", "train_cpu", "train_gpu", "select")
    return folder


TENSORS = PREPARED / "mfccs.safetensors"
MIXES = [
    *((reader, TENSORS) for reader in (train, baselines, select, evaluate)),
    *((reader, HISTORY) for reader in (select, evaluate, compare, report)),
    (select, SNAPSHOTS / "cpu" / "mfccs"),
    (evaluate, SNAPSHOTS / "cpu" / "mfccs"),
    *((evaluate, path) for path in (BASELINES, SELECTED, MODEL, MODEL / "mfccs.safetensors", MODEL / "mfccs.json")),
    (evaluate, SONGS),
    *((report, path) for path in (SELECTED, MODEL)),
]


@pytest.mark.parametrize(("reader", "mixed"), MIXES)
def test_a_mix_is_refused_in_one_line(chain, theirs, monkeypatch, reader, mixed):
    """One file or folder of another run, as one that still goes on would put it there."""
    if mixed == HISTORY:  # as if somebody had put the parameters right by hand
        write_json(HISTORY, read_json(theirs / HISTORY) | {"params": read_json(HISTORY)["params"]})
    elif mixed.is_relative_to(SNAPSHOTS):  # the files are called alike, run by run and epoch by epoch
        other = next(path for path in (theirs / mixed).rglob("*") if path.is_file())
        for path in [path for path in mixed.rglob("*") if path.is_file()]:
            shutil.copy(other, path)
    elif (theirs / mixed).is_dir():
        shutil.rmtree(mixed)
        shutil.copytree(theirs / mixed, mixed)
    else:
        shutil.copy(theirs / mixed, mixed)
    with pytest.raises(
        UserError, match="was made from other data or parameters than the rest, as an interrupted run"
    ) as no:
        run(reader, monkeypatch)
    assert str(no.value).count("\n") == 0
    assert Path(str(no.value).split(":")[0]).exists()


def of_history(change):
    """Return what changes what was learnt on the MFCCs."""
    return lambda history: change(history["representations"]["mfccs"]["runs"])


EDITS = [  # a file, what of it does not belong to the rest, who reads it
    *(
        (MODEL / "mfccs.json", change, (evaluate, report))
        for change in (
            lambda card: card.update(fingerprint="x"),
            lambda card: card["data"].update(fingerprint="x"),
            lambda card: card["classes"].reverse(),
            lambda card: card["data"]["counts"]["test"].update(pop=1),
            lambda card: card.update(shape=[7]),
            lambda card: card["chosen"].update(epoch=11),
            lambda card: card["chosen"].update(device="gpu"),
            lambda card: card.update(representation="melgrams"),
        )
    ),
    *(
        (HISTORY, change, (select, evaluate, compare, report))
        for change in (
            lambda history: history.update(fingerprint="x"),
            lambda history: history["representations"].pop("mfccs"),
            of_history(lambda runs: runs.pop()),
            of_history(lambda runs: runs[0].extend(runs[0])),
            of_history(lambda runs: [run.clear() for run in runs]),
        )
    ),
    (BASELINES, lambda baselines: baselines.update(fingerprint="x"), (evaluate,)),  # after any hash, and before any
    (BASELINES, lambda baselines: baselines.update(fingerprint="!"), (evaluate,)),
    (BASELINES, lambda baselines: baselines["representations"].pop("mfccs"), (evaluate,)),
    (SELECTED, lambda selection: selection["representations"].pop("mfccs"), (evaluate, report)),
    (EVALUATED, lambda judged: judged.pop("mfccs"), (report,)),
    (EVALUATED, lambda judged: judged["mfccs"]["f1"].pop("pop"), (report,)),
    (COMPARED, lambda compared: compared.pop("mfccs"), (report,)),
    (timing_path("cpu"), lambda timing: timing["representations"].pop("mfccs"), (compare, report)),
]


def test_one_figure_that_does_not_belong_to_the_rest_is_refused(chain, monkeypatch):
    for path, change, readers in EDITS:
        before = path.read_bytes()
        content = read_json(path)
        change(content)
        write_json(path, content)
        for reader in readers:
            with pytest.raises(UserError, match="was made from other data or parameters than the rest"):
                run(reader, monkeypatch)
        path.write_bytes(before)


def test_a_parameter_that_was_not_known_then_is_named(chain, monkeypatch):
    for path in (DESCRIPTION, HISTORY):
        content = read_json(path)
        key = next(iter(content["params"]))
        content["params"].pop(key)
        write_json(path, content)
        with pytest.raises(UserError, match=rf"{path}: was made with {key}: None, params.yaml has .*; run `dvc repro`"):
            run(select, monkeypatch)
        write_json(path, content | {"params": content["params"] | {key: load_params().model_dump()[key]}})


def test_a_card_under_another_name_is_refused(chain):
    shutil.copy(MODEL / "mfccs.json", MODEL / "other.json")
    with pytest.raises(UserError, match=r"^data/model/other.json: was made from other data or parameters"):
        read_cards()


def test_weights_that_are_not_the_cards_are_refused(chain, monkeypatch):
    """Of the same training, but of another epoch: the model's card knows the very bytes."""
    chosen = (MODEL / "mfccs.safetensors").read_bytes()
    other = next(path for path in sorted((SNAPSHOTS / "cpu" / "mfccs").rglob("*")) if path.is_file())
    assert other.read_bytes() != chosen
    shutil.copy(other, MODEL / "mfccs.safetensors")
    with pytest.raises(UserError, match=r"model/mfccs.safetensors: was made from other"):
        run(evaluate, monkeypatch)
