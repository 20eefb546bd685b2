"""Data sets: four layouts, and every array checked."""

import shutil
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from conftest import make_arrays, save_arrays, save_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

import stages.arrays.npy
from stages.arrays.dataset import encode, load_dataset, numbered
from stages.arrays.npy import ArrayFile, blocks_of
from stages.common.files import UserError
from stages.common.records import PARTS


def test_all_layouts_hold_the_same_samples(tmp_path):
    X, labels, groups = make_arrays()
    save_arrays(tmp_path / "a" / "mfccs", X, labels, groups)
    save_arrays(tmp_path / "b", X, labels, groups)
    for part, rows in zip(PARTS, (slice(0, 72), slice(72, 96), slice(96, 120)), strict=True):
        save_arrays(tmp_path / "c" / part / "mfccs", X[rows], labels[rows], groups[rows])
        save_arrays(tmp_path / "d" / part, X[rows], labels[rows], groups[rows])
    layouts = {"a": ["a/mfccs"], "b": ["b"]}
    layouts |= {"c": [f"c/{part}/mfccs" for part in PARTS], "d": [f"d/{part}" for part in PARTS]}
    for folder, places in layouts.items():
        dataset = load_dataset(tmp_path / folder)
        ((name, arrays),) = dataset.representations.items()
        assert name == (folder if folder in "bd" else "mfccs")
        assert arrays.tracks is None
        for mine, theirs in zip(arrays[:3], (X, labels, groups), strict=True):
            assert len(mine) == len(places)
            np.testing.assert_array_equal(np.concatenate([block for _, block in blocks_of(mine)]), theirs)
        assert [file.path.relative_to(tmp_path).as_posix() for file in dataset.files] == [
            f"{place}/{file}.npy" for place in places for file in ("X", "labels", "groups")
        ]
        if folder in "ab":
            assert dataset.given_parts is None
        else:
            np.testing.assert_array_equal(dataset.given_parts, [0] * 72 + [1] * 24 + [2] * 24)


@pytest.mark.parametrize("classes", [("a", "b"), (7, 30, 4)])
def test_classes_come_from_the_data(classes):
    names, numbers = encode(Path("data"), [make_arrays(classes=classes)[1]])
    assert names == [str(name) for name in sorted(classes)]
    assert numbers.dtype == np.int8


@pytest.mark.parametrize(("n", "kind"), [(128, np.int8), (129, np.int16), (32_768, np.int16), (32_769, np.int32)])
def test_numbers_are_of_the_smallest_type_that_holds_them(tmp_path, n, kind):
    entries = np.repeat(np.arange(n), 2)
    np.save(tmp_path / "groups.npy", entries)
    for numbers in (encode(Path("data"), [entries])[1], numbered([ArrayFile(tmp_path / "groups.npy")])[1]):
        assert numbers.dtype == kind
        np.testing.assert_array_equal(numbers, entries)


@settings(max_examples=100)
@given(
    names=st.lists(st.sampled_from(["b", "a", "ä", "aa", "Z", "日本"]), min_size=1, max_size=60),
    times=st.integers(1, 4),
    cuts=st.lists(st.integers(1, 239), max_size=5),
    integers=st.booleans(),
)
def test_numbers_are_those_of_numpy_however_the_entries_come(tmp_path_factory, names, times, cuts, integers):
    """Labels by class, groups by track; strings and integers; in runs and mixed; in several files and blocks."""
    entries = np.repeat(names, times)
    if integers:
        entries = np.unique(entries, return_inverse=True)[1].astype(">i2") * 7 - 10
    pieces = np.split(entries, sorted({cut for cut in cuts if cut < len(entries)}))
    expected, numbers = np.unique(entries, return_inverse=True)
    classes, found = encode(Path("data"), pieces)
    assert classes == [str(each) for each in expected.tolist()]
    np.testing.assert_array_equal(found, numbers)
    folder, files = tmp_path_factory.mktemp("groups"), []
    for i, piece in enumerate(pieces):
        np.save(folder / f"{i}.npy", piece if integers else piece.astype(f"U{2 + i}"))
        with patch.object(stages.arrays.npy, "BLOCK", 64 * 7):
            files.append(ArrayFile(folder / f"{i}.npy"))
    names, found = numbered(files)
    assert [str(each) for each in names] == [str(each) for each in expected.tolist()]
    np.testing.assert_array_equal(found, numbers)
    assert found.dtype == np.int8  # a data set of a million tracks has thirty million samples


def test_groups_that_are_integers_here_and_strings_there_are_names(tmp_path):
    for i, groups in enumerate((np.array([7, 7, 12]), np.array(["7", "x"]), np.array([3], np.uint64))):
        np.save(tmp_path / f"{i}.npy", groups)
    files = [ArrayFile(tmp_path / f"{i}.npy") for i in range(3)]
    names, numbers = numbered(files)
    assert (names, numbers.tolist()) == (["12", "3", "7", "x"], [2, 2, 0, 2, 3, 1])
    assert numbered([files[0], files[2]])[1].tolist() == [2, 2, 0, 1]  # no integers of NumPy hold both kinds


def truncate(path: Path):
    path.write_bytes(path.read_bytes()[:-100])


def no_text(path: Path):
    """Return the file with its last character, of a string shorter than the longest, made one that does not exist."""
    return path.read_bytes()[:-4] + (0x110000).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        ("X.npy", truncate, "truncated or not a .npy file"),
        ("X.npy", lambda path: path.write_text("no array"), "truncated or not a .npy file"),
        ("X.npy", lambda path: path.write_bytes(b""), "truncated or not a .npy file"),
        ("X.npy", lambda path: np.save(path, np.array([{}] * 120)), "found Python objects .a pickle."),
        ("X.npy", lambda path: np.save(path, np.zeros(120)), "expected numbers of shape .samples, ...."),
        ("X.npy", lambda path: np.save(path, np.zeros((119, 6))), "labels.npy: found 120 entries, expected 119"),
        ("X.npy", lambda path: np.save(path, np.zeros((0, 6))), "expected numbers"),
        (
            "X.npy",
            lambda path: np.save(path, np.zeros((6, 120))),
            r"expected 6, .* of shape \(6, 120\): is X transposed",
        ),
        ("labels.npy", Path.unlink, "labels.npy: not found"),
        (
            "labels.npy",
            lambda path: np.save(path, np.zeros(120)),
            r"expected strings or .*; if they are whole numbers, save labels.astype\(int\)$",
        ),
        (
            "labels.npy",
            lambda path: np.save(path, np.zeros((120, 1), int)),
            r"expected strings .*; save labels\[:, 0\]$",
        ),
        ("labels.npy", lambda path: np.save(path, np.eye(120)), r"if they are one-hot, save labels.argmax\(axis=1\)$"),
        ("groups.npy", lambda path: np.save(path, np.zeros(120)), r"save groups.astype\(int\)$"),
        ("labels.npy", lambda path: np.save(path, np.array(["a"] * 120)), "disagree"),
        ("labels.npy", lambda path: np.save(path, np.array([["a"]] * 120)), "expected strings or integers of shape"),
        ("labels.npy", lambda path: np.save(path, np.arange(120)), "disagree"),
        ("labels.npy", lambda path: path.write_bytes(no_text(path)), "found strings that are not text"),
        ("groups.npy", Path.unlink, "groups.npy disagree"),
        ("groups.npy", lambda path: np.save(path, np.arange(7)), "groups.npy: found 7 entries, expected 120"),
        ("tracks.npy", lambda path: np.save(path, np.arange(120)), "melgrams/tracks.npy and mfccs/tracks.npy disagree"),
        ("tracks.npy", lambda path: np.save(path, np.arange(121)), "tracks.npy: found 121 entries, expected 120"),
        ("tracks.npy", lambda path: np.save(path, np.arange(120) / 2), "tracks.npy: .* expected strings or integers"),
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


def test_representations_have_the_same_parts(tmp_path):
    """The same samples in the same order, but cut elsewhere: whose parts would count?"""
    X, labels, groups = make_arrays()
    for name, edges in {"melgrams": (77, 96), "mfccs": (70, 96)}.items():
        for part, rows in zip(PARTS, np.split(np.arange(120), edges), strict=True):
            save_arrays(tmp_path / part / name, X[rows], labels[rows], groups[rows])
    for block in (2**26, 64 * 7):
        with (
            patch.object(stages.arrays.npy, "BLOCK", block),
            pytest.raises(UserError, match=r"melgrams/labels.npy and mfccs/labels.npy disagree"),
        ):
            load_dataset(tmp_path)


@pytest.mark.parametrize("odd", [0, 60, 119])
def test_representations_are_compared_to_the_last_sample(tmp_path, odd):
    X, labels, groups = make_arrays()
    save_arrays(tmp_path / "melgrams", X, labels, groups)
    other = groups.astype(np.int16)
    save_arrays(tmp_path / "mfccs", X, labels.astype("U40"), other)
    with patch.object(stages.arrays.npy, "BLOCK", 64 * 7):
        load_dataset(tmp_path)
        other[odd] += 1
        save_arrays(tmp_path / "mfccs", X, labels.astype("U40"), other)
        with pytest.raises(UserError, match=r"groups.npy disagree"):
            load_dataset(tmp_path)


def test_missing_folders_and_parts_are_named(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"found nothing, expected X.npy \(a capital X\) and labels.npy there"):
        load_dataset(tmp_path)
    for names in (["x.npy"], ["X.npz"], ["X_train.npy", "y_train.npy"], ["Test", "Train", "Val"]):
        folder = tmp_path / names[0] / "a"
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).touch()
        with pytest.raises(UserError, match=f"/a: found {', '.join(names)}, expected X.npy"):
            load_dataset(folder)
    save_dataset(tmp_path / "d" / "train")
    with pytest.raises(UserError, match="found train but no val, test"):
        load_dataset(tmp_path / "d")
    with pytest.raises(
        UserError, match=r"^params.yaml: representations: found wav, expected only what is in .*: melgrams, mfccs$"
    ):
        load_dataset(tmp_path / "d" / "train", ["mfccs", "wav"])


def test_arrays_in_two_layouts_are_refused(tmp_path):
    save_dataset(tmp_path)
    shutil.copytree(tmp_path / "mfccs", tmp_path, dirs_exist_ok=True)
    with pytest.raises(UserError, match=r"found X.npy here and in melgrams, mfccs, expected one; move the other"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    "names", [("Train", "Val", "Test"), ("train", "validation", "test"), ("training", "val", "test")]
)
def test_parts_of_other_names_are_not_taken_for_representations(tmp_path, names):
    """Each would have been split at random."""
    for name in names:
        save_dataset(tmp_path / name)
    wrong = sorted(set(names) - set(PARTS))[0]
    with pytest.raises(
        UserError, match=f"found the folder {wrong}, expected (train|val|test) for that part; rename it$"
    ):
        load_dataset(tmp_path)
    (tmp_path / "mfccs").mkdir()
    for name in names:
        (tmp_path / name).rename(tmp_path / "mfccs" / name)
    with pytest.raises(UserError, match=r"found mfccs, expected X.npy"):
        load_dataset(tmp_path)
