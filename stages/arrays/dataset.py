"""A data set on disk: finding its representations, reading and checking their arrays.

A representation is a folder with `X.npy` (samples first), `labels.npy` and, if known, `tracks.npy` (the song that each
sample was cut from) and `groups.npy` (what must not be split, an artist say). There are four layouts, told apart by
what is there:

- `DATASET/REPRESENTATION/{X,labels}.npy`, split here;
- `DATASET/{train,val,test}/REPRESENTATION/{X,labels}.npy`, already split;
- `DATASET/{X,labels}.npy` and `DATASET/{train,val,test}/{X,labels}.npy`, one representation, named after the data set.
"""

from collections.abc import Collection, Iterable, Sequence
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.arrays.npy import ArrayFile, blocks_of
from stages.common.files import UserError, few_of, is_there, shown
from stages.common.records import PARTS
from stages.common.units import heads_of

OTHER_NAMES = {"training": "train", "valid": "val", "validate": "val", "validation": "val", "testing": "test"}


class Arrays(NamedTuple):
    """One representation: X (n, ...) of numbers, labels (n,), groups (n,) and tracks (n,) or None.

    Each is files that continue one another: one file for each part if the data set came split.
    """

    X: list[ArrayFile]
    labels: list[ArrayFile]
    groups: list[ArrayFile] | None
    tracks: list[ArrayFile] | None


class Dataset(NamedTuple):
    """Arrays by representation; each sample's part, as its place in PARTS, if they came split; all files, in order."""

    representations: dict[str, Arrays]
    given_parts: np.ndarray | None  # (n,) int8
    files: list[ArrayFile]


def load_dataset(folder: Path, wanted: str | list[str] = "all") -> Dataset:
    """Find the wanted representations ("all", or a list of names) of a data set in any of the four layouts.

    Everything is checked except the numbers in X, which stages/arrays/columns.py checks.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected a data set")
    _check_names_of_parts(folder)
    given = [part for part in PARTS if (folder / part).is_dir()]
    if given and given != list(PARTS):
        missing = ", ".join(part for part in PARTS if part not in given)
        raise UserError(f"{folder}: found {', '.join(given)} but no {missing}; expected all of {', '.join(PARTS)}")
    places = [folder / part for part in given] or [folder]
    found = [_find(place, folder.resolve().name) for place in places]
    for place, there in zip(places, found, strict=True):
        if there.keys() != found[0].keys():
            raise UserError(
                f"{place}: found {few_of(there) or 'nothing'}, expected {few_of(found[0]) or 'nothing'} as in train"
            )
    names = _choose(places[0], list(found[0]), wanted)
    representations = {name: open_arrays([there[name] for there in found]) for name in names}
    _check_agreement(folder, representations)
    parts = None
    if given:
        parts = np.repeat(np.arange(len(PARTS), dtype=np.int8), [len(file) for file in representations[names[0]].X])
    kinds = [kind for arrays in representations.values() for kind in arrays if kind]
    files = [kind[i] for i in range(len(places)) for kind in kinds]
    return Dataset(representations, parts, files)


def _check_names_of_parts(folder: Path) -> None:
    """Check that no part has another name: it would be taken for a representation, or for nothing."""
    for path in sorted(folder.iterdir()):
        part = OTHER_NAMES.get(path.name.lower(), path.name.lower())
        if part in PARTS and path.is_dir() and not (folder / part).is_dir():
            raise UserError(f"{folder}: found the folder {path.name}, expected {part} for that part; rename it")


def open_arrays(folders: list[Path]) -> Arrays:
    """Open one representation's arrays, which may lie in a folder for each part."""
    X, labels = [], []
    known: dict[str, list[ArrayFile]] = {"groups": [], "tracks": []}
    for folder in folders:
        X.append(_open_samples(folder / "X.npy"))
        labels.append(_open_names(folder / "labels.npy", X[-1].shape))
        for name, files in known.items():
            if is_there(folder / f"{name}.npy"):
                files.append(_open_names(folder / f"{name}.npy", X[-1].shape))
    for folder, x, names in zip(folders, X, labels, strict=True):
        if x.shape[1:] != X[0].shape[1:] or names.dtype.kind != labels[0].dtype.kind:
            raise UserError(
                f"{folder}: found samples of shape {x.shape[1:]} with {names.dtype} labels, "
                f"expected {X[0].shape[1:]} with {labels[0].dtype} as in train"
            )
    return Arrays(X, labels, *(files if len(files) == len(folders) else None for files in known.values()))


def _open_samples(path: Path) -> ArrayFile:
    X = ArrayFile(path)
    if X.dtype.kind not in "fiu" or len(X.shape) < 2 or not prod(X.shape):
        remedy = "; save X.astype(float)" if X.dtype.kind in "US" else ""
        raise UserError(f"{path}: found {X.dtype} of shape {X.shape}, expected numbers of shape (samples, ...){remedy}")
    return X


def _open_names(path: Path, of_samples: tuple[int, ...]) -> ArrayFile:
    names, length = ArrayFile(path), of_samples[0]
    if len(names.shape) != 1 or names.dtype.kind not in "Uiu":
        raise UserError(
            f"{path}: found {names.dtype} of shape {names.shape}, expected strings or integers of shape ({length},)"
            f"{_remedy(names)}"
        )
    if len(names) != length:
        raise UserError(
            f"{path}: found {len(names)} entries, expected {length}, one for each sample of X.npy beside it"
            f"{f', of shape {of_samples}: is X transposed?' if len(names) in of_samples else ''}"
        )
    return names


def _remedy(names: ArrayFile) -> str:
    """Return what to save in place of labels or groups of another kind, as the end of a sentence; "" if unknown."""
    own, shape = names.path.stem, names.shape
    if len(shape) == 2:
        return f"; save {own}[:, 0]" if shape[1] == 1 else f"; if they are one-hot, save {own}.argmax(axis=1)"
    kind = {"f": "int", "b": "int", "S": "str"}.get(names.dtype.kind)
    whole = "if they are whole numbers, " if names.dtype.kind == "f" else ""
    return f"; {whole}save {own}.astype({kind})" if len(shape) == 1 and kind else ""


def _find(folder: Path, name_of_one: str) -> dict[str, Path]:
    found = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and is_there(path / "X.npy")}
    if is_there(folder / "X.npy"):
        if found:
            raise UserError(f"{folder}: found X.npy here and in {few_of(found)}, expected one; move the other away")
        found = {name_of_one: folder}
    for name in found:
        if not _is_name(name):
            raise UserError(f"{folder}: found the folder {shown(name)!r}, expected a name in Unicode; rename it")
    return found


def _choose(folder: Path, found: list[str], wanted: str | list[str]) -> list[str]:
    if not found:
        names = few_of(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise UserError(
            f"{folder}: found {names}, expected X.npy (a capital X) and labels.npy there, or in a folder for each "
            "representation, say mfccs/, or either below train/, val/ and test/"
        )
    if wanted == "all":
        return found
    missing = [name for name in wanted if name not in found]
    if missing:
        raise UserError(
            f"params.yaml: representations: found {few_of(missing)}, expected only what is in {folder}: {few_of(found)}"
        )
    return list(wanted)


def _check_agreement(folder: Path, representations: dict[str, Arrays]) -> None:
    first, *others = representations.items()
    for name, arrays in others:
        for field in ("labels", "groups", "tracks"):
            if not _alike(getattr(first[1], field), getattr(arrays, field)):
                raise UserError(
                    f"{folder}: {first[0]}/{field}.npy and {name}/{field}.npy disagree; "
                    "expected the same samples in the same order in every representation"
                )


def _alike(ours: list[ArrayFile] | None, theirs: list[ArrayFile] | None) -> bool:
    """Return whether two lists of files, or what is None, hold the same."""
    if ours is None or theirs is None:
        return ours is theirs
    if [*map(len, ours)] != [*map(len, theirs)]:
        return False
    for mine, other in zip(ours, theirs, strict=True):
        rows = min(mine.rows_at_once, other.rows_at_once)
        pairs = zip(mine.blocks(rows), other.blocks(rows), strict=True)
        if not all(np.array_equal(block, same) for (_, block), (_, same) in pairs):
            return False
    return True


def encode(folder: Path, labels: Iterable[np.ndarray]) -> tuple[list[str], np.ndarray]:
    """Return the classes in order and each label's class number, shape (n,), given a data set's labels in blocks.

    The numbers are of the smallest type that holds them.
    """
    classes, numbers = _numbered(labels)
    names = [str(name) for name in classes]
    for name in names:
        if not _is_name(name):
            raise UserError(
                f"{folder}: labels.npy: found the class {shown(name)!r}, expected a name in Unicode; rename it"
            )
    return names, numbers


def numbered(files: list[ArrayFile]) -> tuple[Sequence[str | int], np.ndarray]:
    """Return the groups or tracks in order, and the number of each sample's, shape (n,), of the smallest type."""
    if np.result_type(*(file.dtype for file in files)).kind not in "iu":
        return _numbered(np.asarray(block, str) for _, block in blocks_of(files))
    known = np.unique(np.concatenate([np.unique(block[heads_of(block)]) for _, block in blocks_of(files)]))
    numbers = np.empty(sum(map(len, files)), _kind(known))
    for first, block in blocks_of(files):
        heads = heads_of(block)
        number_of_run = np.searchsorted(known, block[heads]).astype(numbers.dtype)
        numbers[first : first + len(block)] = np.repeat(number_of_run, np.diff(heads, append=len(block)))
    for file in files:
        file.check_unchanged()  # read twice
    return known, numbers


def _numbered(entries: Iterable[np.ndarray]) -> tuple[list, np.ndarray]:
    """Return the different entries in order, and the number among these of each entry, given in blocks."""
    known: dict[str | int, int] = {}
    numbers = []
    for block in entries:
        heads = heads_of(block)
        names, number_of_run = np.unique(block[heads], return_inverse=True)
        number = np.array([known.setdefault(name, len(known)) for name in names.tolist()], np.int32)
        numbers.append(np.repeat(number[number_of_run], np.diff(heads, append=len(block))))
    order = sorted(known)
    rank = np.empty(len(known), _kind(known))
    rank[[known[name] for name in order]] = np.arange(len(known))
    for i, block in enumerate(numbers):  # in place: each is freed as the next is made
        numbers[i] = rank[block]
    return order, np.concatenate(numbers)


def _kind(known: Collection) -> np.dtype:
    """Return the smallest type that can number them."""
    return np.min_scalar_type(-len(known))


def _is_name(name: str) -> bool:
    """Return whether a name is text: a folder's name that is not UTF-8 has single surrogates."""
    return bool(name) and (name.isascii() or not any("\ud800" <= each <= "\udfff" for each in name))
