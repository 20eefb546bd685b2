"""evaluate: judge each chosen model on the test part, which had no say in its training or choice.

One chosen seed may be lucky, and one test part too. `runs` says how each run's own best snapshot does on the same
samples; the 95 % intervals come from a bootstrap over tracks, or, where tracks are unknown, over blocks of 30
neighbouring samples of a class, since the seconds of one track are not independent. `track` judges whole tracks by the
verdict over their seconds; the baselines of data/baselines.json stand beside the network.

Writes metrics/evaluate.json, of which metrics/scores/REPRESENTATION.json has what `dvc metrics show` tells, and, to be
drawn: metrics/confusion/REPRESENTATION.csv with one line a pair of classes, and records in metrics/plots/f1.json,
reliability.json and models.json.
"""

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stages.files import (
    BASELINES,
    CONFUSION,
    EVALUATED,
    F1,
    MODELS,
    RELIABILITY,
    SCORES,
    SELECTED,
    UserError,
    card_path,
    snapshot_path,
)
from stages.fingerprints import check_card, check_params, read_description, read_histories
from stages.learning.network import samples_at_once
from stages.learning.scoring import calibration_error, count, intervals, reliability, scores, verdicts
from stages.learning.snapshots import best_epoch, load_chosen, load_model
from stages.learning.units import class_of_units
from stages.records import Card, Epoch, write_by_name
from stages.results import Baseline, Baselines, Judgement, OverRuns, Selection, Tracks
from stages.running import run_stage
from stages.tensors import mixed, read_prepared
from stages.writing import replacing_folder, write_csv, write_json

if TYPE_CHECKING:
    import torch


class Answers(NamedTuple):
    """A model's answers on the test part, and what would have been right."""

    classes: list[str]
    y: "torch.Tensor"  # class numbers, shape (n,)
    units: np.ndarray  # the track or block of each sample, shape (n,)
    logits: "torch.Tensor"  # shape (n, classes)

    @property
    def actual(self) -> np.ndarray:
        """Class numbers, shape (n,)."""
        return self.y.numpy()

    @property
    def predicted(self) -> np.ndarray:
        """Class numbers, shape (n,)."""
        return self.logits.argmax(dim=1).numpy()

    @property
    def probabilities(self) -> np.ndarray:
        """Shape (n, classes), float64."""
        import torch

        return torch.softmax(self.logits.double(), dim=1).numpy()


def main() -> None:
    """Judge every chosen model."""
    import torch

    torch.set_num_threads(1)
    description, selection = read_description(), Selection.read(SELECTED)
    histories, baselines = read_histories(description), Baselines.read(BASELINES)
    names = description.representations.keys()
    if baselines.fingerprint != description.fingerprint or baselines.representations.keys() != names:
        raise UserError(mixed(BASELINES))
    check_params(BASELINES, baselines.params, ("class_weights",))
    if selection.representations.keys() != names:
        raise UserError(mixed(SELECTED))
    tracks_known = description.source.groups is not None
    judged, drawn = {}, {F1: [], MODELS: [], RELIABILITY: []}
    with replacing_folder(CONFUSION) as folder:
        for name, choice in selection.representations.items():
            card, data = Card.read(card_path(name)), read_prepared(name, description, "pt")
            check_card(card, description, histories)
            if (card.representation, card.chosen) != (name, choice):
                raise UserError(mixed(SELECTED))
            logits = answer(load_chosen(card, card_path(name)), data["test_x"])
            answers = Answers(card.classes, data["test_y"], data["test_unit"].numpy(), logits)
            epochs = histories[choice.device].representations[name].runs
            over_runs = judge_runs(card, epochs, data["test_x"], answers.actual)
            ranges = intervals(answers.actual, answers.predicted, answers.units, len(answers.classes))
            judged[name] = judge(answers, ranges, over_runs, baselines.representations[name], tracks_known)
            write_confusion(folder / f"{name}.csv", answers)
            drawn[F1] += [{"representation": name, **record} for record in f1_records(judged[name], ranges)]
            drawn[MODELS] += [{"representation": name, **record} for record in model_records(judged[name])]
            bins = reliability(answers.probabilities, answers.actual)
            drawn[RELIABILITY] += [{"representation": name, **record} for record in bins]
            print(f"evaluate: {name}: test {in_short(judged[name])}")
    write_by_name(EVALUATED, judged)
    with replacing_folder(SCORES) as folder:
        for name, judgement in judged.items():
            write_json(folder / f"{name}.json", in_one_line(judgement))
    for path, records in drawn.items():
        write_json(path, records)


def answer(model: "torch.nn.Sequential", x: "torch.Tensor") -> "torch.Tensor":
    """Return a network's logits, shape (n, classes), from as many samples at once as its widest layer allows."""
    import torch

    with torch.inference_mode():
        return torch.cat([model(piece) for piece in x.split(samples_at_once(model, x))])


def judge(
    answers: Answers,
    ranges: dict[str, float | list[float]],
    over_runs: OverRuns,
    baselines: dict[str, Baseline],
    tracks_known: bool,
) -> Judgement:
    """Return loss, scores with their intervals, calibration and whole tracks' scores beside the other judgements."""
    import torch

    probabilities = answers.probabilities
    scored = scores(count(answers.actual, answers.predicted, len(answers.classes)))
    by_class = {key: dict(zip(answers.classes, scored.pop(key), strict=True)) for key in ("f1", "precision", "recall")}
    return Judgement(
        loss=torch.nn.functional.cross_entropy(answers.logits, answers.y).item(),
        **scored,
        **by_class,
        **{key: value for key, value in ranges.items() if key.startswith(("accuracy", "f1_macro"))},
        expected_calibration_error=calibration_error(reliability(probabilities, answers.actual)),
        true_class_probability=float(probabilities[np.arange(len(answers.y)), answers.actual].mean()),
        runs=over_runs,
        baselines=baselines,
        **({"track": judge_tracks(probabilities, answers.actual, answers.units)} if tracks_known else {}),
    )


def judge_tracks(probabilities: np.ndarray, actual: np.ndarray, tracks: np.ndarray) -> Tracks:
    """Return accuracy and macro F1 of the tracks' verdicts, and how many tracks there are; a track is of one class."""
    number = np.unique(tracks, return_inverse=True)[1]
    predicted = verdicts(probabilities, number).argmax(axis=1)
    scored = scores(count(class_of_units(number, actual), predicted, probabilities.shape[1]))
    return Tracks(accuracy=scored["accuracy"], f1_macro=scored["f1_macro"], tracks=len(predicted))


def judge_runs(card: Card, runs: list[list[Epoch]], x: "torch.Tensor", actual: np.ndarray) -> OverRuns:
    """Return mean and standard deviation over the runs of the best epoch and of its macro F1 on the test part."""
    best = {run: best_epoch(epochs) for run, epochs in enumerate(runs) if epochs}
    f1 = []
    for run, epoch in best.items():
        weights = snapshot_path(card.chosen.device, card.representation, run, epoch)
        predicted = answer(load_model(card, weights), x).argmax(dim=1).numpy()
        f1.append(scores(count(actual, predicted, len(card.classes)))["f1_macro"])
    return OverRuns(
        f1_macro_mean=statistics.mean(f1),
        f1_macro_std=deviation(f1),
        best_epoch_mean=statistics.mean(best.values()),
        best_epoch_std=deviation(list(best.values())),
    )


def deviation(values: list[float]) -> float:
    """Return the standard deviation of a sample; a single value has none."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def in_one_line(judged: Judgement) -> dict[str, float]:
    """Return what `dvc metrics show` has in a line: the chosen model's scores, and macro F1 over all runs."""
    return {
        "accuracy": judged.accuracy,
        "f1_macro": judged.f1_macro,
        "runs_mean": judged.runs.f1_macro_mean,
        "runs_std": judged.runs.f1_macro_std,
    }


def in_short(judged: Judgement) -> str:
    """Return a model's macro F1 as a line."""
    return (
        f"macro F1 {judged.f1_macro:.3f} (95 %: {judged.f1_macro_low:.3f} to {judged.f1_macro_high:.3f}), "
        f"over all runs {judged.runs.f1_macro_mean:.3f} +/- {judged.runs.f1_macro_std:.3f}"
    )


def write_confusion(path: Path, answers: Answers) -> None:
    """Write how many samples of one class were taken for another, a line for each pair that occurs.

    A class and itself always make a pair, if with a count of 0: every class then stands on both axes of the plot.
    """
    classes, n_classes = answers.classes, len(answers.classes)
    cells = answers.actual * n_classes + answers.predicted
    cells, counts = np.unique(np.concatenate([cells, np.arange(n_classes) * (n_classes + 1)]), return_counts=True)
    pairs = [(*divmod(cell, n_classes), samples) for cell, samples in zip(cells.tolist(), counts.tolist(), strict=True)]
    rows = [(classes[actual], classes[predicted], n - (actual == predicted)) for actual, predicted, n in pairs]
    write_csv(path, ["actual", "predicted", "count"], rows)


def f1_records(judged: Judgement, ranges: dict[str, float | list[float]]) -> list[dict[str, Any]]:
    """Return each class's F1 with its interval."""
    rows = zip(judged.f1, judged.f1.values(), ranges["f1_low"], ranges["f1_high"], strict=True)
    return [dict(zip(("class", "f1", "low", "high"), row, strict=True)) for row in rows]


def model_records(judged: Judgement) -> list[dict[str, Any]]:
    """Return the macro F1 of the network and of each baseline with its interval, and on a split at random if known."""
    return [
        {
            "model": model.replace("_", " "),
            "f1_macro": scored.f1_macro,
            "low": scored.f1_macro_low,
            "high": scored.f1_macro_high,
            # in every record: DVC plots nothing otherwise
            "split_at_random": getattr(scored, "f1_macro_split_at_random", None),
        }
        for model, scored in {"network": judged, **judged.baselines}.items()
    ]


if __name__ == "__main__":
    run_stage(main)
