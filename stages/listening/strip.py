"""strip: what the terminal shows of a song: its genre, a letter for every stretch of time, every second if wanted."""

import string
from typing import TYPE_CHECKING

import numpy as np

from stages.common.files import FEW, few_of, shown
from stages.listening.timeline import clock
from stages.models.scoring import verdict

if TYPE_CHECKING:
    from stages.listening.listener import Song

LINE = 60  # letters of a song's strip at most
SILENT = "-"  # no class's letter


def describe(song: "Song", every_second: bool) -> str:
    """Return a song's genre, its probability and its strip, and every second's probabilities if wanted."""
    classes = list(song.probabilities)
    letters, names = initials(classes), [shown(name) for name in classes]
    drawn = strip(song.seconds, song.silent, letters)
    hop = song.starts[1] if len(song.starts) > 1 else 1
    length = song.starts[-1] + 1
    span = f"{clock(length)}, {hop * len(song.starts) / len(drawn):.3g} s a letter"
    told = zip(letters, names, strict=True)
    legend = few_of([f"{letter}={name}" for letter, name in told if len(names) <= FEW or letter in drawn], " ")
    if SILENT in drawn:
        legend += f" {SILENT}=silent"
    mostly = song.silent_seconds > length / 2
    silent = f" ({clock(song.silent_seconds)} of {clock(length)} is silent)" if mostly else ""
    but = f" (but the file {song.problem})" if song.problem else ""
    lines = [f"{shown(song.path)}: {verdict_of(song)}{silent}{but}", f"  {drawn}  {span}  {legend}"]
    if every_second:
        lines.append("  " + " ".join(["start   ", *(f"{name:>10.10}" for name in names)]))
        for start, row, silent in zip(song.starts, song.seconds, song.silent, strict=True):
            cells = [f"{'silent':>10}"] if silent else [f"{value:10.3f}" for value in row]
            lines.append("  " + " ".join([f"{start:8.2f}", *cells]))
    return "\n".join(lines)


def verdict_of(song: "Song") -> str:
    """Return a song's genre and its probability, or, if it is unknown, the likeliest class and its probability."""
    likeliest, probability = max(song.probabilities.items(), key=lambda item: item[1])
    said = f"{shown(likeliest)} {probability:.2f}"
    return said if song.genre == likeliest else f"{song.genre} ({said})"


def initials(classes: list[str]) -> list[str]:
    """Return a letter for each class: its first, or, where two share it, letters in alphabetical order.

    Where there are more classes than letters the last have none: a dot.
    """
    first = [name[:1].lower() for name in classes]
    if len(set(first)) == len(first) and all(letter.isalnum() for letter in first):
        return first
    letters = string.ascii_letters + string.digits
    return [*letters[: len(classes)], *"." * (len(classes) - len(letters))]


def strip(seconds: np.ndarray, silent: np.ndarray, letters: list[str]) -> str:
    """Return a letter for each window, or for equal stretches of a long song, each judged like a song.

    Seconds are each window's probabilities, shape (n, classes); silent windows, shape (n,), have no vote, and a stretch
    of nothing else is SILENT.
    """
    stretches = np.array_split(np.arange(len(seconds)), min(LINE, len(seconds)))
    voting = [seconds[stretch[~silent[stretch]]] for stretch in stretches]
    return "".join(letters[verdict(votes).argmax()] if len(votes) else SILENT for votes in voting)
