"""params.yaml: what is taken and what is refused, in one line that names the key."""

import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, write_params
from dvc.utils.hydra import apply_overrides

from stages.common.files import UserError
from stages.common.params import Params, load_params


def test_the_projects_own_params_are_the_missions():
    params = load_params(ROOT / "params.yaml")
    assert (params.hidden, params.optimizer, params.lr, params.epochs, params.batch_size) == (
        [128, 32],
        "SGD",
        0.002,
        30,
        16,
    )
    assert params.split.model_dump() == {"train": 3200, "val": 800, "test": 1376}


def test_every_parameter_has_its_line_of_comment():
    lines = (ROOT / "params.yaml").read_text().splitlines()
    commented = {line.split(":")[0] for line in lines if re.match(r"^\w+:.*# \w", line)}
    assert commented == set(Params.model_fields)


def test_an_experiment_that_changes_nothing_leaves_every_byte(tmp_path):
    """Else `-S` with the value that is there would make all of params.yaml another file, to git and to `check`."""
    path = shutil.copy(ROOT / "params.yaml", tmp_path)
    apply_overrides(path, ["lr=0.002", "optimizer_args={}"])
    assert Path(path).read_bytes() == (ROOT / "params.yaml").read_bytes()


def test_numbers_written_as_text_are_numbers(workplace):
    (workplace / "params.yaml").write_text((workplace / "params.yaml").read_text().replace("lr: 0.05", "lr: 1e-06"))
    assert load_params().lr == 1e-06


def test_a_key_that_is_given_twice_is_refused(workplace):
    with (workplace / "params.yaml").open("a") as file:
        file.write("lr: 0.06\n")
    with pytest.raises(UserError, match=r"^params.yaml: not YAML: found the key lr twice"):
        load_params()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lr": "abc"}, "lr: found 'abc'"),
        ({"lr": 0}, "lr: found 0: expected greater than 0"),
        ({"lr": float("nan")}, "lr: found nan"),
        ({"lr": float("inf")}, "lr: found inf"),
        ({"dataset": ""}, "dataset: found ''"),
        ({"epochs": -1}, "epochs: found -1: expected greater than or equal to 1"),
        ({"epochs": 2.5}, "epochs: found 2.5"),
        ({"hidden": []}, r"hidden: found \[\]"),
        ({"hidden": [8, 0]}, "hidden.*found 0"),
        ({"runs": None}, "runs: found None"),
        ({"lrr": 3}, r"lrr: found 3: no such parameter, did you mean lr\?$"),
        ({"Lr": 3}, r"Lr: found 3: no such parameter, did you mean lr\?$"),
        ({"zz": 3}, r"zz: found 3: no such parameter$"),
        ({"audio": {"sample_rate": 8000, "on_error": "fail", "samplerate": 1}}, "audio.samplerate: .*mean sample_rate"),
        ({"lr": "0,01"}, "lr: found '0,01': .*: write 0.01$"),
        ({"hidden": 128}, r"hidden: found 128: .*, say \[128\]$"),
        ({"representations": "mfccs"}, r"representations: found 'mfccs': .*, say \[mfccs\]$"),
        ({"network": "rnn"}, "network: found 'rnn': expected one of mlp, cnn"),
        ({"network": {"mfccs": "rnn"}}, "network: found .*expected one of mlp, cnn"),
        ({"dropout": 1}, "dropout: found 1: expected less than 1"),
        ({"dropout": -0.1}, "dropout: found -0.1: expected greater than or equal to 0"),
        ({"label_smoothing": 1}, "label_smoothing: found 1: expected less than 1"),
        ({"input_noise": float("nan")}, "input_noise: found nan: expected less than or equal to 1000"),
        ({"mixup": -0.4}, "mixup: found -0.4: expected greater than or equal to 0"),
        ({"spec_augment": 24}, "spec_augment: found 24: expected a valid dictionary"),
        ({"spec_augment": {"bands": -1, "frames": 0}}, "spec_augment.bands: found -1: expected greater than"),
        ({"spec_augment": {"bands": 2.5, "frames": 0}}, "spec_augment.bands: found 2.5: expected a valid integer"),
        ({"spec_augment": {"bands": 24}}, "spec_augment.frames: found .*required"),
        ({"spec_augment": {"bands": 24, "frames": 4, "frame": 1}}, "spec_augment.frame: .*mean frames"),
        ({"split": {"train": 3, "val": 1, "test": 1, "tests": 1}}, "split.tests: .*mean test"),
        ({"model": "worst"}, "model: found 'worst': expected 'best', 'ensemble', 'svm' or 'all'"),
        ({"schedule": "linear"}, "schedule: found 'linear': expected 'constant' or 'cosine'"),
        ({"class_weights": "even"}, "class_weights: found 'even': expected 'none' or 'balanced'"),
        ({"snapshots": "never"}, "snapshots: found 'never': expected 'improved', 'every' or 'last'"),
        ({"representations": []}, r"representations: found \[\]: expected 'all' or list"),
        ({"representations": ["a", "a"]}, "representations: found .*expected every name once"),
        ({"split": {"train": 0.5, "val": 0, "test": 0.5}}, "split.val: found 0: expected greater than 0"),
        ({"split": {"train": 10, "val": 5}}, "split.test: found None: field required"),
        ({"optimizer_args": {"lr": 1}}, "optimizer_args: found .*the key lr sets it"),
        ({"seed": -1}, "seed: found -1"),
        (
            {"audio": {"sample_rate": 7999, "on_error": "fail"}},
            r"audio.sample_rate: found 7999: expected greater than or equal to 8000",
        ),
    ],
)
def test_bad_values_are_named(workplace, changes, says):
    write_params(**changes)
    with pytest.raises(UserError, match=f"^params.yaml: {says}") as refusal:
        load_params()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("key", "most", "too_much"),
    [
        ("batch_size", 10**9, 10**9 + 1),
        ("seed", 2**32 - 1, 2**32),
        ("split", dict.fromkeys(("train", "val", "test"), 10**12), dict.fromkeys(("train", "val", "test"), 10**12 + 1)),
        ("hidden", [1] * 100, [1] * 101),
        ("hidden", [2**15, 2**15], [2**15, 2**15 + 1]),
        ("epochs", 10**6, 10**6 + 1),
        ("epochs", 1, 0),
        ("runs", 10**4, 10**4 + 1),
        ("runs", 1, 0),
        ("dropout", 0, -1e-9),
        ("label_smoothing", 0, -1e-9),
        ("input_noise", 1000, 1000.1),
        ("mixup", 1000, 1000.1),
        ("dataset", "x" * 1000, "x" * 1001),
        ("audio", {"sample_rate": 8000, "on_error": "fail"}, {"sample_rate": 7980, "on_error": "fail"}),
        ("audio", {"sample_rate": 48000, "on_error": "fail"}, {"sample_rate": 48020, "on_error": "fail"}),
    ],
    ids=str,
)
def test_what_is_just_allowed_and_what_is_not(workplace, key, most, too_much):
    write_params(**{key: most})
    load_params()
    write_params(**{key: too_much})
    with pytest.raises(UserError, match=f"^params.yaml: {key}.*: found "):
        load_params()


def test_of_many_complaints_the_first_twenty_are_told(workplace):
    write_params(**{f"k{number:02}": 1 for number in range(22)})
    with pytest.raises(UserError, match=r"k19: found 1: [^;]*; and 2 more$"):
        load_params()


def test_arguments_that_are_text_stay_text(workplace):
    write_params(optimizer_args={"a": "1e-3", "b": "none of these"})
    assert load_params().optimizer_args == {"a": 0.001, "b": "none of these"}


@pytest.mark.parametrize(
    ("content", "says"), [("lr: [", "not YAML"), ("", "the file: found None"), ("- 1", "the file")]
)
def test_what_is_no_mapping_is_refused(workplace, content, says):
    (workplace / "params.yaml").write_text(content)
    with pytest.raises(UserError, match=says):
        load_params()
