"""A data set on disk: finding its representations, reading and checking their arrays.

A representation is a folder with `X.npy` (samples first), `labels.npy` and, if known, `groups.npy` (the track that each
sample was cut from). Three layouts; which one it is shows in what is there:

- `DATASET/REPRESENTATION/{X,labels}.npy`, split here;
- `DATASET/{train,val,test}/REPRESENTATION/{X,labels}.npy`, already split;
- `DATASET/{X,labels}.npy`, one representation, named after the folder.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.arrays import read_array
from stages.files import UserError, is_there, shown
from stages.records import PARTS

FILES = ("X.npy", "labels.npy", "groups.npy")


class Arrays(NamedTuple):
    """One representation: X (n, ...) of numbers, labels (n,), groups (n,) or None."""

    X: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None


class Dataset(NamedTuple):
    """Checked arrays by representation, in one piece, the rows of each part if the data set came split, the files."""

    representations: dict[str, Arrays]
    given_parts: dict[str, np.ndarray] | None
    files: list[Path]  # that all this was read from, in order


def load_dataset(folder: Path, wanted: str | list[str] = "all") -> Dataset:
    """Read and check the wanted representations ("all", or a list of names) of a data set in any of the three layouts.

    Raises:
        UserError: naming the file, what was found, what was expected and what to do.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected a data set")
    given = [part for part in PARTS if (folder / part).is_dir()]
    if not given:
        found = _find(folder)
        names = _choose(folder, list(found), wanted)
        files = files_of(found[name] for name in names)
        dataset = Dataset({name: load_arrays(found[name]) for name in names}, None, files)
    else:
        if given != list(PARTS):
            missing = ", ".join(part for part in PARTS if part not in given)
            raise UserError(f"{folder}: found {', '.join(given)} but no {missing}; expected all of {', '.join(PARTS)}")
        found = {part: _find(folder / part) for part in PARTS}
        for part in PARTS[1:]:
            if found[part].keys() != found["train"].keys():
                raise UserError(
                    f"{folder / part}: found {_listed(found[part])}, expected {_listed(found['train'])} as in train"
                )
        names = _choose(folder, list(found["train"]), wanted)
        pieces = {name: [load_arrays(found[part][name]) for part in PARTS] for name in names}
        joined = {name: _join(folder, name, arrays) for name, arrays in pieces.items()}
        edges = np.cumsum([0, *(len(arrays.labels) for arrays in pieces[names[0]])])
        rows = {part: np.arange(*edges[i : i + 2]) for i, part in enumerate(PARTS)}
        dataset = Dataset(joined, rows, files_of(found[part][name] for part in PARTS for name in names))
    _check_agreement(folder, dataset.representations)
    return dataset


def files_of(folders: Iterable[Path]) -> list[Path]:
    """Return the files of representations that are there."""
    return [path for folder in folders for path in (folder / name for name in FILES) if is_there(path)]


def load_arrays(folder: Path) -> Arrays:
    """Read and check one representation's X.npy, labels.npy and groups.npy.

    Raises:
        UserError: if a file is missing, unreadable, of the wrong kind or length, or X holds what float32 cannot.
    """
    X = read_array(folder / "X.npy")
    if X.dtype.kind not in "fiu" or X.ndim < 2 or X.size == 0:
        raise UserError(
            f"{folder / 'X.npy'}: found {X.dtype} of shape {X.shape}, expected numbers of shape (samples, ...)"
        )
    if X.dtype.kind == "f" and not _fits(X).all():
        rows = np.flatnonzero(~_fits(X).reshape(len(X), -1).all(axis=1))
        raise UserError(
            f"{folder / 'X.npy'}: found NaN, infinity or numbers beyond float32 in {len(rows)} of {len(X)} samples "
            f"(first: sample {rows[0]}), expected finite numbers; mend or drop those samples"
        )
    labels = _load_names(folder / "labels.npy", len(X))
    groups = _load_names(folder / "groups.npy", len(X)) if is_there(folder / "groups.npy") else None
    return Arrays(X, labels, groups)


def _fits(X: np.ndarray) -> np.ndarray:
    """Return which numbers float32 can hold; comparing with NaN gives false."""
    return np.abs(X) <= np.finfo(np.float32).max


def _load_names(path: Path, length: int) -> np.ndarray:
    names = read_array(path)
    if names.ndim != 1 or names.dtype.kind not in "Uiu":
        raise UserError(
            f"{path}: found {names.dtype} of shape {names.shape}, expected strings or integers of shape ({length},)"
        )
    if len(names) != length:
        raise UserError(
            f"{path}: found {len(names)} entries, expected {length}, one for each sample of X.npy beside it"
        )
    if names.dtype.kind == "U" and not _is_text(names):
        raise UserError(f"{path}: found strings that are no text, expected Unicode; save it again")
    return names


def _is_text(names: np.ndarray) -> bool:
    """Return whether every string is one: no code point beyond the last."""
    points = np.ascontiguousarray(names, names.dtype.newbyteorder("=")).view(np.uint32)
    return not len(points) or points.max() <= 0x10FFFF


def _find(folder: Path) -> dict[str, Path]:
    if is_there(folder / "X.npy"):
        found = {folder.resolve().name: folder}
    else:
        found = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and is_there(path / "X.npy")}
    for name in found:
        if not _is_name(name):
            raise UserError(f"{folder}: found the folder {shown(name)!r}, expected a name in Unicode; rename it")
    return found


def _choose(folder: Path, found: list[str], wanted: str | list[str]) -> list[str]:
    if not found:
        raise UserError(
            f"{folder}: found no X.npy; expected X.npy and labels.npy, there or in a folder a representation"
        )
    if wanted == "all":
        return found
    missing = [name for name in wanted if name not in found]
    if missing:
        raise UserError(f"{folder}: found {_listed(found)}, expected {_listed(missing)} too; ask for what is there")
    return list(wanted)


def _join(folder: Path, name: str, pieces: list[Arrays]) -> Arrays:
    for part, piece in zip(PARTS, pieces, strict=True):
        if piece.X.shape[1:] != pieces[0].X.shape[1:] or piece.labels.dtype.kind != pieces[0].labels.dtype.kind:
            raise UserError(
                f"{folder / part / name}: found samples of shape {piece.X.shape[1:]} with {piece.labels.dtype} labels, "
                f"expected {pieces[0].X.shape[1:]} with {pieces[0].labels.dtype} as in train"
            )
    groups = [piece.groups for piece in pieces]
    return Arrays(
        np.concatenate([piece.X for piece in pieces]),
        np.concatenate([piece.labels for piece in pieces]),
        None if any(group is None for group in groups) else np.concatenate(groups),
    )


def _check_agreement(folder: Path, representations: dict[str, Arrays]) -> None:
    first, *others = representations.items()
    for name, arrays in others:
        for field in ("labels", "groups"):
            ours, theirs = getattr(first[1], field), getattr(arrays, field)
            if (ours is None) != (theirs is None) or (ours is not None and not np.array_equal(ours, theirs)):
                raise UserError(
                    f"{folder}: {first[0]}/{field}.npy and {name}/{field}.npy disagree; "
                    "expected the same samples in the same order in every representation"
                )


def _listed(names) -> str:
    return ", ".join(names) or "nothing"


def encode(labels: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the classes in order and each label's class number, shape (n,).

    Raises:
        UserError: if a class has no name, or one that is not Unicode.
    """
    classes, numbers = np.unique(labels, return_inverse=True)
    names = [str(name) for name in classes]
    for name in names:
        if not _is_name(name):
            raise UserError(f"labels.npy: found the class {shown(name)!r}, expected a name in Unicode; rename it")
    return names, numbers.astype(np.int64)


def _is_name(name: str) -> bool:
    """Return whether a name is one: with no half of a pair of surrogates, as one of a folder that is not UTF-8 has."""
    return bool(name) and (name.isascii() or not any("\ud800" <= each <= "\udfff" for each in name))


def check_classes(classes: list[str], labels: np.ndarray, parts: dict[str, np.ndarray]) -> None:
    """Hold that there are two classes at least and that every one is in every part.

    Raises:
        UserError: naming the class and the part.
    """
    if len(classes) < 2:
        raise UserError(f"labels.npy: found one class only ({classes[0]}), expected at least two")
    for part, rows in parts.items():
        missing = sorted(set(range(len(classes))) - set(labels[rows].tolist()))
        if missing:
            raise UserError(
                f"labels.npy: class {classes[missing[0]]} has no sample in the {part} part, expected every class in "
                "every part; add samples of it or drop the class"
            )
