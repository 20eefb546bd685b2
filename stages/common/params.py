"""params.yaml as one checked model: every knob of the pipeline, with its type and its range."""

from collections import Counter
from collections.abc import Collection, Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, FiniteFloat, ValidationError, field_validator

from stages.common.files import UserError, few_of, open_regular, shown
from stages.common.records import MODELS, NETWORKS

PARAMS = Path("params.yaml")
# What the data are prepared with, and what training reads.
PREPARING = ("dataset", "representations", "split", "split_seed", "standardize")
TRAINING = (
    *("network", "hidden", "dropout", "label_smoothing", "input_noise", "mixup", "spec_augment"),
    *("optimizer", "optimizer_args", "lr", "schedule", "class_weights", "epochs", "batch_size", "runs", "seed"),
    "snapshots",
)
MOST_COMPLAINTS = 20
MOST_BYTES = 2**20  # of params.yaml: PyYAML takes seconds to read that many
MOST_WEIGHTS = 2**30  # between hidden layers: 4 GiB

Name = Annotated[str, Field(min_length=1, max_length=1000)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[int | float, Field(gt=0, le=10**12)]
Plain = bool | int | FiniteFloat | Annotated[str, Field(max_length=1000)] | None


class Keys(BaseModel, extra="forbid", defer_build=True):
    """Keys of params.yaml; any other is refused."""


class Split(Keys):
    """The proportion in which the parts share the samples, as counts or fractions."""

    train: Share
    val: Share
    test: Share


class SpecAugment(Keys):
    """How many neighbouring bands and frames of a picture are masked at most."""

    bands: Annotated[int, Field(ge=0, le=10**9)]
    frames: Annotated[int, Field(ge=0, le=10**9)]


class Audio(Keys):
    """How data/audio becomes data/features."""

    sample_rate: Annotated[int, Field(ge=8000, le=48000)]
    on_error: Literal["fail", "skip"]


class Params(Keys):
    """All parameters; what is not here is not a parameter."""

    dataset: Name
    representations: Literal["all"] | Annotated[list[Name], Field(min_length=1)]
    split: Split
    split_seed: Seed
    standardize: bool
    network: str | dict[str, str]
    hidden: Annotated[list[Count], Field(min_length=1, max_length=100)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    input_noise: Annotated[float, Field(ge=0, le=1000)]
    mixup: Annotated[float, Field(ge=0, le=1000)]
    spec_augment: SpecAugment
    optimizer: Name
    optimizer_args: dict[Name, Plain | Annotated[list[Plain], Field(max_length=100)]]
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    schedule: Literal["constant", "cosine"]
    class_weights: Literal["none", "balanced"]
    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    batch_size: Count
    runs: Annotated[int, Field(ge=1, le=10_000)]
    seed: Seed
    snapshots: Literal["improved", "every", "last"]
    model: Literal[MODELS]
    audio: Audio
    scheduler: Name | None

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

    @field_validator("hidden")
    @classmethod
    def _weights_fit_in_memory(cls, hidden: list[int]) -> list[int]:
        weights = max(hidden[0], sum(inputs * outputs for inputs, outputs in pairwise(hidden)))
        if weights > MOST_WEIGHTS:
            raise ValueError(f"expected at most {MOST_WEIGHTS:,} weights in all, not {weights:,}")
        return hidden

    @field_validator("optimizer_args", mode="before")
    @classmethod
    def _numbers_written_as_text(cls, arguments: Any) -> Any:
        return {key: _number(value) for key, value in arguments.items()} if isinstance(arguments, dict) else arguments

    @field_validator("optimizer_args")
    @classmethod
    def _lr_has_its_own_key(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        if "lr" in arguments:
            raise ValueError("expected no lr here: the key lr sets it")
        return arguments


KEYS = {*Params.model_fields, *Split.model_fields, *SpecAugment.model_fields, *Audio.model_fields}


def _number(value: Any) -> Any:
    """Return text as a number if it is one, such as 1e-06."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


class Loader(yaml.SafeLoader):
    """YAML without duplicate keys, and without aliases: a few lines of those can expand to more than memory holds."""

    def compose_node(self, parent: Any, index: Any) -> yaml.Node:
        """Refuse an alias."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, f"found the alias *{event.anchor}", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict:
        """Refuse a key that is given twice: the second would silently win."""
        for key, n in Counter(str(key.value) for key, _ in node.value).items():
            if n > 1:
                raise yaml.constructor.ConstructorError(None, None, f"found the key {key} twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load_params(path: Path = PARAMS) -> Params:
    """Read and check params.yaml; numbers written as text (1e-06 is text to YAML 1.1) are taken as numbers."""
    try:
        with open_regular(path) as file:
            return _checked(path, file.read(MOST_BYTES + 1))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run this from the repository's root") from None


@lru_cache(1)  # a stage compares several of its inputs with the file
def _checked(path: Path, text: bytes) -> Params:
    try:
        if len(text) > MOST_BYTES:
            raise ValueError(f"found more than {MOST_BYTES:,} bytes")
        content = yaml.load(text.decode("utf-8"), Loader)
        repr(content)  # refuses a number of more digits than Python prints
    except Exception as error:  # PyYAML ends in many ways: a date of the 31st of February is a ValueError
        raise UserError(f"{path}: not YAML: {shown(' '.join(str(error).split()), 1000)}") from None
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UserError(few_of(_complaints(path, error), "; ", MOST_COMPLAINTS)) from None


def asks_for(params: Params, folder: Path) -> bool:
    """Return whether `dataset` is a folder that a stage makes."""
    return Path(params.dataset).absolute() == folder.absolute()


def _complaints(path: Path, error: ValidationError) -> list[str]:
    expected, found = {}, {}
    for problem in error.errors(include_url=False):
        # pydantic adds the tried alternative of a union to the location; the user knows only the key.
        unknown = problem["type"] == "extra_forbidden"
        known = [str(part) for part in problem["loc"] if part in KEYS or unknown]
        key = ".".join(known or map(str, problem["loc"])) or "the file"
        expected.setdefault(key, []).append(_in_words(problem))
        found.setdefault(key, problem["input"])
        if problem["type"] == "missing":  # where pydantic gives all that is there
            found[key] = None
    short = Repr()
    short.maxstring = short.maxother = short.maxlong = 80
    return [
        f"{path}: {shown(key)}: found {short.repr(found[key])}: {' or '.join(dict.fromkeys(expected[key]))}"
        for key in expected
    ]


def _in_words(problem: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, and what to write where that can be guessed."""
    value, message = problem["input"], problem["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "expected")
    message = message[0].lower() + message[1:]
    if problem["type"] == "extra_forbidden":
        return f"no such parameter{did_you_mean(str(problem['loc'][-1]), KEYS)}"
    if problem["type"] == "list_type" and isinstance(value, int | str):
        return f"{message}, say [{shown(value, 80)}]"
    if problem["type"] == "float_parsing" and isinstance(_number(value.replace(",", ".", 1)), float):
        return f"{message}: write {value.replace(',', '.')}"
    return message


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return the name that was most likely meant, as the end of a sentence; "" if none is similar."""
    from difflib import get_close_matches

    by_lower = {each.lower(): each for each in known}
    return "".join(f", did you mean {by_lower[each]}?" for each in get_close_matches(name.lower(), by_lower, 1, 0.75))
