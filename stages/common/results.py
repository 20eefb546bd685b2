"""Results: what the stages leave in metrics/, as types; records.py reads and writes them."""

from operator import itemgetter
from typing import Annotated, Any, Literal

from pydantic import Field

from stages.common.records import ENOUGH, MODELS, UNITS, ByClass, Choice, Fingerprint, Record

MOST_SAMPLES = 10_000  # that baselines learn from and are judged on: an SVM's time grows with the product
PARTS_OF_TIME = ("warmup", "transfer", "train", "validate", "snapshot", "total")  # the total: from start to end


class Spread(Record):
    """Seconds over the runs."""

    median: float
    min: float
    max: float


class Timed(Record):
    """How long training on one representation took."""

    seconds: Annotated[  # of one run, whatever ran at the same time
        dict[Literal[PARTS_OF_TIME], Spread], Field(min_length=len(PARTS_OF_TIME))
    ]
    runs_at_once: int
    all_runs_seconds: float  # wall clock from the first run's start to the last one's end
    steps_per_second: float  # of training proper, all runs at once
    samples_per_second: float
    threads: int


class Hardware(Record):
    """What times were measured on."""

    cpu: str
    cores: int
    instruction_set: str
    versions: dict[str, str]
    hosts: list[str] | None = None  # of a cluster
    gpu: str | None = None
    driver: str | None = None
    cuda: str | None = None


class Timing(Record):
    """How long a device took: metrics/train_DEVICE.json."""

    hardware: Hardware
    start_seconds: float  # importing torch, starting the device, rehearsing: once, before any run
    representations: dict[str, Timed]
    peak_mib: float | None = None  # of a GPU's memory


class Selection(Record):
    """The snapshot chosen for each representation, and the representation whose choice is best: metrics/select.json."""

    best: str
    model: Literal[MODELS]  # what data/model holds
    representations: dict[str, Choice]


class Scored(Record):
    """Accuracy and macro F1 with their 95 % intervals."""

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    f1_macro: float
    f1_macro_low: float
    f1_macro_high: float


class Tracks(Record):
    """Scores of whole tracks' verdicts, and how many tracks there are."""

    accuracy: float
    f1_macro: float
    tracks: int


class Baseline(Scored):
    """How a simpler model did."""

    track: Tracks | None = None  # only where songs are known
    f1_macro_split_at_random: float | None = None  # only where songs or groups are known


class Baselines(Record):
    """How every baseline did on every representation: data/baselines.json."""

    fingerprint: Fingerprint  # of the prepared data
    params: dict[str, Any]
    representations: dict[str, dict[str, Baseline]]


class OverRuns(Record):
    """Mean and standard deviation over the runs, each judged by its own best snapshot."""

    f1_macro_mean: float
    f1_macro_std: float
    best_epoch_mean: float
    best_epoch_std: float


class Calibration(Record):
    """How well a model's probabilities fit the test set."""

    loss: float
    expected_calibration_error: float


class Judged(Scored, Calibration):
    """How one of our models did on the test set."""

    track: Tracks | None = None  # only where songs are known


class OfEnsemble(Judged):
    """How the mean probability of the runs' best snapshots did."""

    members: int


class Judgement(Judged):
    """How a chosen model did on the test set; metrics/evaluate.json has one a representation."""

    temperature: float
    uncalibrated: Calibration  # the same model without its temperature
    f1: dict[str, float]  # by class, as the two below
    precision: dict[str, float]
    recall: dict[str, float]
    true_class_probability: float
    runs: OverRuns | None = None  # of a representation, as the two below; a joint model has none
    ensemble: OfEnsemble | None = None
    baselines: Annotated[dict[str, Baseline], Field(min_length=1)] | None = None
    groups: ByClass | None = None  # songs of the test set, or groups of them, where they are known
    songs: ByClass | None = None  # those in the groups, where both are known and are not the same
    blocks: ByClass | None = None  # used instead of songs and groups where neither is known

    @property
    def models(self) -> dict[str, Scored]:
        """The chosen model and those that it is compared with."""
        return {
            "chosen model": self,
            **({"ensemble": self.ensemble} if self.ensemble else {}),
            **(self.baselines or {}),
        }

    @property
    def rests_on(self) -> str | None:
        """What replaces all intervals if a class has too few units, such as "rests on 2 songs of pop"."""
        unit = "block" if self.blocks else "track" if self.track and not self.songs else "group"
        name, n = min((self.groups or self.blocks or {}).items(), key=itemgetter(1), default=(None, ENOUGH))
        return f"rests on {n} {UNITS[unit]}{'s' * (n > 1)} of {name}" if n < ENOUGH else None


class Comparison(Record):
    """The CPU against the GPU; metrics/compare.json has one a representation."""

    cpu_seconds: float  # of the median run
    gpu_seconds: float | None
    cpu_all_runs_seconds: float
    gpu_all_runs_seconds: float | None
    gpu_speedup: float | None  # of all runs
    max_val_f1_difference: float | None
