"""evaluate: judge each chosen model on the test set, which played no part in its training or choice.

One chosen seed may be lucky, and one test set too. `runs` says how each run's own best snapshot does on the same
samples, `ensemble` how the mean of their probabilities does. The 95 % intervals come from a bootstrap over tracks (or
groups of them), or, where those are unknown, over blocks of 30 neighbouring samples of a class, since the seconds of
one track are not independent. `track` judges whole tracks, where they are known, by the verdict over their seconds; the
baselines of data/baselines.json stand beside the network.

Writes metrics/evaluate.json; metrics/scores/REPRESENTATION.json, the part of it that `dvc metrics show` prints;
data/verdicts/REPRESENTATION.csv with one line for each song of the test set; and, to be drawn,
metrics/confusion/REPRESENTATION.csv with one line for each pair of classes, and records in metrics/plots/f1.json,
reliability.json and models.json.
"""

import stages  # isort: skip # noqa: F401 # stops a Python without the packages, before NumPy does with a traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stages.common.files import (
    BASELINES,
    CONFUSION,
    EVALUATED,
    F1,
    MODELS,
    RELIABILITY,
    SCORES,
    SELECTED,
    SONGS,
    VERDICTS,
    UserError,
    card_path,
    mixed,
    read_csv,
    shown,
    snapshot_path,
)
from stages.common.fingerprints import check_card, check_params, read_description, read_histories
from stages.common.joint import JOINT, has_joint, read_model
from stages.common.records import SONG, Card, Description, History, write_by_name
from stages.common.results import Baselines, Judgement, Selection
from stages.common.running import run_stage
from stages.common.tensors import read_prepared
from stages.common.writing import replacing_folder, write_csv, write_json
from stages.models.ensemble import log_mean_probability
from stages.models.judging import Answers, answer, calibration, judge, judge_runs, ranges_of
from stages.models.scoring import reliability
from stages.models.snapshots import best_of_runs, check_chosen, load_chosen, load_model
from stages.models.songs import Songs, Verdict, judge_songs, verdicts_by_name, write_verdicts

Judged = tuple[Judgement, Answers, dict[str, float | list[float]]]  # a model's judgement, answers, scores' intervals


def main() -> None:
    """Judge every chosen model."""
    torch.set_num_threads(1)
    description, selection = read_description(), Selection.read(SELECTED)
    histories, baselines = read_histories(description), Baselines.read(BASELINES)
    names = description.representations.keys()
    if baselines.fingerprint != description.fingerprint or baselines.representations.keys() != names:
        raise UserError(mixed(BASELINES))
    check_params(BASELINES, baselines.params, ("class_weights",))
    check_params(SELECTED, {"model": selection.model}, ("model",))
    if selection.representations.keys() != names:
        raise UserError(mixed(SELECTED))
    judged, drawn = {}, {F1: [], MODELS: [], RELIABILITY: []}
    with replacing_folder(CONFUSION) as folder, replacing_folder(VERDICTS) as verdicts:
        for name, (judged[name], answers, ranges) in judge_each(description, selection, histories, baselines):
            write_confusion(folder / f"{name}.csv", answers)
            write_verdicts(verdicts / f"{name}.csv", answers.classes, verdicts_on(answers))
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


def judge_each(
    description: Description, selection: Selection, histories: dict[str, History], baselines: Baselines
) -> Iterator[tuple[str, Judged]]:
    """Judge each representation's model, and the joint one, if there is one; yield names and what is found."""
    unit, logits = description.source.unit, []
    for name, choice in selection.representations.items():
        card, data = Card.read(card_path(name)), read_prepared(name, description, "pt")
        check_card(card, description, histories)
        check_chosen(card, name, selection, histories)
        logits.append(answer(load_chosen(card, card_path(name)), data["test_x"]))
        answers = Answers(card.classes, data["test_y"], data["test_unit"].numpy(), songs_of(data, unit), logits[-1])
        best = best_of_runs(choice.device, histories[choice.device], name)
        paths = (snapshot_path(each.device, name, each.run, each.epoch) for each in best)
        alone = (answer(load_model(card, path), data["test_x"]) for path in paths)
        others = judge_runs(best, alone, answers) | {"baselines": baselines.representations[name]}
        yield name, judge_calibrated(answers, card.temperature, unit, others)
    if has_joint(selection.model, selection.representations):
        joint, _ = read_model(JOINT)
        answers = answers._replace(logits=log_mean_probability(logits))
        yield joint.representation, judge_calibrated(answers, joint.temperature, unit, {})


def judge_calibrated(raw: Answers, temperature: float, unit: str, others: dict[str, Any]) -> Judged:
    """Judge a model's answers, divided by its temperature, and the same without."""
    answers = raw._replace(logits=raw.logits / temperature)
    others = others | {"temperature": temperature, "uncalibrated": calibration(raw)}
    ranges = ranges_of(answers)
    return judge(answers, ranges, unit, others), answers, ranges


def songs_of(data: dict[str, torch.Tensor], unit: str) -> np.ndarray | None:
    """Return the song of each of the test set's samples, if known, given the prepared tensors and what a unit is."""
    known = data.get("test_track", data["test_unit"] if unit == "track" else None)
    return None if known is None else known.numpy()


def in_one_line(judged: Judgement) -> dict[str, float]:
    """Return what `dvc metrics show` has in a line: the chosen model's scores, and macro F1 over all runs."""
    return {
        "accuracy": judged.accuracy,
        "f1_macro": judged.f1_macro,
        **({"runs_mean": judged.runs.f1_macro_mean, "runs_std": judged.runs.f1_macro_std} if judged.runs else {}),
    }


def in_short(judged: Judgement) -> str:
    """Return a model's macro F1 as a line."""
    sure = shown(judged.rests_on or f"95 %: {judged.f1_macro_low:.3f} to {judged.f1_macro_high:.3f}")
    runs = judged.runs and f", over all runs {judged.runs.f1_macro_mean:.3f} +/- {judged.runs.f1_macro_std:.3f}"
    return f"macro F1 {judged.f1_macro:.3f} ({sure}){runs or ''}"


def write_confusion(path: Path, answers: Answers) -> None:
    """Write how many samples of one class were taken for another, a line for each pair that occurs.

    Each class is paired with itself even if the count is 0, so that every class is on both axes of the plot.
    """
    classes, n_classes = answers.classes, len(answers.classes)
    cells = answers.actual * n_classes + answers.predicted
    cells, counts = np.unique(np.concatenate([cells, np.arange(n_classes) * (n_classes + 1)]), return_counts=True)
    pairs = [(*divmod(cell, n_classes), samples) for cell, samples in zip(cells.tolist(), counts.tolist(), strict=True)]
    rows = [(classes[actual], classes[predicted], n - (actual == predicted)) for actual, predicted, n in pairs]
    write_csv(path, ["actual", "predicted", "count"], rows)


def verdicts_on(answers: Answers) -> Iterable[Verdict]:
    """Return the verdicts on the test set's songs by name; none if songs are unknown."""
    if answers.songs is None:
        return []
    songs = judge_songs(answers.probabilities, answers.actual, answers.songs)
    return verdicts_by_name(songs, answers.classes, names_of(songs, answers.classes))


def names_of(songs: Songs, classes: list[str]) -> dict[int, str]:
    """Return the names of the test set's songs by number, from songs.csv, which has to list the same songs."""
    lines = enumerate(read_csv(SONGS, SONG))
    listed = {number: (song, label, n) for number, (song, label, part, n) in lines if part == "test"}
    labels = [classes[number] for number in songs.actual]
    found = dict(zip(songs.numbers.tolist(), zip(labels, songs.seconds.sum(axis=1).tolist(), strict=True), strict=True))
    if found != {number: (label, n) for number, (_, label, n) in listed.items()}:
        raise UserError(mixed(SONGS))
    return {number: song for number, (song, *_) in listed.items()}


def f1_records(judged: Judgement, ranges: dict[str, float | list[float]]) -> list[dict[str, Any]]:
    """Return each class's F1 with its interval, unless it rests on too few units."""
    rows = zip(judged.f1, judged.f1.values(), ranges["f1_low"], ranges["f1_high"], strict=True)
    hidden = {"low": None, "high": None} if judged.rests_on else {}
    return [dict(zip(("class", "f1", "low", "high"), row, strict=True)) | hidden for row in rows]


def model_records(judged: Judgement) -> list[dict[str, Any]]:
    """Return each model's macro F1 with its interval, as `f1_records`, and on a split at random if known."""
    hidden = {"low": None, "high": None} if judged.rests_on else {}
    return [
        {
            "model": model.replace("_", " "),
            "f1_macro": scored.f1_macro,
            "low": scored.f1_macro_low,
            "high": scored.f1_macro_high,
            # in every record: DVC plots nothing otherwise
            "split_at_random": getattr(scored, "f1_macro_split_at_random", None),
            **hidden,
        }
        for model, scored in judged.models.items()
    ]


if __name__ == "__main__":
    run_stage(main)
