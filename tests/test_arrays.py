"""Arrays on disk: what a header claims has to be there, and what does not belong together is refused."""

import os
import resource
import struct
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, save_dataset
from safetensors.numpy import load_file, save, save_file

from stages import prepare
from stages.arrays import read_array, read_prepared, read_rows, read_tensors, write_array
from stages.files import DESCRIPTION, UserError, tensors_path
from stages.records import Description

ARRAYS = (np.arange(6.0).reshape(2, 3), np.array(["a", "ü"]), np.asfortranarray(np.eye(3)), np.zeros((0, 2)))


def test_what_is_written_comes_back(tmp_path):
    for array in ARRAYS:
        write_array(tmp_path / "a.npy", array)
        found = read_array(tmp_path / "a.npy")
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype


def test_no_pickle_is_ever_written(tmp_path):
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_array(tmp_path / "a.npy", np.array([{}]))
    assert list(tmp_path.iterdir()) == []


def npy(header, version=1):
    """Return a .npy file with this text as its header, and 100 bytes of data."""
    length = struct.pack("<H", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + bytes(100)


LIES = {
    "empty": (b"", "truncated or not a .npy file"),
    "an archive": (b"PK\x03\x04" + bytes(100), "it does not start as one"),
    "a pickle": (b"\x80\x04K\x01.", "it does not start as one"),
    "10^12 rows": (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 26)}"), "found 100 bytes of"),
    "wide strings": (npy("{'descr': '<U100000000', 'fortran_order': False, 'shape': (1,)}"), "found 100 bytes of"),
    "a negative shape": (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 26)}"), "found the shape"),
    "objects": (npy("{'descr': '|O', 'fortran_order': False, 'shape': (5,)}"), "found Python objects"),
    "no dictionary": (npy("{'descr': "), "truncated or not a .npy file"),
    "no Python": (npy("\x00\x01(((("), "truncated or not a .npy file"),
    "no type": (npy("{'descr': 'zebra', 'fortran_order': False, 'shape': (5,)}"), "truncated or not a .npy file"),
    "version 9": (npy("{}", version=9), "truncated or not a .npy file"),
    "a header beyond the end": (b"\x93NUMPY\x01\x00\xff\xff{}", "truncated or not a .npy file"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_is_named(tmp_path, lie):
    content, says = LIES[lie]
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(UserError, match=says) as refusal:
        read_array(tmp_path / "a.npy")
    assert "\n" not in str(refusal.value)


def test_a_lie_takes_no_memory(tmp_path):
    (tmp_path / "a.npy").write_bytes(LIES["10^12 rows"][0])
    code = "import sys; from pathlib import Path; from stages.arrays import read_array; read_array(Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.npy"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "UserError" in done.stderr.splitlines()[-1]


def test_tensors_say_what_they_were_made_from(tmp_path):
    path, x = tmp_path / "a.safetensors", np.eye(3, dtype=np.float32)
    save_file({"x": x, "y": x}, path, {"fingerprint": "abc"})
    for framework in ("np", "pt"):
        tensors = read_tensors(path, framework, "abc")
        np.testing.assert_array_equal(tensors["x"], x)
        assert set(tensors) == {"x", "y"}
        assert set(read_tensors(path, framework, "abc", ["y"])) == {"y"}
        with pytest.raises(UserError, match=r"a.safetensors: was made from other data or parameters than the rest"):
            read_tensors(path, framework, "abd")
    path.write_bytes(save({"x": x}))
    with pytest.raises(UserError, match="was made from other"):
        read_tensors(path, "np", "abc")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content[:8] + b"[" * (len(content) - 8),
        lambda content: b"garbage" * 100,
    ],
)
def test_damaged_tensors_are_named(tmp_path, damage):
    path = tmp_path / "a.safetensors"
    path.write_bytes(damage(save({"x": np.eye(3)}, {"fingerprint": "abc"})))
    with pytest.raises(UserError, match=r"a.safetensors: no safetensors \(.*\); remove it and run `dvc repro`"):
        read_tensors(path, "np", "abc")
    with pytest.raises(UserError, match=r"b.safetensors: not found; `dvc repro` makes it"):
        read_tensors(tmp_path / "b.safetensors", "np", "abc")
    with pytest.raises(OSError, match="found a folder, expected a file"):
        read_tensors(tmp_path, "np", "abc")


def test_rows_are_read_from_all_parts(workplace):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    description, tensors = Description.read(DESCRIPTION), load_file(tensors_path("melgrams"))
    every = np.concatenate([tensors[f"{part}_x"] for part in ("train", "val", "test")])
    rng = np.random.default_rng(0)
    for n in (1, 2, 30, 119, 120):
        rows = np.sort(rng.choice(120, n, replace=False))
        np.testing.assert_array_equal(read_rows("melgrams", description, rows), every[rows])
    save_file(
        tensors | {"val_x": tensors["val_x"][:-1]}, tensors_path("melgrams"), {"fingerprint": description.fingerprint}
    )
    with pytest.raises(UserError, match=r"melgrams.safetensors: is not as dataset.json beside it says"):
        read_rows("melgrams", description, rows)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("val_y"),
        lambda tensors: tensors.update(extra=np.zeros(1)),
        lambda tensors: tensors.update(train_x=tensors["train_x"][:-1]),
        lambda tensors: tensors.update(train_x=tensors["train_x"].astype(np.float64)),
        lambda tensors: tensors.update(test_y=tensors["test_y"] + 1),
        lambda tensors: tensors.update(test_y=tensors["test_y"] - 1),
    ],
)
def test_prepared_tensors_are_as_the_description_says(workplace, change):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    description = Description.read(DESCRIPTION)
    tensors = load_file(tensors_path("mfccs"))
    for framework in ("np", "pt"):
        assert set(read_prepared("mfccs", description, framework)) == set(tensors)
        assert set(read_prepared("mfccs", description, framework, ["mean", "val_x"])) == {"mean", "val_x"}
    change(tensors)
    save_file(tensors, tensors_path("mfccs"), {"fingerprint": description.fingerprint})
    with pytest.raises(UserError, match=r"mfccs.safetensors: is not as dataset.json beside it says"):
        read_prepared("mfccs", description, "np")
