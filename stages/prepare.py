"""prepare: split and standardize the data set's arrays and write them as tensors.

Reads the folder that `dataset` names; writes data/prepared/REPRESENTATION.safetensors (train_x train_y train_unit, the
same of val and test, mean std), data/prepared/dataset.json (classes, shapes, counts and where they came from) and
data/songs.csv (each song and its part). A sample's unit is its group, mostly a song, or, where both are unknown, its
block of neighbours: what a bootstrap resamples. Songs in groups are train_track and so on, a line of songs.csv.
"""

import stages  # isort: skip # noqa: F401 # stops a Python without the packages, before NumPy does with a traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.arrays.columns import survey, tiles
from stages.arrays.dataset import Dataset, encode, load_dataset
from stages.arrays.npy import ArrayFile, blocks_of, entry_at
from stages.arrays.repeats import check_repeats
from stages.arrays.songs import Units, check_apart, lines_of_songs, read_units
from stages.arrays.split import (
    TooFewError,
    blocks_of_neighbours,
    check_classes,
    count_parts,
    draw_parts,
    rows_of,
    shared_group,
)
from stages.common.files import (
    DESCRIPTION,
    FEATURES,
    PREPARED,
    SONGS,
    SOUND,
    UserError,
    digest,
    few_of,
    is_there,
    shown,
)
from stages.common.fingerprints import fingerprint
from stages.common.params import PREPARING, Params, load_params
from stages.common.records import PARTS, SONG, Description, Shape, Sound, Source, few_songs
from stages.common.running import run_stage
from stages.common.tensors import TensorFile
from stages.common.units import of_units, slices_of, units_of_classes
from stages.common.writing import replacing_folder, write_csv


class Samples(NamedTuple):
    """What is the same in every representation."""

    classes: list[str]
    labels: np.ndarray  # class numbers (n,)
    parts: np.ndarray  # the place in PARTS of the part that each is in (n,)
    units: Units  # what a bootstrap resamples
    counts: dict[str, np.ndarray]  # of each part, by class


def main() -> None:
    """Prepare all representations with one and the same split, and replace data/prepared as a whole.

    The arrays are read twice (if they came split, one of them once more), block by block, and the blocks go to their
    places in the files: neither arrays nor files are ever in memory as a whole.
    """
    params = load_params()
    dataset = load_dataset(Path(params.dataset), params.representations)
    samples = divide(params, dataset)
    train = (samples.parts == PARTS.index("train")) & params.standardize
    scales = {name: survey(arrays.X, train) for name, arrays in dataset.representations.items()}
    with replacing_folder(PREPARED) as folder:
        description = describe(params, dataset, samples)
        for name, arrays in dataset.representations.items():
            write_prepared(folder / f"{name}.safetensors", description.fingerprint, arrays.X, scales[name], samples)
        description.write(folder / DESCRIPTION.name)
        for file in dataset.files:
            file.check_unchanged()
        write_csv(SONGS, list(SONG), lines_of_songs(Path(params.dataset), *samples[:-1]))
    few = few_songs(description.source)
    if few:
        print(f"warning: {few}; scores on so few depend on luck: see 'small libraries' in docs/experiments.md")
    classes = f"{len(samples.classes)} classes: {few_of(samples.classes)}"
    print(f"prepare: {few_of(dataset.representations)}: {summary(samples)}; {classes}")


def divide(params: Params, dataset: Dataset) -> Samples:
    """Return the samples' classes and parts, read from labels, groups and tracks; errors as those of what is called."""
    first, folder = next(iter(dataset.representations.values())), Path(params.dataset)
    classes, labels = encode(folder, (block for _, block in blocks_of(first.labels)))
    units, parts = read_units(first, read_audio(folder, params)[1], classes, labels), dataset.given_parts
    files = first.groups or first.tracks
    if parts is None:
        parts = draw_split(params, classes, labels, units, files)
        if units.numbers is None:
            print(
                f"warning: {folder} has no groups.npy, so seconds of one track may be in two parts of the split, "
                "which inflates every score; see 'your own arrays' in the README"
            )
    else:
        check_apart(folder, units, parts, files)
        check_repeats(folder, first.X)
    counts = count_parts(parts, labels, len(classes))
    check_classes(params.dataset, classes, counts)
    if units.numbers is None:
        units = units._replace(numbers=blocks_of_neighbours(labels, dataset.given_parts, len(classes)))
    return Samples(classes, labels, parts, units, counts)


def write_prepared(
    path: Path, fingerprint: str, X: list[ArrayFile], scale: tuple[np.ndarray, np.ndarray], samples: Samples
) -> None:
    """Write a representation's tensors, those of X standardized with mean and deviation, as float32."""
    shape, (mean, std) = X[0].shape[1:], scale
    columns = {"y": samples.labels, "unit": samples.units.numbers}
    columns |= {} if samples.units.songs_apart is None else {"track": samples.units.songs_apart}
    shapes = {"mean": ("float32", shape), "std": ("float32", shape)}
    for part, of_class in samples.counts.items():
        n = int(of_class.sum())
        shapes |= {f"{part}_x": ("float32", (n, *shape))} | {f"{part}_{axis}": ("int64", (n,)) for axis in columns}
    with path.open("wb") as opened, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        file = TensorFile(opened, fingerprint, shapes)
        for name, first, numbers in standardized(X, samples.parts, mean, std):
            if not np.isfinite(numbers).all() or (name == "std" and not numbers.all()):
                raise UserError(
                    f"{path.stem}/X.npy: found columns whose numbers float32 cannot hold once they are standardized "
                    f"(deviation {std.min():.3g} to {std.max():.3g}), expected a usual range; scale them first"
                )
            file.write(name, first, numbers)
        for axis, column in columns.items():
            blocks = ((some.start, column[some]) for some in slices_of(len(column)))
            for part, before, block, own in dealt(blocks, samples.parts):
                file.write(f"{part}_{axis}", before, block[own])


def standardized(
    X: list[ArrayFile], parts: np.ndarray, mean: np.ndarray, std: np.ndarray
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield mean, deviation and all standardized samples: the tensor's name, the first of its rows, rows in float32."""
    yield "mean", 0, mean.astype(np.float32)
    yield "std", 0, std.astype(np.float32)
    for part, before, block, own in dealt(blocks_of(X), parts):
        for first, some in tiles(own, mean.size):
            yield f"{part}_x", before + first, ((block[some] - mean) / std).astype(np.float32)


def dealt(
    blocks: Iterable[tuple[int, np.ndarray]], parts: np.ndarray
) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    """Yield, for each block and part, the part's name, how many of its samples came before, the block, its rows there.

    Blocks are of all samples, in order, each with the number of its first; parts are places in PARTS, shape (n,).
    """
    before = dict.fromkeys(PARTS, 0)
    for start, block in blocks:
        for part, own in rows_of(parts[start : start + len(block)]).items():
            yield part, before[part], block, own
            before[part] += len(own)


def draw_split(
    params: Params, classes: list[str], labels: np.ndarray, units: Units, files: list[ArrayFile] | None
) -> np.ndarray:
    """Return each sample's part; the files are those that number units."""
    groups = units.numbers
    try:
        return draw_parts(len(classes), labels, groups, params.split.model_dump(), params.split_seed)
    except TooFewError as error:
        number, n = error.args
    unit = "sample" if groups is None else units.kind
    own, few = shown(repr(classes[number])), f"{n} {unit}{'s' * (n != 1)}"
    shared = None if groups is None else shared_group(labels, groups, number)
    if shared is None:
        raise UserError(
            f"{params.dataset}: labels.npy: class {own} has {few}, expected {len(PARTS)} or more, one for each part; "
            "add some or drop the class"
        )
    row, other = shared
    raise UserError(
        f"{params.dataset}: {unit} {shown(entry_at(files, row))} holds the classes {shown(repr(classes[other]))} and "
        f"{own} and counts for the former, so that the latter has {few}, expected {len(PARTS)} or more, one for each "
        "part; correct labels.npy, add some or drop the class"
    )


def describe(params: Params, dataset: Dataset, samples: Samples) -> Description:
    """Return what dataset.json says."""
    classes = samples.classes
    used = params.model_dump(mode="json", include=set(PREPARING))
    rate, unit = read_audio(Path(params.dataset), params)
    kind, numbers, songs = samples.units.kind, samples.units.numbers, samples.units.songs_apart
    groups = {} if kind == "block" else by_class(classes, count_units(samples, numbers))
    apart = {} if songs is None else {"songs": by_class(classes, count_units(samples, songs))}
    return Description(
        fingerprint=fingerprint([digest(file.path) for file in dataset.files], rate, unit, used),
        params=used,
        classes=classes,
        counts=by_class(classes, samples.counts),
        representations={name: Shape(shape=arrays.X[0].shape[1:]) for name, arrays in dataset.representations.items()},
        source=Source(
            dataset=params.dataset,
            sample_rate=rate,
            groups=groups or None,
            **apart,
            unit=kind,
            split={"seed": params.split_seed, **params.split.model_dump()} if dataset.given_parts is None else "given",
            standardize=params.standardize,
        ),
    )


def summary(samples: Samples) -> str:
    """Return how many samples each part has, and how many groups if they are known, as a phrase."""
    counts = " / ".join(f"{of_class.sum()} {part}" for part, of_class in samples.counts.items())
    if samples.units.kind == "block":
        return f"{counts} samples"
    numbers = samples.units.numbers
    groups = np.bincount(of_units(numbers, samples.parts, int(numbers.max()) + 1))
    return f"{counts} samples, {' / '.join(map(str, groups))} groups"


def count_units(samples: Samples, units: np.ndarray) -> dict[str, np.ndarray]:
    """Return how many units of each part hold samples of each class, shape (classes,); units have shape (n,)."""
    own = ((part, samples.parts == number) for number, part in enumerate(PARTS))
    return {part: units_of_classes(units[rows], samples.labels[rows]) for part, rows in own}


def by_class(classes: list[str], counted: dict[str, np.ndarray]) -> dict[str, dict[str, int]]:
    """Return numbers of each part, shape (classes,), with the classes' names."""
    return {part: dict(zip(classes, numbers.tolist(), strict=True)) for part, numbers in counted.items()}


def read_audio(dataset: Path, params: Params) -> tuple[int | None, str]:
    """Return what audio.json says about the sound behind the arrays: its sampling rate (Hz), and what a group is.

    Without it, the rate is None and a group a track.
    """
    path = dataset / SOUND
    if not is_there(path):
        return None, "track"
    sound = Sound.read(path)
    rate, wanted = sound.sample_rate, params.audio.sample_rate
    if dataset == FEATURES and rate != wanted:
        raise UserError(f"{path}: was made with audio.sample_rate: {rate}, params.yaml has {wanted}; run `dvc repro`")
    return rate, sound.unit


if __name__ == "__main__":
    run_stage(main)
