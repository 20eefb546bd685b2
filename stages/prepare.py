"""prepare: split and standardize the data set's arrays and write them as tensors.

Reads the folder that `dataset` names; writes data/prepared/REPRESENTATION.safetensors (train_x train_y train_unit, the
same of val and test, mean std) and data/prepared/dataset.json (classes, shapes, counts and where they came from). A
sample's unit is its track, or, where tracks are unknown, its block of neighbours: what a bootstrap resamples.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.arrays import ArrayFile, blocks_of
from stages.files import DESCRIPTION, FEATURES, PREPARED, UserError, is_there, read_json, shown
from stages.fingerprints import digest, fingerprint
from stages.learning.columns import between, survey, tiles
from stages.learning.dataset import Dataset, check_classes, encode, load_dataset, read_groups
from stages.learning.split import resampling_units, split_rows
from stages.learning.units import units_of_classes
from stages.params import PREPARING, Params, load_params
from stages.records import RATES, Description, Shape, Source, few_songs
from stages.running import run_stage
from stages.tensors import TensorFile
from stages.writing import replacing_folder


class Samples(NamedTuple):
    """What is the same in every representation."""

    classes: list[str]
    labels: np.ndarray  # class numbers (n,)
    units: np.ndarray  # what a bootstrap resamples (n,)
    groups_known: bool
    parts: dict[str, np.ndarray]  # rows of each, ascending


def main() -> None:
    """Prepare all representations with one and the same split, and replace data/prepared as a whole.

    The arrays are read twice, block by block, and the blocks go to their places in the files: neither arrays nor files
    are ever in memory as a whole.
    """
    params = load_params()
    dataset = load_dataset(Path(params.dataset), params.representations)
    samples = divide(params, dataset)
    train = samples.parts["train"][: None if params.standardize else 0]
    scales = {name: survey(arrays.X, train) for name, arrays in dataset.representations.items()}
    with replacing_folder(PREPARED) as folder:
        description = describe(params, dataset, samples)
        for name, arrays in dataset.representations.items():
            write_prepared(folder / f"{name}.safetensors", description.fingerprint, arrays.X, scales[name], samples)
        description.write(folder / DESCRIPTION.name)
        for file in dataset.files:
            file.check_unchanged()
    few = few_songs(description.source)
    if few:
        print(f"warning: {few}; whatever is measured on so few is luck: see 'small libraries' in docs/experiments.md")
    print(f"prepare: {', '.join(dataset.representations)}: {summary(samples)} of {', '.join(samples.classes)}")


def divide(params: Params, dataset: Dataset) -> Samples:
    """Return the samples' classes and parts, read from labels and groups; errors as those of what is called."""
    first = next(iter(dataset.representations.values()))
    classes, labels = encode(block for _, block in blocks_of(first.labels))
    groups, parts = read_groups(first.groups), dataset.given_parts
    if parts is None:
        parts = draw_split(params, classes, labels, groups)
        if groups is None:
            print(
                f"warning: {params.dataset} has no groups.npy, so seconds of one track may stand in two parts of the "
                "split, which flatters every score; see 'your own arrays' in the README"
            )
    check_classes(classes, labels, parts)
    units = resampling_units(labels, None, dataset.given_parts) if groups is None else groups
    return Samples(classes, labels, units, groups is not None, parts)


def write_prepared(
    path: Path, fingerprint: str, X: list[ArrayFile], scale: tuple[np.ndarray, np.ndarray], samples: Samples
) -> None:
    """Write a representation's tensors, those of X standardized with mean and deviation, as float32.

    Raises:
        UserError: if a column's numbers are so small or so far apart that float32 cannot hold them standardized.
    """
    shape, (mean, std) = X[0].shape[1:], scale
    shapes = {"mean": ("float32", shape), "std": ("float32", shape)}
    for part, rows in samples.parts.items():
        shapes |= {f"{part}_x": ("float32", (len(rows), *shape))}
        shapes |= {f"{part}_{name}": ("int64", (len(rows),)) for name in ("y", "unit")}
    with path.open("wb") as opened, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        file = TensorFile(opened, fingerprint, shapes)
        for name, first, numbers in standardized(X, samples.parts, mean, std):
            if not np.isfinite(numbers).all() or (name == "std" and not numbers.all()):
                raise UserError(
                    f"{path.stem}/X.npy: found columns whose numbers float32 cannot hold once they are standardized "
                    f"(deviation {std.min():.3g} to {std.max():.3g}), expected a usual range; scale them first"
                )
            file.write(name, first, numbers)
        for part, rows in samples.parts.items():
            for first, some in tiles(rows, 1):
                file.write(f"{part}_y", first, samples.labels[some])
                file.write(f"{part}_unit", first, samples.units[some])


def standardized(
    X: list[ArrayFile], parts: dict[str, np.ndarray], mean: np.ndarray, std: np.ndarray
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield mean, deviation and all standardized samples: the tensor's name, the first of its rows, rows in float32."""
    yield "mean", 0, mean.astype(np.float32)
    yield "std", 0, std.astype(np.float32)
    for start, block in blocks_of(X):
        for part, rows in parts.items():
            before, own = between(rows, start, block)
            for first, some in tiles(own, mean.size):
                yield f"{part}_x", before + first, ((block[some] - mean) / std).astype(np.float32)


def draw_split(
    params: Params, classes: list[str], labels: np.ndarray, groups: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return the rows of each part.

    Raises:
        UserError: if a class is too small to be split.
    """
    try:
        return split_rows(classes, labels, groups, params.split.model_dump(), params.split_seed)
    except ValueError as error:
        raise UserError(f"{params.dataset}: labels.npy: {error}; add some or drop the class") from None


def describe(params: Params, dataset: Dataset, samples: Samples) -> Description:
    """Return what dataset.json says."""
    classes = samples.classes
    used = params.model_dump(mode="json", include=set(PREPARING))
    rate, unit = read_audio(Path(params.dataset), params)
    unit = unit if samples.groups_known else "block"
    counted = {part: np.bincount(samples.labels[rows]) for part, rows in samples.parts.items()}
    groups = {
        part: units_of_classes(samples.units[rows], samples.labels[rows])
        for part, rows in samples.parts.items()
        if samples.groups_known
    }
    return Description(
        fingerprint=fingerprint([digest(file.path) for file in dataset.files], rate, unit, used),
        params=used,
        classes=classes,
        counts=by_class(classes, counted),
        representations={name: Shape(shape=arrays.X[0].shape[1:]) for name, arrays in dataset.representations.items()},
        source=Source(
            dataset=params.dataset,
            sample_rate=rate,
            groups=by_class(classes, groups) or None,
            unit=unit,
            split="given" if dataset.given_parts else {"seed": params.split_seed, **params.split.model_dump()},
            standardize=params.standardize,
        ),
    )


def summary(samples: Samples) -> str:
    """Return how many samples each part has, and how many groups if they are known, as a phrase."""
    counts = " / ".join(f"{len(rows)} {part}" for part, rows in samples.parts.items())
    if not samples.groups_known:
        return f"{counts} samples"
    groups = (np.count_nonzero(np.bincount(samples.units[rows])) for rows in samples.parts.values())
    return f"{counts} samples, {' / '.join(map(str, groups))} groups"


def by_class(classes: list[str], counted: dict[str, np.ndarray]) -> dict[str, dict[str, int]]:
    """Return numbers of each part, shape (classes,), with the classes' names."""
    return {part: dict(zip(classes, numbers.tolist(), strict=True)) for part, numbers in counted.items()}


def read_audio(dataset: Path, params: Params) -> tuple[int | None, str]:
    """Return what audio.json tells of the sound behind the arrays: its sampling rate (Hz), and what a group is.

    Without it, the rate is None and a group a track.

    Raises:
        UserError: if audio.json gives no rate, or one that params.yaml did not ask for, or another kind of group.
    """
    path = dataset / "audio.json"
    if not is_there(path):
        return None, "track"
    content = read_json(path)
    content = content if isinstance(content, dict) else {}
    rate, unit = content.get("sample_rate"), content.get("unit", "track")
    if type(rate) is not int or not RATES[0] <= rate <= RATES[1]:
        raise UserError(f"{path}: found sample_rate {shown(rate)}, expected a number of Hz, say 8000")
    wanted = params.audio.sample_rate
    if dataset == FEATURES and rate != wanted:
        raise UserError(f"{path}: was made with audio.sample_rate: {rate}, params.yaml has {wanted}; run `dvc repro`")
    if unit not in ("track", "group"):
        raise UserError(f"{path}: found unit {shown(unit)}, expected track or group: what groups.npy numbers")
    return rate, unit


if __name__ == "__main__":
    run_stage(main)
