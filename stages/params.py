"""params.yaml as one checked model: every knob of the pipeline, with its type and its range."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stages.files import UserError

PARAMS = Path("params.yaml")
NETWORKS = ("mlp", "cnn")

Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Split(BaseModel):
    """How many samples (whole numbers) or what share of them (fractions that add up to 1) each part gets."""

    model_config = ConfigDict(extra="forbid")

    train: Annotated[int | float, Field(gt=0)]
    val: Annotated[int | float, Field(gt=0)]
    test: Annotated[int | float, Field(gt=0)]


class Audio(BaseModel):
    """How data/audio becomes data/features."""

    model_config = ConfigDict(extra="forbid")

    sample_rate: Annotated[int, Field(ge=8000, le=48000, multiple_of=20)]
    on_error: Literal["fail", "skip"]
    scheduler: Name | None


class Params(BaseModel):
    """All parameters; what is not here is not a parameter."""

    model_config = ConfigDict(extra="forbid")

    dataset: Name
    representations: Literal["all"] | Annotated[list[Name], Field(min_length=1)]
    split: Split
    split_seed: Seed
    standardize: bool
    network: str | dict[str, str]
    hidden: Annotated[list[Count], Field(min_length=1)]
    optimizer: Name
    optimizer_args: dict[str, Any]
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    epochs: Count
    batch_size: Count
    runs: Count
    seed: Seed
    snapshots: Literal["improved", "every"]
    audio: Audio

    @field_validator("split")
    @classmethod
    def _counts_or_fractions(cls, split: Split) -> Split:
        parts = (split.train, split.val, split.test)
        counts = all(isinstance(part, int) for part in parts)
        if not counts and not math.isclose(sum(parts), 1, abs_tol=1e-6):
            raise ValueError("expected three whole numbers, or fractions that add up to 1")
        return split

    @field_validator("representations")
    @classmethod
    def _no_name_twice(cls, names: str | list[str]) -> str | list[str]:
        if isinstance(names, list) and len(set(names)) < len(names):
            raise ValueError("expected every name once")
        return names

    @field_validator("network")
    @classmethod
    def _known_network(cls, network: str | dict[str, str]) -> str | dict[str, str]:
        names = network.values() if isinstance(network, dict) else [network]
        if not set(names) <= set(NETWORKS):
            raise ValueError(f"expected one of {', '.join(NETWORKS)}, or a mapping from representation to one of them")
        return network

    @field_validator("optimizer_args")
    @classmethod
    def _lr_has_its_own_key(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        if "lr" in arguments:
            raise ValueError("expected no lr here: the key lr sets it")
        return arguments


KEYS = {*Params.model_fields, *Split.model_fields, *Audio.model_fields}


def load_params(path: Path = PARAMS) -> Params:
    """Read and check params.yaml; numbers written as text (1e-06 is text to YAML 1.1) are taken as numbers.

    Raises:
        UserError: naming every key that is unknown, missing, mistyped or out of range.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run this from the repository's root") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UserError("; ".join(_complaints(path, error))) from None


def _complaints(path: Path, error: ValidationError) -> list[str]:
    expected, found = {}, {}
    for problem in error.errors(include_url=False):
        # pydantic adds the tried alternative of a union to the location; the user knows the key alone.
        known = [str(part) for part in problem["loc"] if part in KEYS]
        key = ".".join(known or map(str, problem["loc"])) or "the file"
        message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
        expected.setdefault(key, []).append(message[0].lower() + message[1:])
        found.setdefault(key, problem["input"])
    return [f"{path}: {key}: found {found[key]!r}: {' or '.join(dict.fromkeys(expected[key]))}" for key in expected]
