"""Records: what the stages hand each other as JSON, as types; the only place where it is read, checked and written.

Names that people give (of representations, classes) never share a level of a record with keys of our own.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from stages.files import UserError, history_path, read_json, write_json

PARTS = ("train", "val", "test")  # of a data set
DEVICES = ("cpu", "gpu")
PARTS_OF_TIME = ("warmup", "transfer", "train", "validate", "snapshot", "total")  # the total: from start to end


class Record(BaseModel):
    """Something that one stage writes and others read; once made it does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read one; errors as `checked` has them."""
        return checked(TypeAdapter(cls), path)

    def write(self, path: Path) -> None:
        """Write it whole or not at all, without the keys that were never given."""
        write_json(path, self.model_dump(exclude_unset=True))


def checked(kind: TypeAdapter, path: Path) -> Any:
    """Read JSON of a kind; a UserError names the file and the key if it is missing, damaged or of another make."""
    try:
        return kind.validate_python(read_json(path))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(map(str, problem["loc"])) or "the file"
        raise UserError(f"{path}: {key}: {problem['msg']}; remove it and run `dvc repro`") from None


class Source(Record):
    """Where prepared arrays came from."""

    dataset: str  # the folder
    sample_rate: int | None  # Hz, of the sound behind the arrays
    groups: int | None  # how many tracks, or None if they are unknown
    unit: Literal["track", "block"]  # what a bootstrap draws: tracks, or blocks of neighbouring samples of a class
    split: Literal["given"] | dict[str, int | float]
    standardize: bool


class Shape(Record):
    """What a representation's samples look like."""

    shape: tuple[int, ...]  # of one sample


class Description(Record):
    """The prepared data set: data/prepared/dataset.json."""

    classes: list[str]
    counts: dict[str, dict[str, int]]  # samples by part and class
    representations: dict[str, Shape]
    source: Source


class Epoch(Record):
    """What one epoch of one run gave; losses are in nats a sample."""

    train_loss: float
    val_loss: float
    val_accuracy: float
    val_f1_macro: float


class Runs(Record):
    """All runs on one representation, a list of epochs each."""

    network: str
    runs: list[list[Epoch]]


class History(Record):
    """What a device learnt, epoch by epoch: data/snapshots/DEVICE/history.json. No seconds: those change every time."""

    params: dict[str, Any]
    representations: dict[str, Runs]


class Skipped(Record):
    """What stands in place of a history or a timing where there was no such device."""

    skipped: str  # why


def read_histories() -> dict[str, History]:
    """Return what each device learnt, leaving out a device that was skipped."""
    histories = {device: read_or_skipped(History, history_path(device)) for device in DEVICES}
    return {device: history for device, history in histories.items() if isinstance(history, History)}


class Spread(Record):
    """Seconds over the runs."""

    median: float
    min: float
    max: float


class Timed(Record):
    """How long training on one representation took."""

    seconds: dict[Literal[PARTS_OF_TIME], Spread]  # of one run, whoever ran beside it
    runs_at_once: int
    all_runs_seconds: float  # wall clock from the first run's start to the last one's end
    steps_per_second: float  # of training proper, all runs at once
    samples_per_second: float
    threads: int


class Timing(Record):
    """How long a device took: metrics/train_DEVICE.json."""

    hardware: dict[str, Any]
    start_seconds: float  # importing torch, starting the device, rehearsing: once, before any run
    representations: dict[str, Timed]
    peak_mib: float | None = None  # of a GPU's memory


class Choice(Record):
    """A snapshot; runs and epochs count from 0."""

    device: str
    run: int
    epoch: int
    val_f1_macro: float


class Selection(Record):
    """The snapshot chosen for each representation, and the representation whose choice is best: metrics/select.json."""

    best: str
    representations: dict[str, Choice]


class CardData(Source):
    """What a model was trained on: its source, and the samples by part and class."""

    counts: dict[str, dict[str, int]]


class Card(Record):
    """What rebuilds a model and says where it came from: data/model/REPRESENTATION.json."""

    representation: str
    network: str
    shape: tuple[int, ...]
    hidden: list[int]
    classes: list[str]
    mean: list  # of the training part's columns, nested as `shape` says; std likewise
    std: list
    front_end: dict[str, Any] | None  # settings of the front end; None if sound cannot be brought into this form here
    params: dict[str, Any]
    chosen: Choice
    data: CardData


class Scored(Record):
    """Accuracy and macro F1 with their 95 % intervals."""

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    f1_macro: float
    f1_macro_low: float
    f1_macro_high: float


class Baseline(Scored):
    """How a simpler model did."""

    f1_macro_split_at_random: float | None = None  # only where tracks are known


class Baselines(Record):
    """How every baseline did on every representation: data/baselines.json."""

    representations: dict[str, dict[str, Baseline]]


class Tracks(Record):
    """Scores of whole tracks' verdicts, and how many tracks there are."""

    accuracy: float
    f1_macro: float
    tracks: int


class OverRuns(Record):
    """Mean and standard deviation over the runs, each judged by its own best snapshot."""

    f1_macro_mean: float
    f1_macro_std: float
    best_epoch_mean: float
    best_epoch_std: float


class Judgement(Scored):
    """How a chosen model did on the test part; metrics/evaluate.json has one a representation."""

    loss: float
    f1: dict[str, float]  # by class, as the two below
    precision: dict[str, float]
    recall: dict[str, float]
    expected_calibration_error: float
    true_class_probability: float
    runs: OverRuns
    baselines: dict[str, Baseline]
    track: Tracks | None = None  # only where tracks are known


class Comparison(Record):
    """The CPU against the GPU; metrics/compare.json has one a representation."""

    cpu_seconds: float  # of the median run
    gpu_seconds: float | None
    cpu_all_runs_seconds: float
    gpu_all_runs_seconds: float | None
    gpu_speedup: float | None  # of all runs
    max_val_f1_difference: float | None


def read_by_name(kind: type[Record], path: Path) -> dict[str, Any]:
    """Read a file that holds a record of a kind for each name (of a representation, say)."""
    return checked(TypeAdapter(dict[str, kind]), path)


def write_by_name(path: Path, records: dict[str, Record]) -> None:
    """Write a record for each name."""
    write_json(path, {name: record.model_dump(exclude_unset=True) for name, record in records.items()})


def read_or_skipped(kind: type[Record], path: Path) -> Any:
    """Read a record that a device without hardware replaces by the reason why it was skipped."""
    return checked(TypeAdapter(Skipped | kind), path)
