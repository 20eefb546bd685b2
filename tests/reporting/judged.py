"""A judgement that several tests tell of."""

from stages.common.results import PARTS_OF_TIME, Hardware, Judgement, Tracks

SCORES = {"accuracy": 0.71, "accuracy_low": 0.6, "accuracy_high": 0.8, "f1_macro": 0.7, "f1_macro_low": 0.61} | {
    "f1_macro_high": 0.79
}
JUDGED = Judgement(
    **SCORES,
    loss=0.9,
    temperature=1.5,
    uncalibrated={"loss": 0.95, "expected_calibration_error": 0.06},
    f1={"a": 0.7, "b": 0.7},
    precision={"a": 0.7, "b": 0.7},
    recall={"a": 0.7, "b": 0.7},
    expected_calibration_error=0.05,
    true_class_probability=0.6,
    runs={"f1_macro_mean": 0.68, "f1_macro_std": 0.02, "best_epoch_mean": 3.5, "best_epoch_std": 0.5},
    ensemble=SCORES | {"f1_macro": 0.72, "loss": 0.8, "expected_calibration_error": 0.04, "members": 4},
    baselines={"svm_rbf": SCORES | {"f1_macro": 0.65}},
    blocks={"a": 6, "b": 5},
)
HARDWARE = Hardware(cpu="a processor", cores=2, instruction_set="AVX2", versions={"torch": "2"})
SECONDS = {part: {"median": 1.0, "min": 1.0, "max": 1.0} for part in PARTS_OF_TIME}
TRACKS = Tracks(accuracy=0.8, f1_macro=0.75, tracks=11)
FEW = JUDGED.model_copy(update={"blocks": None, "groups": {"a": 9, "b*": 2}, "track": TRACKS})


def scores(first: float) -> dict[str, float]:
    """Return scores of which no two are the same, from `first` on."""
    return {name: first + n / 100 for n, name in enumerate(SCORES)}


# No two figures are the same: one in another's place is seen.
UNLIKE = Judgement(
    **JUDGED.model_dump(include={"f1", "precision", "recall", "true_class_probability", "blocks"}),
    **scores(0.1),
    loss=1.25,
    temperature=0.75,
    uncalibrated={"loss": 1.35, "expected_calibration_error": 0.045},
    expected_calibration_error=0.025,
    track={"accuracy": 0.16, "f1_macro": 0.17, "tracks": 11},
    runs={"f1_macro_mean": 0.18, "f1_macro_std": 0.019, "best_epoch_mean": 3.5, "best_epoch_std": 0.5},
    ensemble=scores(0.2)
    | {"loss": 1.5, "expected_calibration_error": 0.035, "members": 4}
    | {"track": {"accuracy": 0.26, "f1_macro": 0.27, "tracks": 11}},
    baselines={"majority_class": scores(0.3), "logistic_regression": scores(0.4) | {"f1_macro_split_at_random": 0.46}},
)
