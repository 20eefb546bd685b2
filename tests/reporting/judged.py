"""A judgement that several tests tell of."""

from stages.results import Judgement

SCORES = {"accuracy": 0.71, "accuracy_low": 0.6, "accuracy_high": 0.8, "f1_macro": 0.7, "f1_macro_low": 0.61} | {
    "f1_macro_high": 0.79
}
JUDGED = Judgement(
    **SCORES,
    loss=0.9,
    f1={"a": 0.7, "b": 0.7},
    precision={"a": 0.7, "b": 0.7},
    recall={"a": 0.7, "b": 0.7},
    expected_calibration_error=0.05,
    true_class_probability=0.6,
    runs={"f1_macro_mean": 0.68, "f1_macro_std": 0.02, "best_epoch_mean": 3.5, "best_epoch_std": 0.5},
    baselines={"svm_rbf": SCORES | {"f1_macro": 0.65}},
)
