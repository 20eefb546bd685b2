"""Arrays on disk: .npy files and safetensors, checked before they are believed; never a pickle."""

import json
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from stages.files import UserError, open_regular, shown, tensors_path
from stages.records import PARTS, Description
from stages.writing import write_bytes

MAGIC = b"\x93NUMPY"
BLOCK = 64 * 2**20  # bytes of an array that are in memory at once; one row at least
LEAST_ROW = 64  # bytes that a row counts for at least: whoever numbers the rows needs memory for that too
TYPES = {"int64": "I64", "float32": "F32"}  # of tensors, as safetensors calls them
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class ArrayFile:
    """A .npy file whose header has been checked; its rows are read block by block, however large it is.

    They are read, not mapped into memory: a map of a file that is cut short meanwhile would end the process.
    """

    def __init__(self, path: Path) -> None:
        """Read the header.

        Raises:
            UserError: if the file is missing, truncated, no .npy file, or holds Python objects.
        """
        self.path = path
        try:
            with open_regular(path) as file:
                self.shape, self.by_columns, self.dtype = _read_header(path, file)
                self.start, self.stamp = file.tell(), _stamp(file)
        except FileNotFoundError:
            raise UserError(f"{path}: not found; expected an array of one entry a sample") from None
        self.width = prod(self.shape[1:])  # numbers in a row
        self.rows_at_once = max(1, BLOCK // max(LEAST_ROW, self.width * self.dtype.itemsize))

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def blocks(self, rows: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield all rows in order, so many at once (as many as BLOCK holds), behind the number of the first of them.

        Raises:
            UserError: if the file was cut short meanwhile, or holds strings that are no text.
        """
        rows = rows or self.rows_at_once
        with open_regular(self.path) as file:
            for first in range(0, len(self), rows):
                yield first, self._read(file, first, min(rows, len(self) - first))

    def whole(self) -> np.ndarray:
        """Return all rows; errors as `blocks` has them."""
        with open_regular(self.path) as file:
            return self._read(file, 0, len(self))

    def check_unchanged(self) -> None:
        """Hold that the file is the one whose header was read: what was read at several times then belongs together.

        Raises:
            UserError: if it is not.
        """
        with open_regular(self.path) as file:
            if _stamp(file) != self.stamp:
                raise UserError(f"{self.path}: was changed while it was read; run this again")

    def _read(self, file: BinaryIO, first: int, rows: int) -> np.ndarray:
        """Return rows in C order and in the machine's byte order."""
        shape, item = (rows, *self.shape[1:]), self.dtype.itemsize
        if self.by_columns and rows < len(self):
            places, length = [self.start + (column * len(self) + first) * item for column in range(self.width)], rows
        else:
            places, length = [self.start + first * self.width * item], rows * self.width
        content = np.empty((len(places), length * item), np.uint8)
        for place, piece in zip(places, content, strict=True):
            file.seek(place)
            if file.readinto(piece) < len(piece):
                raise UserError(f"{self.path}: was changed while it was read; run this again")
        block = content.reshape(-1).view(self.dtype).reshape(shape, order="F" if self.by_columns else "C")
        block = block.astype(self.dtype.newbyteorder("="), order="C", copy=False)
        if self.dtype.kind == "U" and block.size and block.reshape(-1).view(np.uint32).max() > sys.maxunicode:
            raise UserError(f"{self.path}: found strings that are no text, expected Unicode; save it again")
        return block


def blocks_of(files: Iterable[ArrayFile]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the blocks of files of which each goes on where the one before it ends; errors as theirs."""
    before = 0
    for file in files:
        for first, block in file.blocks():
            yield before + first, block
        before += len(file)


def _stamp(file: BinaryIO) -> tuple[int, int, int]:
    """Return what changes when a file is written to or replaced."""
    status = os.fstat(file.fileno())
    return status.st_ino, status.st_size, status.st_mtime_ns


def _read_header(path: Path, file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return a .npy file's shape, whether it is in Fortran order, and its type; what it claims has to be there."""
    try:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError("it does not start as one")
        file.seek(0)
        version = np.lib.format.read_magic(file)
        shape, by_columns, dtype = HEADERS[version](file)
        if not all(type(length) is int and length >= 0 for length in shape):
            raise ValueError(f"found the shape {shape}")
        if np.empty((0, *shape[1:]), dtype).itemsize != dtype.itemsize:  # fails too if NumPy can hold no such rows
            raise ValueError(f"found the type {dtype} of no size")
    except Exception as error:  # NumPy's reader of headers ends in many ways
        raise UserError(f"{path}: truncated or not a .npy file ({shown(error)}); save it again") from None
    if dtype.hasobject:
        raise UserError(
            f"{path}: found Python objects (a pickle), expected plain numbers or strings; "
            "save it again with a plain dtype"
        )
    claimed, there = prod(shape) * dtype.itemsize, os.fstat(file.fileno()).st_size - file.tell()
    if claimed > there:
        raise UserError(
            f"{path}: truncated or not a .npy file (found {there} bytes of the {shown(claimed)} that {shown(dtype)} of "
            f"shape {shown(shape)} takes); save it again"
        )
    return shape, by_columns, dtype


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file whole or not at all. (NumPy's own writing does not say that the disk is full.)"""
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def read_tensors(
    path: Path, framework: Literal["np", "pt"], fingerprint: str, names: Collection[str] | None = None
) -> dict[str, Any]:
    """Read safetensors, mapped into memory, as arrays of NumPy or of PyTorch.

    Args:
        path: the file.
        framework: whose arrays.
        fingerprint: what the file must say that it was made from.
        names: of the tensors to read; None for all.

    Raises:
        UserError: if it is missing, damaged, or made from something else.
    """
    from safetensors import safe_open

    try:
        open_regular(path).close()
        with safe_open(path, framework) as file:
            made_from = (file.metadata() or {}).get("fingerprint")
            tensors = {name: file.get_tensor(name) for name in (file.keys() if names is None else names)}
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `dvc repro` makes it") from None
    except OSError:
        raise
    except Exception as error:  # safetensors has an error of its own, and each framework others
        raise UserError(f"{path}: no safetensors ({shown(error)}); remove it and run `dvc repro`") from None
    if made_from != fingerprint:
        raise UserError(mixed(path))
    return tensors


class TensorFile:
    """A safetensors file that is written piece by piece: the same bytes as `safetensors.numpy.save` gives in one.

    The format: 8 bytes with the header's length, the header (JSON, padded), the tensors. As in the library, int64 comes
    before float32, so that each tensor is aligned, and then goes by name.
    https://github.com/huggingface/safetensors#format
    """

    def __init__(self, file: BinaryIO, fingerprint: str, shapes: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
        """Write the header of tensors of such types (a key of TYPES) and shapes."""
        self.file, self.places = file, {}
        header, end = {"__metadata__": {"fingerprint": fingerprint}}, 0
        for name, (kind, shape) in sorted(shapes.items(), key=lambda item: (-np.dtype(item[1][0]).itemsize, item[0])):
            start, end = end, end + prod(shape) * np.dtype(kind).itemsize
            header[name] = {"dtype": TYPES[kind], "shape": shape, "data_offsets": [start, end]}
            self.places[name] = start, np.dtype(kind).newbyteorder("<"), prod(shape[1:])
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        self.start = file.write(len(text).to_bytes(8, "little") + text)

    def write(self, name: str, first: int, rows: np.ndarray) -> None:
        """Write rows of a tensor, from the row `first` on."""
        start, kind, width = self.places[name]
        self.file.seek(self.start + start + first * width * kind.itemsize)
        self.file.write(np.ascontiguousarray(rows, kind))


def mixed(path: Path) -> str:
    """Return what to say of a file that was made from something else than what lies beside it."""
    return f"{path}: was made from other data or parameters than the rest, as a killed run leaves it; run `dvc repro`"


def read_prepared(
    representation: str,
    description: Description,
    framework: Literal["np", "pt"],
    names: Collection[str] | None = None,
) -> dict[str, Any]:
    """Read a representation's prepared tensors, or those named.

    Returns:
        For each part `PART_x` (n, ...) float32, `PART_y` (n,) and `PART_unit` (n,) int64; `mean` and `std` (...).

    Raises:
        UserError: as `read_tensors`, or if they are not of the form that dataset.json says.
    """
    path, shape = tensors_path(representation), description.representations[representation].shape
    tensors = read_tensors(path, framework, description.fingerprint, names)
    expected = {"mean": (shape, "float32"), "std": (shape, "float32")}
    for part in PARTS:
        n = sum(description.counts[part].values())
        expected |= {f"{part}_x": ((n, *shape), "float32")}
        expected |= {f"{part}_{name}": ((n,), "int64") for name in ("y", "unit")}
    found = {name: (tuple(tensor.shape), str(tensor.dtype).split(".")[-1]) for name, tensor in tensors.items()}
    fits = found == {name: expected[name] for name in names or expected}
    if fits:
        classes = [tensors[name] for name in ("train_y", "val_y", "test_y") if name in tensors]
        fits = all(y.min() >= 0 and y.max() < len(description.classes) for y in classes)
    if not fits:
        raise UserError(f"{path}: is not as dataset.json beside it says; remove it and run `dvc repro`")
    return tensors
