"""Data sets: three layouts, and every array checked."""

from pathlib import Path

import numpy as np
import pytest
from conftest import make_arrays, save_arrays, save_dataset

from stages.files import UserError
from stages.learning.dataset import check_classes, encode, load_dataset
from stages.records import PARTS


def test_all_three_layouts_hold_the_same_samples(tmp_path):
    X, labels, groups = make_arrays()
    save_arrays(tmp_path / "a" / "mfccs", X, labels, groups)
    save_arrays(tmp_path / "b", X, labels, groups)
    for part, rows in zip(PARTS, (slice(0, 72), slice(72, 96), slice(96, 120)), strict=True):
        save_arrays(tmp_path / "c" / part / "mfccs", X[rows], labels[rows], groups[rows])
    for folder, name in (("a", "mfccs"), ("b", "b"), ("c", "mfccs")):
        dataset = load_dataset(tmp_path / folder)
        assert list(dataset.representations) == [name]
        for mine, theirs in zip(dataset.representations[name], (X, labels, groups), strict=True):
            np.testing.assert_array_equal(mine, theirs)
        assert (dataset.given_parts is None) == (folder != "c")
    assert [len(dataset.given_parts[part]) for part in PARTS] == [72, 24, 24]


@pytest.mark.parametrize("classes", [("a", "b"), (7, 30, 4)])
def test_classes_come_from_the_data(classes):
    names, numbers = encode(make_arrays(classes=classes)[1])
    assert names == [str(name) for name in sorted(classes)]
    assert numbers.dtype == np.int64


def truncate(path: Path):
    path.write_bytes(path.read_bytes()[:-100])


def spoil(value):
    def change(path: Path):
        X = np.load(path)
        X[5, 0] = value
        np.save(path, X)

    return change


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        ("X.npy", truncate, "truncated or not a .npy file"),
        ("X.npy", lambda path: path.write_text("no array"), "truncated or not a .npy file"),
        ("X.npy", lambda path: path.write_bytes(b""), "truncated or not a .npy file"),
        ("X.npy", spoil(np.nan), "found NaN, infinity or numbers beyond float32 in 1 of 120 samples .first: sample 5."),
        ("X.npy", spoil(np.inf), "found NaN, infinity or"),
        ("X.npy", spoil(1e300), "found NaN, infinity or numbers beyond float32 in 1 of 120"),
        ("X.npy", spoil(-1e39), "found NaN, infinity or numbers beyond float32 in 1 of 120"),
        ("X.npy", lambda path: np.save(path, np.array([{}] * 120)), "found Python objects .a pickle."),
        ("X.npy", lambda path: np.save(path, np.zeros(120)), "expected numbers of shape .samples, ...."),
        ("X.npy", lambda path: np.save(path, np.zeros((119, 6))), "labels.npy: found 120 entries, expected 119"),
        ("X.npy", lambda path: np.save(path, np.zeros((0, 6))), "expected numbers"),
        ("labels.npy", Path.unlink, "labels.npy: not found"),
        ("labels.npy", lambda path: np.save(path, np.zeros(120)), "expected strings or integers"),
        ("labels.npy", lambda path: np.save(path, np.array(["a"] * 120)), "disagree"),
        ("labels.npy", lambda path: np.save(path, np.array([["a"]] * 120)), "expected strings or integers of shape"),
        ("groups.npy", Path.unlink, "groups.npy disagree"),
        ("groups.npy", lambda path: np.save(path, np.arange(7)), "groups.npy: found 7 entries, expected 120"),
    ],
)
def test_bad_arrays_are_named(tmp_path, file, change, says):
    save_dataset(tmp_path)
    change(tmp_path / "mfccs" / file)
    with pytest.raises(UserError, match=says) as refusal:
        load_dataset(tmp_path)
    assert "\n" not in str(refusal.value)
    assert file.split(".")[0] in str(refusal.value) or "labels" in str(refusal.value)


@pytest.mark.parametrize(
    ("X", "labels", "found"),
    [
        (np.zeros((24, 5)), np.array(["a"] * 24), r"\(5,\) with <U1 labels, expected \(6,\) with <U5"),
        (np.zeros((24, 6)), np.arange(24), r"\(6,\) with int64 labels, expected \(6,\) with <U5"),
    ],
)
def test_parts_that_are_not_alike_are_named(tmp_path, X, labels, found):
    for odd in PARTS[1:]:
        for part in PARTS:
            save_arrays(tmp_path / odd / part / "mfccs", *make_arrays())
        save_arrays(tmp_path / odd / odd / "mfccs", X, labels, np.arange(24))
        with pytest.raises(UserError, match=rf"/{odd}/mfccs: found samples of shape {found} as in train"):
            load_dataset(tmp_path / odd)


def test_parts_hold_the_same_representations(tmp_path):
    for part, name in zip(PARTS, ("mfccs", "mfccs", "other"), strict=True):
        save_arrays(tmp_path / part / name, *make_arrays())
    with pytest.raises(UserError, match=r"/test: found other, expected mfccs as in train$"):
        load_dataset(tmp_path)


def test_missing_folders_and_parts_are_named(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"found no X.npy"):
        load_dataset(tmp_path)
    save_dataset(tmp_path / "d" / "train")
    with pytest.raises(UserError, match="found train but no val, test"):
        load_dataset(tmp_path / "d")
    with pytest.raises(UserError, match="found melgrams, mfccs, expected wav too"):
        load_dataset(tmp_path / "d" / "train", ["mfccs", "wav"])


def test_classes_must_be_in_every_part():
    labels = np.array([0, 0, 1, 1, 0, 1])
    with pytest.raises(UserError, match="class b has no sample in the train part"):
        check_classes(["a", "b"], labels, {"train": np.array([0, 1])})
    with pytest.raises(UserError, match="one class only"):
        check_classes(["a"], labels, {})
