"""Arrays on disk: what a header claims has to be there."""

import os
import resource
import struct
import subprocess
import sys
from unittest.mock import patch

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.arrays import npy
from stages.arrays.dataset import open_arrays
from stages.arrays.npy import ArrayFile, blocks_of, stream_array, write_array
from stages.common.files import UserError

ARRAYS = (np.arange(6.0).reshape(2, 3), np.array(["a", "ü"]), np.asfortranarray(np.eye(3)), np.zeros((0, 2**59)))
TYPES = ("<f4", ">f8", "<f2", "i1", ">i4", "<u8", "<U3", ">U5")


def test_what_is_written_comes_back(tmp_path):
    for array in ARRAYS:
        write_array(tmp_path / "a.npy", array)
        file = ArrayFile(tmp_path / "a.npy")
        found = np.concatenate([np.empty((0, *file.shape[1:]), file.dtype), *(block for _, block in file.blocks())])
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype


def test_what_comes_in_pieces_fills_its_shape(tmp_path):
    path, array = tmp_path / "a.npy", np.arange(6, dtype=">i2").reshape(3, 2)
    stream_array(path, array.dtype, array.shape, (row.tobytes() for row in array))
    found = np.load(path)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    for rows in (array[:2], np.concatenate([array, array])):
        with pytest.raises(ValueError, match=rf"b.npy: found {rows.nbytes} bytes, expected \(3, 2\) of >i2"):
            stream_array(tmp_path / "b.npy", array.dtype, array.shape, (row.tobytes() for row in rows))
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_that_numpy_writes_is_read(tmp_path, version):
    path = tmp_path / "a.npy"
    for array in ARRAYS[:3]:
        with path.open("wb") as file:
            np.lib.format.write_array(file, array, version)
        np.testing.assert_array_equal(np.concatenate([block for _, block in ArrayFile(path).blocks()]), array)


def test_fields_are_no_numbers(tmp_path):
    """Named by letters that only version 3.0 has."""
    with pytest.warns(UserWarning, match="format 3.0"):
        np.save(tmp_path / "X.npy", np.zeros(3, [("日", "<f4")]))
    with pytest.raises(UserError, match=r"X.npy: found .* of shape \(3,\), expected numbers of shape"):
        open_arrays([tmp_path])


@settings(max_examples=100)
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    kind=st.sampled_from(TYPES),
    order=st.sampled_from("CF"),
    block=st.integers(1, 2000),
    rows=st.none() | st.integers(1, 9),
)
def test_blocks_are_the_array_whatever_its_order_and_type(tmp_path_factory, shape, kind, order, block, rows):
    shape = [3 * shape[0], *shape[1:]]
    array = np.asarray(np.arange(np.prod(shape)).reshape(shape) % 120, dtype=kind, order=order)
    path = tmp_path_factory.mktemp("blocks") / "a.npy"
    np.save(path, array)
    with patch.object(npy, "BLOCK", block):
        file = ArrayFile(path)
    assert len(file) == len(array) == shape[0]
    at_once = rows or max(1, block // max(64, array[0].nbytes))
    found = list(file.blocks(rows))
    assert [first for first, _ in found] == list(range(0, len(array), at_once))
    np.testing.assert_array_equal(np.concatenate([each for _, each in found]), array)
    assert all(each.dtype == array.dtype.newbyteorder("=") and each.flags.c_contiguous for _, each in found)
    twice = list(blocks_of([file, file]))
    np.testing.assert_array_equal(np.concatenate([each for _, each in twice]), np.concatenate([array, array]))
    assert [first for first, _ in twice] == list(np.cumsum([0, *(len(each) for _, each in twice[:-1])]))


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_that_changes_while_it_is_read_is_refused(tmp_path, order):
    """A memory map would end the process here."""
    array, path = np.asarray(np.eye(5000, 100), order=order), tmp_path / "a.npy"
    np.save(path, array)
    file = ArrayFile(path)
    file.check_unchanged()
    blocks = file.blocks(100)
    next(blocks)
    os.truncate(path, path.stat().st_size - 8)
    with pytest.raises(UserError, match=r"a.npy: was changed while it was read; run this again$"):
        list(blocks)
    for change in (lambda: np.save(path, array), lambda: np.save(path, array[1:])):
        change()
        with pytest.raises(UserError, match=r"a.npy: was changed while it was read"):
            file.check_unchanged()
        file = ArrayFile(path)
    other = tmp_path / "b.npy"
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.replace(path)
    with pytest.raises(UserError, match=r"a.npy: was changed while it was read"):
        file.check_unchanged()


def test_strings_that_are_no_text_are_named(tmp_path):
    np.save(tmp_path / "a.npy", np.array([97, 0x10FFFF], np.uint32).view("<U1"))
    assert next(ArrayFile(tmp_path / "a.npy").blocks())[1].tolist() == ["a", "\U0010ffff"]
    np.save(tmp_path / "a.npy", np.array([0x110000, 97, 97], np.uint32).view("<U1"))
    for rows in (1, 2):
        with pytest.raises(UserError, match=r"a.npy: found strings that are not text, expected Unicode; save it again"):
            list(ArrayFile(tmp_path / "a.npy").blocks(rows))


def test_no_pickle_is_ever_written(tmp_path):
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_array(tmp_path / "a.npy", np.array([{}]))
    assert list(tmp_path.iterdir()) == []


def made(header, version=1):
    """Return a .npy file with this text as its header, and 100 bytes of data."""
    length = struct.pack("<H", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + bytes(100)


LIES = {
    "empty": (b"", "truncated or not a .npy file"),
    "an archive": (b"PK\x03\x04" + bytes(100), "it does not start as one"),
    "a pickle": (b"\x80\x04K\x01.", "it does not start as one"),
    "10^12 rows": (
        made("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 26)}"),
        "found 100 bytes of",
    ),
    "wide strings": (made("{'descr': '<U100000000', 'fortran_order': False, 'shape': (1,)}"), "found 100 bytes of"),
    "a negative shape": (made("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 26)}"), "found the shape"),
    "objects": (made("{'descr': '|O', 'fortran_order': False, 'shape': (5,)}"), "found Python objects"),
    "no dictionary": (made("{'descr': "), "truncated or not a .npy file"),
    "no Python": (made("\x00\x01(((("), "truncated or not a .npy file"),
    "no type": (made("{'descr': 'zebra', 'fortran_order': False, 'shape': (5,)}"), "truncated or not a .npy file"),
    "no size": (made("{'descr': '<U0', 'fortran_order': False, 'shape': (5,)}"), "found <U0 of shape"),
    "70 dimensions": (made(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {(1,) * 70}}}"), "truncated or not"),
    "version 9": (made("{}", version=9), "not a .npy file .found version 9.0, expected 1.0 to 3.0.; save it again$"),
    "a header beyond the end": (b"\x93NUMPY\x01\x00\xff\xff{}", "truncated or not a .npy file"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_is_named(tmp_path, lie):
    content, says = LIES[lie]
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(UserError, match=says) as refusal:
        ArrayFile(tmp_path / "a.npy")
    assert "\n" not in str(refusal.value)


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as only Linux does")
def test_a_lie_takes_no_memory(tmp_path):
    (tmp_path / "a.npy").write_bytes(LIES["10^12 rows"][0])
    code = "import sys; from pathlib import Path; from stages.arrays.npy import ArrayFile; ArrayFile(Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.npy"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "UserError" in done.stderr.splitlines()[-1]
