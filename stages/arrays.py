"""Arrays on disk: .npy files and safetensors, checked before they are believed; never a pickle."""

import os
import warnings
from collections.abc import Collection, Iterable
from io import BytesIO
from math import isfinite, prod
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from stages.files import UserError, open_regular, shown, tensors_path
from stages.records import PARTS, Description
from stages.writing import replacing, write_bytes

MAGIC = b"\x93NUMPY"
MOST_AXES = 64  # NumPy has no more
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_array(path: Path) -> np.ndarray:
    """Read a .npy file.

    Raises:
        UserError: if it is missing, truncated, no .npy file, or holds Python objects.
    """
    try:
        with open_regular(path) as file:
            shape, order, dtype = _read_header(path, file)
            return np.fromfile(file, dtype, prod(shape)).reshape(shape, order=order)
    except FileNotFoundError:
        raise UserError(f"{path}: not found; expected an array of one entry a sample") from None


def _read_header(path: Path, file: BinaryIO) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype]:
    """Read a .npy file's header and hold it against the file's size: what it claims has to be there."""
    try:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError("it does not start as one")
        file.seek(0)
        with warnings.catch_warnings(action="ignore"):  # of how odd the header is
            shape, columns_first, dtype = HEADERS[np.lib.format.read_magic(file)](file)
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
    return shape, "F" if columns_first else "C", dtype


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file whole or not at all. (NumPy's own writing does not say that the disk is full.)"""
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def stream_array(path: Path, dtype: np.dtype, shape: tuple[int, ...], pieces: Iterable[bytes]) -> None:
    """Write a .npy file whose numbers come in pieces, whole or not at all.

    Raises:
        ValueError: if they do not add up to the shape.
    """
    dtype = np.dtype(dtype)
    with replacing(path) as temporary, temporary.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        written = sum(file.write(piece) for piece in pieces)
        if written != prod(shape) * dtype.itemsize:
            raise ValueError(f"{path}: found {written} bytes, expected {shape} of {dtype}")


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


def mixed(path: Path) -> str:
    """Return what to say of a file that was made from something else than what lies beside it."""
    return f"{path}: was made from other data or parameters than the rest, as a killed run leaves it; run `dvc repro`"


def _not_as_described(path: Path) -> str:
    return f"{path}: is not as dataset.json beside it says; remove it and run `dvc repro`"


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
    if not fits or not all(_are_usual(tensors[name], name, description) for name in tensors):
        raise UserError(_not_as_described(path))
    return tensors


def _are_usual(numbers: Any, name: str, description: Description) -> bool:
    """Return whether a prepared tensor holds what one of its name may hold."""
    least, most = float(numbers.min()), float(numbers.max())  # NaN if there is any
    if name.endswith("_y"):
        return least >= 0 and most < len(description.classes)
    return isfinite(least) and isfinite(most) and (name != "std" or least > 0)


def read_rows(representation: str, description: Description, rows: np.ndarray) -> np.ndarray:
    """Return some rows of a representation's prepared samples, shape (len(rows), ...) float32, and read no others.

    Args:
        representation: its name.
        description: of the prepared data.
        rows: ascending; they count from the first of the training part to the last of the test part.

    Raises:
        UserError: as `read_prepared`.
    """
    from safetensors import safe_open

    path, shape = tensors_path(representation), description.representations[representation].shape
    read_prepared(representation, description, "np", ("mean", "std"))
    pieces, start = [], 0
    with safe_open(path, "np") as file:
        for part in PARTS:
            length, x = sum(description.counts[part].values()), file.get_slice(f"{part}_x")
            if (tuple(x.get_shape()), x.get_dtype()) != ((length, *shape), "F32"):
                raise UserError(_not_as_described(path))
            own = rows[(start <= rows) & (rows < start + length)] - start
            runs = np.split(own, np.flatnonzero(np.diff(own) > 1) + 1) if len(own) else []
            pieces += [x[int(run[0]) : int(run[-1]) + 1] for run in runs]
            start += length
    found = np.concatenate(pieces)
    if not _are_usual(found, "x", description):
        raise UserError(_not_as_described(path))
    return found
