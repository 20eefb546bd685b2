"""Arrays on disk: .npy files, checked before they are believed; never a pickle."""

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from io import BytesIO
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stages.common.files import UserError, open_regular, shown
from stages.common.writing import replacing, write_bytes

MAGIC = b"\x93NUMPY"
BLOCK = 64 * 2**20  # bytes of an array that are in memory at once; one row at least
LEAST_ROW = 64  # bytes that a row counts for at least: to number rows takes memory too
MOST_AXES = 64  # NumPy has no more
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
HEADERS[3, 0] = HEADERS[2, 0]  # in UTF-8, of which only names of fields make use, and no array here has fields


class ArrayFile:
    """A .npy file whose header has been checked; its rows are read block by block, however large it is.

    They are read, not mapped into memory: if a mapped file is cut short while it is read, the process dies.
    """

    def __init__(self, path: Path) -> None:
        """Read the header."""
        self.path = path
        try:
            with open_regular(path) as file:
                self.shape, self.by_columns, self.dtype = _read_header(path, file)
                self.start, self.stamp = file.tell(), _stamp(file)
        except FileNotFoundError:
            raise UserError(f"{path}: not found; expected an array with one entry for each sample") from None
        self.width = prod(self.shape[1:])  # numbers in a row
        self.rows_at_once = max(1, BLOCK // max(LEAST_ROW, self.width * self.dtype.itemsize))

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def blocks(self, rows: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield all rows in order, so many at once (as many as BLOCK holds), after the number of the first of them."""
        rows = rows or self.rows_at_once
        with open_regular(self.path) as file:
            for first in range(0, len(self), rows):
                yield first, self._read(file, first, min(rows, len(self) - first))

    def check_unchanged(self) -> None:
        """Check that the file is unchanged since its header was read, so that all that was read belongs together."""
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
            raise UserError(f"{self.path}: found strings that are not text, expected Unicode; save it again")
        return block


def blocks_of(files: Iterable[ArrayFile]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the blocks of files that continue one another; errors as theirs."""
    before = 0
    for file in files:
        for first, block in file.blocks():
            yield before + first, block
        before += len(file)


def entry_at(files: Iterable[ArrayFile], row: int) -> np.ndarray:
    """Return a row of files that continue one another; errors as theirs."""
    return next(block[row - first] for first, block in blocks_of(files) if row < first + len(block))


def _stamp(file: BinaryIO) -> tuple[int, int, int]:
    """Return what changes when a file is written to or replaced."""
    status = os.fstat(file.fileno())
    return status.st_ino, status.st_size, status.st_mtime_ns


def _read_header(path: Path, file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return a .npy file's shape, whether it is in Fortran order, and its type; check its length."""
    try:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError("it does not start as one")
        file.seek(0)
        with warnings.catch_warnings(action="ignore"):  # about odd headers
            version = np.lib.format.read_magic(file)
            if version not in HEADERS:
                raise ValueError("found version {}.{}, expected 1.0 to 3.0".format(*version))
            shape, by_columns, dtype = HEADERS[version](file)
        if not all(type(length) is int and length >= 0 for length in shape) or len(shape) > MOST_AXES:
            raise ValueError(f"found the shape {shape}")
        if dtype.shape or not 0 < dtype.itemsize * prod(max(1, length) for length in shape) < 2**63:
            raise ValueError(f"found {dtype} of shape {shape}")
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


def stream_array(path: Path, dtype: np.dtype, shape: tuple[int, ...], pieces: Iterable[bytes]) -> None:
    """Write a .npy file whose numbers come in pieces, whole or not at all; ValueError if they do not fill the shape."""
    dtype = np.dtype(dtype)
    with replacing(path) as temporary, temporary.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        written = sum(file.write(piece) for piece in pieces)
        if written != prod(shape) * dtype.itemsize:
            raise ValueError(f"{path}: found {written} bytes, expected {shape} of {dtype}")
