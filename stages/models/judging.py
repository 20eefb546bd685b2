"""Judging: what a model answers on the test set, and what is reported of that."""

import statistics
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from stages.common.records import Choice
from stages.common.results import Judgement, OfEnsemble, OverRuns, Scored, Tracks
from stages.common.units import units_of_classes
from stages.models.ensemble import Ensemble, log_mean_probability
from stages.models.network import samples_at_once
from stages.models.scoring import calibration_error, count, intervals, reliability, scores
from stages.models.songs import judge_songs, score_songs


class Answers(NamedTuple):
    """A model's answers on the test set, and what would have been right."""

    classes: list[str]
    y: torch.Tensor  # class numbers, shape (n,)
    units: np.ndarray  # the song, group or block of each sample, shape (n,): what a bootstrap draws
    songs: np.ndarray | None  # the song of each sample, shape (n,), if known
    logits: torch.Tensor  # shape (n, classes)

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
        return torch.softmax(self.logits.double(), dim=1).numpy()


def answer(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return a model's logits, shape (n, classes), from as many samples at once as its widest layer allows."""
    with torch.inference_mode():
        return torch.cat([model(piece) for piece in x.split(_at_once(model, x))])


def _at_once(model: nn.Module, x: torch.Tensor) -> int:
    if isinstance(model, Ensemble):  # its members go one after the other
        return min(_at_once(member, x) for member in model)
    return samples_at_once(model, x)


def ranges_of(answers: Answers) -> dict[str, float | list[float]]:
    """Return the 95 % intervals of a model's scores."""
    return intervals(answers.actual, answers.predicted, answers.units, len(answers.classes))


def scores_of(answers: Answers) -> dict[str, float | list[float]]:
    """Return a model's scores."""
    return scores(count(answers.actual, answers.predicted, len(answers.classes)))


def judge(answers: Answers, ranges: dict[str, float | list[float]], unit: str, others: dict[str, Any]) -> Judgement:
    """Return all that is reported of a chosen model, beside the judgements of others: runs, ensemble and baselines."""
    scored = scores_of(answers)
    return Judgement(
        **overall(answers, ranges),
        **{key: dict(zip(answers.classes, scored[key], strict=True)) for key in ("f1", "precision", "recall")},
        **counted(answers, unit),
        true_class_probability=float(answers.probabilities[np.arange(len(answers.y)), answers.actual].mean()),
        **others,
    )


def counted(answers: Answers, unit: str) -> dict[str, dict[str, int]]:
    """Return how many songs, groups or blocks each class's scores rest on; of groups, the songs in them too."""
    units = {"blocks" if unit == "block" else "groups": answers.units}
    units |= {"songs": answers.songs} if unit == "group" and answers.songs is not None else {}
    counts = {key: units_of_classes(of_samples, answers.actual) for key, of_samples in units.items()}
    return {key: dict(zip(answers.classes, each.tolist(), strict=True)) for key, each in counts.items()}


def overall(answers: Answers, ranges: dict[str, float | list[float]]) -> dict[str, Any]:
    """Return what is reported of each of our models: loss, scores with intervals, calibration, whole songs' scores."""
    scored = scores_of(answers)
    return {
        **calibration(answers),
        **{key: (scored | ranges)[key] for key in Scored.model_fields},
        **({} if answers.songs is None else {"track": scores_by_song(answers)}),
    }


def calibration(answers: Answers) -> dict[str, float]:
    """Return how well a model's probabilities fit the samples, as Calibration has it."""
    bins = reliability(answers.probabilities, answers.actual)
    loss = cross_entropy(answers.logits, answers.y).item()
    return {"loss": loss, "expected_calibration_error": calibration_error(bins)}


def scores_by_song(answers: Answers) -> Tracks:
    """Return the scores of the songs' verdicts."""
    songs = judge_songs(answers.probabilities, answers.actual, answers.songs)
    return score_songs(songs.actual, songs.probabilities.argmax(axis=1), len(answers.classes))


def judge_runs(
    best: list[Choice], logits: Iterable[torch.Tensor], answers: Answers
) -> dict[str, OverRuns | OfEnsemble]:
    """Return what is reported of the runs' best snapshots, as `runs` each by itself, as `ensemble` all together.

    Each one's logits have shape (n, classes) and are freed before the next are taken; the answers are any model's.
    """
    epochs, f1 = [each.epoch for each in best], []

    def judged_alone() -> Iterator[torch.Tensor]:
        for each in logits:
            f1.append(scores_of(answers._replace(logits=each))["f1_macro"])
            yield each

    together = answers._replace(logits=log_mean_probability(judged_alone()))
    over_runs = OverRuns(
        f1_macro_mean=statistics.mean(f1),
        f1_macro_std=deviation(f1),
        best_epoch_mean=statistics.mean(epochs),
        best_epoch_std=deviation(epochs),
    )
    ensemble = OfEnsemble(members=len(best), **overall(together, ranges_of(together)))
    return {"runs": over_runs, "ensemble": ensemble}


def deviation(values: list[float]) -> float:
    """Return the standard deviation of a sample; a single value has none."""
    return statistics.stdev(values) if len(values) > 1 else 0.0
