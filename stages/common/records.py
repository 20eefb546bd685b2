"""Records: what stages leave in data/ for each other, as types; the only place where JSON is read, checked and written.

What is in metrics/ is in stages/common/results.py.
Names that people give (of representations, classes) are never on one level of a record with keys of this program.
"""

from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
    model_validator,
)

from stages.common.files import UserError, few_of, read_json, shown
from stages.common.writing import write_json

PARTS = ("train", "val", "test")  # of a data set
DEVICES = ("cpu", "gpu")
NETWORKS = {"mlp": "multilayer perceptron", "cnn": "convolutional network"}
MODELS = ("best", "ensemble", "svm", "all")  # what data/model holds
Count = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=1, le=10**9)]
RATES = (1000, 768_000)  # Hz, of any sound
Rate = Annotated[int, Field(ge=RATES[0], le=RATES[1])]
Loss = Annotated[float, Field(allow_inf_nan=True)]  # of a run that has just diverged
Name = Annotated[str, Field(min_length=1)]  # in Unicode
Classes = Annotated[list[Name], Field(min_length=2)]
ByClass = Annotated[dict[Name, Size], Field(min_length=2)]
Counts = Annotated[dict[Literal[PARTS], ByClass], Field(min_length=len(PARTS))]  # by part and class
BLOCK = 30  # neighbouring samples of a class that count as one track where tracks are unknown
SONG = {"song": str, "class": str, "part": str, "samples": int}  # the columns of data/songs.csv
ENOUGH = 5  # songs (or groups) of a class: fewer vary too little for an interval, which then looks narrow and is not
UNITS = {  # kinds of units, that is, of samples that belong together, and what messages call them
    "track": "song",
    "group": "group",  # of songs: an artist's, an album's
    "block": "block",  # of neighbouring samples of a class, where tracks are unknown
}
Fingerprint = Annotated[str, Field(min_length=1)]  # of what something was made from: stages/common/fingerprints.py


def _fits_in_memory(shape: tuple[int, ...]) -> tuple[int, ...]:
    if prod(shape) > 2**30:
        raise ValueError(f"{prod(shape):,} numbers in a sample are too many")
    return shape


Lengths = Annotated[tuple[Size, ...], AfterValidator(_fits_in_memory)]  # of one sample's axes


class Record(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True):
    """Something that one stage writes and others read; it never changes. Its schema is built when it is first used."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read one; errors as `checked` has them."""
        return checked(TypeAdapter(cls), path)

    def write(self, path: Path) -> None:
        """Write it whole or not at all, without the keys that were not set."""
        write_json(path, self.model_dump(exclude_unset=True))


def checked(kind: TypeAdapter, path: Path) -> Any:
    """Read JSON of a kind; a UserError names the file and the key if it is missing, damaged or of another version."""
    try:
        return kind.validate_python(read_json(path))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(map(str, problem["loc"])) or "the file"
        raise UserError(f"{path}: {shown(key)}: {problem['msg']}; remove it and run `dvc repro`") from None


class Sound(Record):
    """The sound behind a data set's arrays: DATASET/audio.json, which people may write too."""

    sample_rate: Rate
    unit: Literal["track", "group"] = "track"  # what groups.npy numbers, where there is no tracks.npy


class Drawn(Record):
    """How a split was drawn."""

    seed: int
    train: int | float
    val: int | float
    test: int | float


class Source(Record):
    """Where prepared arrays came from."""

    dataset: str  # the folder
    sample_rate: Rate | None  # of the sound behind the arrays
    groups: Counts | None  # songs or groups of them, or None if both are unknown
    songs: Counts | None = None  # those in the groups, where both are known and are not the same
    unit: Literal[tuple(UNITS)]  # what no split cuts in two and a bootstrap draws
    split: Literal["given"] | Drawn
    standardize: bool


class Shape(Record):
    """What a representation's samples look like."""

    shape: Lengths


class Description(Record):
    """The prepared data set: data/prepared/dataset.json."""

    fingerprint: Fingerprint  # of the arrays and the parameters
    params: dict[str, Any]
    classes: Classes
    counts: Counts  # samples
    representations: Annotated[dict[Name, Shape], Field(min_length=1)]
    source: Source

    @model_validator(mode="after")
    def _every_class_is_counted(self) -> Self:
        if any(sorted(counts) != sorted(self.classes) for counts in self.counts.values()):
            raise ValueError("classes and counts: expected the same names, each once")
        return self


class Epoch(Record):
    """What one epoch of one run gave; losses are in nats a sample."""

    train_loss: Loss
    val_loss: Loss
    val_accuracy: float
    val_f1_macro: float


class Runs(Record):
    """All runs on one representation, a list of epochs each."""

    network: Literal[tuple(NETWORKS)]
    runs: list[list[Epoch]]


class History(Record):
    """What a device learnt, epoch by epoch: data/snapshots/DEVICE/history.json. No seconds: those change every time."""

    fingerprint: Fingerprint  # of the prepared data and the parameters
    params: dict[str, Any]
    representations: dict[str, Runs]


class Skipped(Record):
    """What replaces a history or a timing if there was no such device."""

    skipped: str  # why


class Choice(Record):
    """A snapshot; runs and epochs count from 0."""

    device: Literal[DEVICES]
    run: Count
    epoch: Count
    val_f1_macro: float


class CardData(Source):
    """What a model was trained on: its source, and the samples by part and class."""

    fingerprint: Fingerprint  # of the prepared data
    counts: dict[Literal[PARTS], dict[Name, Size]]


class FrontEnd(Record, extra="allow"):
    """Settings of the front end: these, and any others that it has."""

    definition: str
    sample_rate: Rate


class Card(Record):
    """What rebuilds a model and says where it came from: data/model/REPRESENTATION.json."""

    fingerprint: Fingerprint  # of the training, as its history.json says
    weights: Fingerprint  # SHA-256 of the weights' file
    representation: str
    network: Literal[tuple(NETWORKS)]
    shape: Lengths
    hidden: Annotated[list[Size], Field(max_length=100)]
    classes: Classes
    mean: list  # of the training set's columns, nested as `shape` says; std likewise
    std: list
    front_end: FrontEnd | None  # None if the representation cannot be computed from audio here
    params: dict[str, Any]
    chosen: Choice  # the best snapshot
    members: list[Choice]  # it alone, or of an ensemble each run's best; none of a support vector machine alone
    vectors: Annotated[int, Field(ge=0, le=10**9)]  # of the support vector machine; 0 without one
    temperature: Annotated[float, Field(gt=0)]  # by which logits are divided
    val_f1_macro: float  # of the model as a whole
    data: CardData

    @model_validator(mode="after")
    def _there_is_a_model(self) -> Self:
        if not self.members and not self.vectors:
            raise ValueError("members and vectors: expected a snapshot, support vectors, or both")
        return self


def few_songs(source: Source, parts: tuple[str, ...] = PARTS) -> str:
    """Return which classes have fewer songs than ENOUGH in which of these parts, as a phrase; "" if none are known."""
    counted = {part: source.groups[part] for part in parts if source.groups}
    few = {part: [f"{n} of {name}" for name, n in own.items() if n < ENOUGH] for part, own in counted.items()}
    phrase = "; ".join(f"{part} has {few_of(classes)}" for part, classes in few.items() if classes)
    return f"fewer than {ENOUGH} {UNITS[source.unit]}s of a class: {phrase}" if phrase else ""


def read_by_name(kind: type[Record], path: Path) -> dict[str, Any]:
    """Read a file that holds a record of a kind for each name (of a representation, say)."""
    return checked(TypeAdapter(dict[str, kind]), path)


def write_by_name(path: Path, records: dict[str, Record]) -> None:
    """Write a record for each name."""
    write_json(path, {name: record.model_dump(exclude_unset=True) for name, record in records.items()})


def read_or_skipped(kind: type[Record], path: Path) -> Any:
    """Read a record that a device without hardware replaces by the reason why it was skipped."""
    try:
        return Skipped.read(path)
    except UserError:
        return kind.read(path)


def read_table(path: Path, columns: dict[str, Any]) -> list[dict[str, Any]]:
    """Read JSON that is a list of rows with these columns, given each one's type."""
    row = create_model("Row", __base__=Record, **{name: (kind, ...) for name, kind in columns.items()})
    return [each.model_dump() for each in checked(TypeAdapter(Annotated[list[row], Field(min_length=1)]), path)]
