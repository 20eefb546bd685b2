"""Tensors on disk: the prepared data and weights as safetensors, which say what they were made from."""

import json
from collections.abc import Collection, Mapping
from math import isfinite, prod
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from stages.common.files import UserError, mixed, open_regular, shown, tensors_path
from stages.common.records import PARTS, Description

TYPES = {"int64": "I64", "float32": "F32"}  # of tensors, as safetensors calls them


def read_tensors(
    path: Path, framework: Literal["np", "pt"], fingerprint: str, names: Collection[str] | None = None
) -> dict[str, Any]:
    """Read a file's tensors, or those named, mapped into memory; it must say that it was made from `fingerprint`."""
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
        raise UserError(f"{path}: not a safetensors file ({shown(error)}); remove it and run `dvc repro`") from None
    if made_from != fingerprint:
        raise UserError(mixed(path))
    return tensors


class TensorFile:
    """A safetensors file that is written piece by piece: the same bytes as `safetensors.numpy.save` gives in one.

    The format: 8 bytes with the header's length, the header (JSON, padded), the tensors. As in the library, int64 comes
    before float32, so that each tensor is aligned; within a type, tensors are in order of their names.
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


def read_prepared(
    representation: str,
    description: Description,
    framework: Literal["np", "pt"],
    names: Collection[str] | None = None,
) -> dict[str, Any]:
    """Read a representation's prepared tensors, or those named.

    Returns:
        For each part `PART_x` (n, ...) float32, `PART_y` (n,), `PART_unit` (n,) and, if songs are known and are not the
        units, `PART_track` (n,) int64; `mean` and `std` (...).
    """
    path, shape = tensors_path(representation), description.representations[representation].shape
    tensors = read_tensors(path, framework, description.fingerprint, names)
    expected = {"mean": (shape, "float32"), "std": (shape, "float32")}
    columns = ("y", "unit", "track") if description.source.songs else ("y", "unit")
    for part in PARTS:
        n = sum(description.counts[part].values())
        expected |= {f"{part}_x": ((n, *shape), "float32")}
        expected |= {f"{part}_{name}": ((n,), "int64") for name in columns}
    found = {name: (tuple(tensor.shape), str(tensor.dtype).split(".")[-1]) for name, tensor in tensors.items()}
    fits = found == {name: expected[name] for name in names or expected}
    if not fits or not all(_are_usual(tensors[name], name, description) for name in tensors):
        raise UserError(_not_as_described(path))
    return tensors


def _not_as_described(path: Path) -> str:
    return f"{path}: is not as dataset.json beside it says; remove it and run `dvc repro`"


def _are_usual(numbers: Any, name: str, description: Description) -> bool:
    """Return whether the numbers of a prepared tensor are valid for its name."""
    least, most = float(numbers.min()), float(numbers.max())  # NaN if there is any
    if name.endswith("_y"):
        return least >= 0 and most < len(description.classes)
    return isfinite(least) and isfinite(most) and (name != "std" or least > 0)


def read_rows(representation: str, description: Description, rows: np.ndarray) -> np.ndarray:
    """Read some rows, ascending, of a representation's prepared samples and no others, shape (len(rows), ...) float32.

    Rows count from the first of the training set to the last of the test set.
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
