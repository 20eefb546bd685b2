"""Every parameter does something: what it is there for changes when it changes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import make_arrays, save_arrays, save_dataset, write_params
from pydantic import BaseModel
from safetensors.numpy import load_file

from stages import features, prepare, select, train
from stages.common import tasks
from stages.common.files import PREPARED, SNAPSHOTS, UserError, read_json, weights_path
from stages.common.params import Params

# A parameter, what it is changed to, and what must differ then: the prepared tensors, or what is learnt from the same.
CHANGES = {
    "dataset": ({"dataset": "data/other"}, "prepared"),
    "representations": ({"representations": ["mfccs"]}, "prepared"),
    "split.train": ({"split": {"train": 0.5, "val": 0.3, "test": 0.2}}, "prepared"),
    "split.val": ({"split": {"train": 0.6, "val": 0.3, "test": 0.1}}, "prepared"),
    "split.test": ({"split": {"train": 0.5, "val": 0.2, "test": 0.3}}, "prepared"),
    "split_seed": ({"split_seed": 1}, "prepared"),
    "standardize": ({"standardize": False}, "prepared"),
    "network": ({"network": {"mfccs": "mlp", "melgrams": "cnn"}}, "learnt"),
    "hidden": ({"hidden": [7]}, "learnt"),
    "dropout": ({"dropout": 0.5}, "learnt"),
    "optimizer": ({"optimizer": "Adam"}, "learnt"),
    "optimizer_args": ({"optimizer_args": {"momentum": 0.9}}, "learnt"),
    "lr": ({"lr": 0.02}, "learnt"),
    "schedule": ({"schedule": "cosine"}, "learnt"),
    "epochs": ({"epochs": 3}, "learnt"),
    "batch_size": ({"batch_size": 8}, "learnt"),
    "runs": ({"runs": 1}, "learnt"),
    "seed": ({"seed": 1}, "learnt"),
    "snapshots": ({"snapshots": "every"}, "learnt"),
}
USUAL = {"epochs": 4}  # so many that not every epoch is an improvement
# Held by the last tests of this file:
ELSEWHERE = {"class_weights", "model", "audio.sample_rate", "audio.on_error", "scheduler"}


def leaves(model: type[BaseModel], before: str = "") -> set[str]:
    """Return the names of all parameters, as `-S` takes them."""
    names = set()
    for name, field in model.model_fields.items():
        inner = field.annotation
        is_model = isinstance(inner, type) and issubclass(inner, BaseModel)
        names |= leaves(inner, f"{before}{name}.") if is_model else {before + name}
    return names


def test_no_parameter_is_missing_here():
    assert CHANGES.keys() | ELSEWHERE == leaves(Params)


def outcome() -> dict:
    """Prepare and train; return the tensors, and epochs and weights, without what only repeats the parameters."""
    prepare.main()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train", "cpu"])
        train.main()
    history = read_json(SNAPSHOTS / "cpu" / "history.json")["representations"]

    def tensors(folder):
        files = sorted(folder.rglob("*.safetensors"))
        return {
            f"{path.relative_to(folder)} {name}": array.tobytes()
            for path in files
            for name, array in load_file(path).items()
        }

    learnt = {name: about["runs"] for name, about in history.items()}
    return {"prepared": tensors(PREPARED), "learnt": [learnt, tensors(SNAPSHOTS / "cpu")]}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parameters")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        save_dataset(folder / "data" / "mine")
        save_arrays(folder / "data" / "other" / "mfccs", *make_arrays(shape=(6,), seed=1))
        yield folder


@pytest.fixture(scope="module")
def usual(place):
    write_params(**USUAL)
    return outcome()


@pytest.mark.parametrize("parameter", CHANGES)
def test_a_change_changes_what_it_is_for(place, usual, parameter):
    changes, what = CHANGES[parameter]
    write_params(**(USUAL | changes))
    changed = outcome()
    assert changed["learnt"] != usual["learnt"]
    assert (changed["prepared"] != usual["prepared"]) == (what == "prepared")


def test_nothing_changes_of_itself(place, usual):
    write_params(**USUAL)
    assert outcome() == usual


def test_the_weights_of_classes(workplace):
    X, labels, groups = make_arrays()
    kept = (labels != "rock") | (groups % 2 == 0)
    save_arrays(workplace / "data" / "mine" / "mfccs", X[kept], labels[kept], groups[kept])
    outcomes = []
    for weights in ("none", "balanced"):
        write_params(class_weights=weights)
        outcomes.append(outcome())
    assert outcomes[0]["prepared"] == outcomes[1]["prepared"]
    assert outcomes[0]["learnt"] != outcomes[1]["learnt"]


def test_what_the_model_is(trained):
    names = []
    for model in ("best", "ensemble"):
        write_params(epochs=12, model=model)
        select.main()
        names.append(set(load_file(weights_path("mfccs"))))
    assert names[1] == {f"{run}.{name}" for run in range(2) for name in names[0]}


@pytest.fixture
def songs(workplace):
    for genre in ("folk", "jazz"):
        for name in ("a", "b", "c"):
            path = workplace / "data" / "audio" / genre / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = np.random.default_rng([ord(name), ord(genre[0])]).uniform(-0.5, 0.5, 16000)
            soundfile.write(path, sound, 16000)


def hear(scheduler=None, **audio):
    defaults = {"sample_rate": 8000, "on_error": "fail"}
    write_params(dataset="data/features", audio=defaults | audio, scheduler=scheduler)
    features.main()
    return np.load(features.FEATURES / "mfccs" / "X.npy")


def test_the_sampling_rate(songs):
    assert np.abs(hear() - hear(sample_rate=16000)).max() > 0.1
    assert read_json(features.FEATURES / "audio.json") == {"sample_rate": 16000}


def test_what_a_bad_song_does(songs):
    Path("data/audio/jazz/d.wav").write_text("no sound")
    with pytest.raises(UserError, match="1 of 7 tracks cannot be used"):
        hear()
    assert len(hear(on_error="skip")) == 6


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://127.0.0.1:9"])
def test_the_scheduler(songs, monkeypatch, address):
    monkeypatch.setattr(tasks, "CONNECT_SECONDS", 0.5)
    with pytest.raises(UserError, match=rf"^{address}: found no Dask scheduler"):
        hear(scheduler=address)
