"""Judge: how good a model is on labelled songs outside its data set, as `genre judge` shows it.

Songs and classes are found as in data/audio, and judged as the test set is: by whole seconds that are not silent, and
by song, with 95 % intervals from a bootstrap over songs, or over the groups that a table of songs names.
"""

import argparse
import sys
from contextlib import ExitStack
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, TypeAdapter
from tqdm import tqdm

from stages.audio.library import Library, copies_of, find_songs
from stages.audio.library import Song as Labelled
from stages.audio.recordings import first_copies
from stages.common.files import FEATURES, RECORDINGS, UserError, few_of, shown
from stages.common.records import ENOUGH, checked
from stages.common.units import units_of_classes
from stages.common.writing import check_replaceable, csv_writer, spreadsheet_safe, write_json
from stages.listening.exports import tell_outdated
from stages.listening.listener import Listener, Song, choose_card
from stages.listening.several import get_ready, listen_to_all
from stages.models.scoring import calibration_error, count, intervals, reliability, scores
from stages.models.songs import Songs, Verdict, judge_songs, surest_mistakes, verdicts_by_name

Heard = dict[Labelled, Song]
Words = Annotated[str, Field(pattern="^([0-9a-f]{4})*$")]  # of a recording: stages/audio/recordings.py


class Answers(NamedTuple):
    """What a model says of every second that is not silent."""

    probabilities: np.ndarray  # shape (n, classes)
    actual: np.ndarray  # class numbers, shape (n,)
    songs: np.ndarray  # the number of each second's song, shape (n,)
    unit_of: np.ndarray  # each song's unit, shape (songs,): what a bootstrap draws


def judge(arguments: argparse.Namespace) -> None:
    """Judge a model on a folder of songs.

    Args:
        arguments: as stages/cli.py reads them.
    """
    folder = arguments.folder
    library = find_songs(folder)
    get_ready(len(library.songs))
    listener = Listener(choose_card(arguments.representation), as_in_data_sets=True)
    classes = listener.card.classes
    songs = songs_to_judge(folder, library, classes)
    tell_outdated()
    with ExitStack() as stack:
        if arguments.json:
            check_replaceable(arguments.json, "file")
        head = ["file", "class", "genre", "probability", *map(spreadsheet_safe, classes)]
        write = arguments.csv and stack.enter_context(csv_writer(arguments.csv, head))
        heard, failures = listen(listener, folder, songs)
        tell_of_the_data_set(heard, listener.card.data.dataset)
        heard = without_copies(folder, heard)
        answers = answers_of(heard, classes)
        by_song = judge_songs(answers.probabilities, answers.actual, answers.songs)
        found = judgement(answers, by_song, classes)
        table = list(verdicts_by_name(by_song, classes, dict(enumerate(song.file for song in heard))))
        print(f"{shown(listener.card.representation)}, judged on {shown(folder)}\n{describe(found, table)}")
        if write:
            for song, *words, probability, seconds in table:
                write([*map(spreadsheet_safe, (song, *words)), probability, *seconds])
        if arguments.json:
            write_json(arguments.json, {"representation": listener.card.representation} | found)
    if failures:
        raise UserError(f"{len(failures)} of {len(songs)} songs cannot be analysed: {few_of(failures, '; ')}")


def songs_to_judge(folder: Path, library: Library, classes: list[str]) -> list[Labelled]:
    """Return the songs of classes that the model knows; say what is left out."""
    others = [song for song in library.songs if song.label not in classes]
    songs = [song for song in library.songs if song.label in classes]
    names = few_of(sorted({song.label for song in others}))
    if not songs:
        raise UserError(f"{folder}: found songs of {names or 'no class'}, expected some of {few_of(classes)}")
    for told in library.left_out():
        print(f"judge: left out: {told}", file=sys.stderr)
    if others:
        n = f"{len(others)} song{'s' * (len(others) > 1)}"
        print(f"judge: left out: {n} of {names}: the model knows {few_of(classes)}", file=sys.stderr)
    return songs


def listen(listener: Listener, folder: Path, songs: list[Labelled]) -> tuple[Heard, list[str]]:
    """Return what the model makes of each song that can be heard, and why the others cannot; say so at once."""
    heard, failures = {}, []
    paths = [folder / song.file for song in songs]
    progress = tqdm(listen_to_all(listener, paths), "judge", len(paths), unit="song", disable=None)
    for song, (_, result) in zip(songs, progress, strict=True):
        if isinstance(result, Song):
            heard[song] = result
            continue
        failures.append(str(result))
        progress.write(f"judge: left out: {shown(result)}", file=sys.stderr)
    if not heard:
        raise UserError(f"none of {len(songs)} songs can be analysed: {few_of(failures, '; ')}")
    return heard, failures


def tell_of_the_data_set(heard: Heard, dataset: str) -> None:
    """Say which songs are in data/features, if the model was made from it."""
    path = FEATURES / RECORDINGS
    if dataset != str(FEATURES) or not path.is_file():
        return
    known = checked(TypeAdapter(dict[str, Words]), path)
    first = first_copies(known | {result.sound: result.words for result in heard.values()}, len(known))
    both = [song.file for song, result in heard.items() if first[result.sound] in known]
    if both:
        n = f"{len(both)} song{'s are' if len(both) > 1 else ' is'}"
        print(f"judge: {n} in {FEATURES}, which the model was made from: {few_of(both)}", file=sys.stderr)


def without_copies(folder: Path, heard: Heard) -> Heard:
    """Leave out copies, and say so: a recording is judged once."""
    first = first_copies({result.sound: result.words for result in heard.values()})
    copies = copies_of(folder, list(heard), {song.file: first[result.sound] for song, result in heard.items()})
    for copy, other in copies.items():
        print(f"judge: left out: {shown(copy)} is a copy of {shown(other)}", file=sys.stderr)
    return {song: result for song, result in heard.items() if song.file not in copies}


def answers_of(heard: Heard, classes: list[str]) -> Answers:
    """Put the songs' seconds together."""
    seconds = [result.seconds[~result.silent] for result in heard.values()]
    lengths = list(map(len, seconds))
    actual = [classes.index(song.label) for song in heard]
    groups = [(song.group, "" if song.group else song.file) for song in heard]
    number = {group: n for n, group in enumerate(dict.fromkeys(groups))}
    units = np.array([number[group] for group in groups])
    return Answers(
        np.concatenate(seconds), np.repeat(actual, lengths), np.repeat(np.arange(len(heard)), lengths), units
    )


def judgement(answers: Answers, by_song: Songs, classes: list[str]) -> dict[str, Any]:
    """Return the scores by second and by song, what the songs of each class were taken for, and what scores rest on."""
    units, taken_for = answers.unit_of, by_song.probabilities.argmax(axis=1)
    error = calibration_error(reliability(answers.probabilities, answers.actual))
    by_second = scored(answers.actual, answers.probabilities.argmax(axis=1), units[answers.songs], classes)
    present = np.unique(by_song.actual).tolist()
    confusion = {
        classes[number]: {classes[other]: int(n) for other, n in enumerate(row) if n}
        for number in present
        for row in [np.bincount(taken_for[by_song.actual == number])]
    }
    rest_on = {classes[number]: int(units_of_classes(units, by_song.actual)[number]) for number in present}
    return {
        "by_second": by_second | {"expected_calibration_error": error},
        "by_song": scored(by_song.actual, taken_for, units, classes),
        "confusion_of_songs": confusion,
        "songs" if units.max() + 1 == len(units) else "groups": rest_on,
    }


def scored(actual: np.ndarray, predicted: np.ndarray, units: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """Return accuracy, macro F1 and each class's scores with intervals, of the classes that there are songs of."""
    n, present = len(classes), np.unique(actual).tolist()
    found = scores(count(actual, predicted, n)) | intervals(actual, predicted, units, n)
    # A class without a song has an F1 of 0, in each resample too; the mean is that of the others.
    overall = {
        key: value * n / len(present) if key.startswith("f1_macro") else value
        for key, value in found.items()
        if isinstance(value, float)
    }
    by_class = {key: {classes[i]: value[i] for i in present} for key, value in found.items() if isinstance(value, list)}
    return {"n": len(actual), **overall, **by_class}


def describe(found: dict[str, Any], table: list[Verdict]) -> str:
    """Return a judgement as text."""
    by_second, by_song = found["by_second"], found["by_song"]
    unit = "song" if "songs" in found else "group"
    fewest, n = min(found[f"{unit}s"].items(), key=itemgetter(1))
    rests_on = f"{n} {unit}{'s' * (n > 1)} of {shown(fewest)}" if n < ENOUGH else ""
    rows = [["", "macro F1", "accuracy"]]
    for name, each in ((f"{by_second['n']} seconds", by_second), (f"{by_song['n']} songs", by_song)):
        rows.append([name, *(with_interval(each, key, not rests_on) for key in ("f1_macro", "accuracy"))])
    lines = columns(rows)
    lines += [f"rests on {rests_on}" if rests_on else f"[95 % intervals, from a bootstrap over {unit}s]"]
    lines += [f"calibration error by second: {by_second['expected_calibration_error']:.3f}", ""]
    rows = [["class", "F1 by second", "F1 by song", "songs taken for"]]
    for name, taken_for in found["confusion_of_songs"].items():
        most = sorted(taken_for.items(), key=itemgetter(1), reverse=True)
        f1 = [f"{each['f1'][name]:.3f}" for each in (by_second, by_song)]
        rows.append([shown(name), *f1, few_of([f"{other} {n}" for other, n in most])])
    lines += columns(rows)
    mistakes = surest_mistakes(table)
    if mistakes:
        lines += ["", "the surest mistakes:"]
        lines += [f"  {shown(each.song)}: {in_words(each)}" for each in mistakes]
    return "\n".join(lines)


def in_words(mistake: Verdict) -> str:
    """Return a verdict and what would have been right."""
    return f"{shown(mistake.verdict)} {mistake.probability:.2f}, labelled {shown(mistake.actual)}"


def with_interval(found: dict[str, Any], key: str, told: bool) -> str:
    """Return a score, with its interval if that is told."""
    value, low, high = (found[f"{key}{end}"] for end in ("", "_low", "_high"))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]" if told else f"{value:.3f}"


def columns(rows: list[list[str]]) -> list[str]:
    """Return rows of cells as lines in which they stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
