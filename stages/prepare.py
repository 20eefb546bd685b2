"""prepare: split and standardize the data set's arrays and write them as tensors.

Reads the folder that `dataset` names; writes data/prepared/REPRESENTATION.safetensors (train_x train_y train_unit, the
same of val and test, mean std) and data/prepared/dataset.json (classes, shapes, counts and where they came from). A
sample's unit is its track, or, where tracks are unknown, its block of neighbours: what a bootstrap resamples.
"""

from pathlib import Path

import numpy as np

from stages.core.dataset import (
    BLOCK,
    PARTS,
    check_classes,
    encode,
    load_dataset,
    resampling_units,
    split_rows,
    standardization,
)
from stages.core.params import Params, load_params
from stages.files import PREPARED, UserError, read_json, replacing_folder, run_stage, write_bytes, write_json


def main() -> None:
    """Prepare all representations with one and the same split, and replace data/prepared as a whole."""
    params = load_params()
    dataset = load_dataset(Path(params.dataset), params.representations)
    first = next(iter(dataset.representations.values()))
    classes, labels = encode(first.labels)
    parts = dataset.given_parts
    if parts is None:
        parts = split_rows(classes, labels, first.groups, params.split.model_dump(), params.split_seed)
        if first.groups is None:
            print(
                f"warning: {params.dataset} has no groups.npy, so seconds of one track may stand in two parts of the "
                "split, which flatters every score; see 'your own arrays' in the README"
            )
    check_classes(classes, labels, parts)
    units = resampling_units(labels, first.groups, dataset.given_parts)

    with replacing_folder(PREPARED) as folder:
        for name, arrays in dataset.representations.items():
            write_bytes(folder / f"{name}.safetensors", tensors(arrays.X, labels, units, parts, params.standardize))
        write_json(folder / "dataset.json", describe(params, dataset, classes, labels, parts))
    counts = " / ".join(f"{len(parts[part])} {part}" for part in PARTS)
    print(f"prepare: {', '.join(dataset.representations)}: {counts} samples of {', '.join(classes)}")


def tensors(
    X: np.ndarray, labels: np.ndarray, units: np.ndarray, parts: dict[str, np.ndarray], standardize: bool
) -> bytes:
    """Return one representation as safetensors: each part's x (float32), y and unit (int64), mean and std (float32)."""
    from safetensors.numpy import save

    mean, std = np.zeros(X.shape[1:]), np.ones(X.shape[1:])
    if standardize:
        mean, std = standardization(X[parts["train"]])
    arrays = {"mean": mean.astype(np.float32), "std": std.astype(np.float32)}
    for part in PARTS:
        arrays[f"{part}_x"] = ((X[parts[part]] - mean) / std).astype(np.float32)
        arrays[f"{part}_y"] = labels[parts[part]]
        arrays[f"{part}_unit"] = units[parts[part]]
    return save(arrays)


def describe(params: Params, dataset, classes: list[str], labels: np.ndarray, parts: dict[str, np.ndarray]) -> dict:
    """Return what dataset.json says."""
    first = next(iter(dataset.representations.values()))
    return {
        "classes": classes,
        "counts": {
            part: dict(zip(classes, np.bincount(labels[parts[part]], minlength=len(classes)).tolist(), strict=True))
            for part in PARTS
        },
        "representations": {name: {"shape": arrays.X.shape[1:]} for name, arrays in dataset.representations.items()},
        "source": {
            "dataset": params.dataset,
            "sample_rate": sample_rate(Path(params.dataset)),
            "groups": None if first.groups is None else len(np.unique(first.groups)),
            "unit": f"{BLOCK} neighbouring samples of a class" if first.groups is None else "track",
            "split": "given" if dataset.given_parts else {"seed": params.split_seed, **params.split.model_dump()},
            "standardize": params.standardize,
        },
    }


def sample_rate(dataset: Path) -> int | None:
    """Return the sampling rate (Hz) that audio.json gives for the sound behind the arrays; None without it.

    Raises:
        UserError: if audio.json gives none.
    """
    path = dataset / "audio.json"
    if not path.exists():
        return None
    content = read_json(path)
    rate = content.get("sample_rate") if isinstance(content, dict) else None
    if type(rate) is not int or rate < 1:
        raise UserError(f"{path}: found sample_rate {rate!r}, expected a number of Hz, say 8000")
    return rate


if __name__ == "__main__":
    run_stage(main)
