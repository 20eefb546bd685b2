"""prepare: split and standardize the data set's arrays and write them as tensors.

Reads the folder that `dataset` names; writes data/prepared/REPRESENTATION.safetensors (train_x train_y train_unit, the
same of val and test, mean std) and data/prepared/dataset.json (classes, shapes, counts and where they came from). A
sample's unit is its track, or, where tracks are unknown, its block of neighbours: what a bootstrap resamples.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save

from stages.files import DESCRIPTION, FEATURES, PREPARED, UserError, is_there, read_json, shown
from stages.fingerprints import digest, fingerprint
from stages.learning.dataset import Dataset, check_classes, encode, load_dataset
from stages.learning.split import part_counts, resampling_units, split_rows, standardization
from stages.params import PREPARING, Params, load_params
from stages.records import PARTS, RATES, Description, Shape, Source
from stages.running import run_stage
from stages.writing import replacing_folder, write_bytes


def main() -> None:
    """Prepare all representations with one and the same split, and replace data/prepared as a whole."""
    params = load_params()
    dataset = load_dataset(Path(params.dataset), params.representations)
    first = next(iter(dataset.representations.values()))
    classes, labels = encode(first.labels)
    parts = dataset.given_parts
    if parts is None:
        parts = draw_split(params, classes, labels, first.groups)
        if first.groups is None:
            print(
                f"warning: {params.dataset} has no groups.npy, so seconds of one track may stand in two parts of the "
                "split, which flatters every score; see 'your own arrays' in the README"
            )
    check_classes(classes, labels, parts)
    units = resampling_units(labels, first.groups, dataset.given_parts)

    with replacing_folder(PREPARED) as folder:
        description = describe(params, dataset, classes, labels, parts)
        for name, arrays in dataset.representations.items():
            prepared = tensors(name, arrays.X, parts, params.standardize)
            for part in PARTS:
                prepared |= {f"{part}_y": labels[parts[part]], f"{part}_unit": units[parts[part]]}
            write_bytes(folder / f"{name}.safetensors", save(prepared, {"fingerprint": description.fingerprint}))
        description.write(folder / DESCRIPTION.name)
    counts = " / ".join(f"{len(parts[part])} {part}" for part in PARTS)
    print(f"prepare: {', '.join(dataset.representations)}: {counts} samples of {', '.join(classes)}")


def tensors(name: str, X: np.ndarray, parts: dict[str, np.ndarray], standardize: bool) -> dict[str, np.ndarray]:
    """Return a representation's samples by part, `PART_x`, and `mean` and `std` of the training part, all float32.

    Raises:
        UserError: if a column's numbers are so small or so far apart that float32 cannot hold them standardized.
    """
    mean, std = np.zeros(X.shape[1:]), np.ones(X.shape[1:])
    with np.errstate(all="ignore"):  # what cannot be held is told below
        if standardize:
            mean, std = standardization(X[parts["train"]])
        arrays = {"mean": mean.astype(np.float32), "std": std.astype(np.float32)}
        arrays |= {f"{part}_x": ((X[parts[part]] - mean) / std).astype(np.float32) for part in PARTS}
    if not (all(np.isfinite(array).all() for array in arrays.values()) and (arrays["std"] > 0).all()):
        raise UserError(
            f"{name}/X.npy: found columns whose numbers float32 cannot hold once they are standardized (deviation "
            f"{std.min():.3g} to {std.max():.3g}), expected a usual range; scale them first"
        )
    return arrays


def draw_split(
    params: Params, classes: list[str], labels: np.ndarray, groups: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return the rows of each part.

    Raises:
        UserError: if the parameter `split` does not fit the data set, or a class is too small to be split.
    """
    split = params.split.model_dump()
    try:
        counts = part_counts(len(labels), split)
    except ValueError as error:
        fractions = " ".join(f"-S split.{part}={value / sum(split.values()):.2g}" for part, value in split.items())
        raise UserError(
            f"params.yaml: split: {error}, the samples of the data set; give counts that add up to {len(labels)}, or "
            f"fractions, say {fractions}"
        ) from None
    try:
        return split_rows(classes, labels, groups, counts, params.split_seed)
    except ValueError as error:
        raise UserError(f"{params.dataset}: labels.npy: {error}; add some or drop the class") from None


def describe(
    params: Params, dataset: Dataset, classes: list[str], labels: np.ndarray, parts: dict[str, np.ndarray]
) -> Description:
    """Return what dataset.json says."""
    first = next(iter(dataset.representations.values()))
    used, rate = params.model_dump(mode="json", include=set(PREPARING)), sample_rate(Path(params.dataset), params)
    counted = {part: np.bincount(labels[parts[part]], minlength=len(classes)).tolist() for part in PARTS}
    return Description(
        fingerprint=fingerprint([digest(path) for path in dataset.files], rate, used),
        params=used,
        classes=classes,
        counts={part: dict(zip(classes, numbers, strict=True)) for part, numbers in counted.items()},
        representations={name: Shape(shape=arrays.X.shape[1:]) for name, arrays in dataset.representations.items()},
        source=Source(
            dataset=params.dataset,
            sample_rate=rate,
            groups=None if first.groups is None else len(np.unique(first.groups)),
            unit="block" if first.groups is None else "track",
            split="given" if dataset.given_parts else {"seed": params.split_seed, **params.split.model_dump()},
            standardize=params.standardize,
        ),
    )


def sample_rate(dataset: Path, params: Params) -> int | None:
    """Return the sampling rate (Hz) that audio.json gives for the sound behind the arrays; None without it.

    Raises:
        UserError: if audio.json gives none, or one that params.yaml did not ask for.
    """
    path = dataset / "audio.json"
    if not is_there(path):
        return None
    content = read_json(path)
    rate = content.get("sample_rate") if isinstance(content, dict) else None
    if type(rate) is not int or not RATES[0] <= rate <= RATES[1]:
        raise UserError(f"{path}: found sample_rate {shown(rate)}, expected a number of Hz, say 8000")
    wanted = params.audio.sample_rate
    if dataset == FEATURES and rate != wanted:
        raise UserError(f"{path}: was made with audio.sample_rate: {rate}, params.yaml has {wanted}; run `dvc repro`")
    return rate


if __name__ == "__main__":
    run_stage(main)
