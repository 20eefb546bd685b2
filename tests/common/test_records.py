"""Records: what is written comes back, and what is damaged or of another make is named in one line."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from stages.common.files import UserError
from stages.common.records import (
    Choice,
    Classes,
    Lengths,
    Skipped,
    Source,
    few_songs,
    read_by_name,
    read_or_skipped,
    read_table,
    write_by_name,
)
from stages.common.results import Judgement, Selection, Timing

HARDWARE = {"cpu": "a", "cores": 1, "instruction_set": "AVX2", "versions": {"torch": "2"}}
CHOICE = Choice(device="cpu", run=1, epoch=2, val_f1_macro=0.5)
# Names like keys of our own:
SELECTION = Selection(best="cpu", model="best", representations={"best": CHOICE, "cpu": CHOICE})


def test_what_is_written_comes_back(tmp_path):
    path = tmp_path / "select.json"
    SELECTION.write(path)
    assert Selection.read(path) == SELECTION
    assert json.loads(path.read_text())["representations"]["best"]["epoch"] == 2
    write_by_name(path, {"best": CHOICE})
    assert read_by_name(Choice, path) == {"best": CHOICE}


@pytest.mark.parametrize(
    ("kind", "most", "beyond"),
    [(Classes, ["a", "b"], ["a"]), (Lengths, (2**15, 2**15), (2**15, 2**15 + 1))],
    ids=["two classes", "a sample of 4 GiB"],
)
def test_the_border_is_taken_and_what_is_beyond_refused(kind, most, beyond):
    assert TypeAdapter(kind).validate_python(most) == most
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(beyond)


def test_keys_that_were_never_given_are_not_written(tmp_path):
    Timing(hardware=HARDWARE, start_seconds=1, representations={}).write(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["hardware"] == HARDWARE
    assert set(json.loads((tmp_path / "a.json").read_text())) == {"hardware", "start_seconds", "representations"}


def test_a_device_may_have_been_skipped(tmp_path):
    path = tmp_path / "train_gpu.json"
    Skipped(skipped="no GPU").write(path)
    assert read_or_skipped(Timing, path) == Skipped(skipped="no GPU")
    Timing(hardware=HARDWARE, start_seconds=1, representations={}).write(path)
    assert isinstance(read_or_skipped(Timing, path), Timing)
    path.write_text('{"hardware": {}}')
    with pytest.raises(UserError, match=r"train_gpu.json: hardware.cpu: Field required"):
        read_or_skipped(Timing, path)


def test_few_songs_are_told_by_part_and_class():
    groups = {"train": {"a": 5, "b": 4}, "val": {"a": 5, "b": 9}, "test": {"a": 1, "b\n": 2}}
    known = {"dataset": "a", "sample_rate": None, "split": "given", "standardize": True}
    source = Source(**known, groups=groups, unit="track")
    assert few_songs(source) == "fewer than 5 songs of a class: train has 4 of b; test has 1 of a, 2 of b\\n"
    assert few_songs(source, ("train", "val")) == "fewer than 5 songs of a class: train has 4 of b"
    artists = Source(**known, groups=groups, unit="group")
    assert few_songs(artists, ("train",)) == "fewer than 5 groups of a class: train has 4 of b"
    assert few_songs(source, ("val",)) == few_songs(Source(**known, groups=None, unit="block")) == ""


def test_a_table_has_its_columns_of_their_types(tmp_path):
    path, columns = tmp_path / "a.json", {"class": str, "f1": float, "low": float | None}
    path.write_text('[{"class": "a", "f1": 1, "low": null}]')
    assert read_table(path, columns) == [{"class": "a", "f1": 1, "low": None}]
    for content, says in {
        "{}": "the file: Input should be a valid list",
        "[]": "the file: List should have at least 1 item",
        "[1]": "0: Input should be a valid dictionary",
        '[{"class": "a", "f1": 1}]': "0.low: Field required",
        '[{"class": 1, "f1": 1, "low": 1}]': "0.class: Input should be a valid string",
        '[{"class": "a", "f1": 1e999, "low": 1}]': "0.f1: Input should be a finite number",
        '[{"class": "a", "f1": 1, "low": 1, "b": 1}]': "0.b: Extra inputs",
    }.items():
        path.write_text(content)
        with pytest.raises(UserError, match=rf"a.json: {says}.*; remove it and run `dvc repro`"):
            read_table(path, columns)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ("[]", "the file: "),
        ('{"best": "a", "model": "best"}', "representations: Field required"),
        (
            '{"best": "a", "model": "best", "representations": {"a": {"device": "cpu"}}}',
            r"representations\.a\.run: Field required",
        ),
        ('{"best": "a", "model": "best", "representations": {}, "mfccs": {}}', "mfccs: Extra inputs are not permitted"),
    ],
)
def test_what_is_damaged_or_of_another_make_is_named(tmp_path, content, says):
    path = tmp_path / "select.json"
    path.write_text(content)
    with pytest.raises(UserError, match=rf"select\.json: {says}") as refusal:
        Selection.read(path)
    assert "\n" not in str(refusal.value)
    with pytest.raises(UserError, match=r"nowhere\.json: not found"):
        read_by_name(Judgement, tmp_path / "nowhere.json")
