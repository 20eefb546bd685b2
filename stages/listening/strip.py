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


def describe(song: "Song", every_second: bool) -> str:
    """Return a song's genre, its probability and its strip, and every second's probabilities if wanted."""
    classes = list(song.probabilities)
    letters, names = initials(classes), [shown(name) for name in classes]
    drawn = strip(song.seconds, letters)
    hop = song.starts[1] if len(song.starts) > 1 else 1
    span = f"{clock(song.starts[-1] + 1)}, {hop * len(song.starts) / len(drawn):.3g} s a letter"
    told = zip(letters, names, strict=True)
    legend = few_of([f"{letter}={name}" for letter, name in told if len(names) <= FEW or letter in drawn], " ")
    but = f" (but the file {song.problem})" if song.problem else ""
    lines = [f"{shown(song.path)}: {verdict_of(song)}{but}", f"  {drawn}  {span}  {legend}"]
    if every_second:
        lines.append("  " + " ".join(["start   ", *(f"{name:>10.10}" for name in names)]))
        for start, row in zip(song.starts, song.seconds, strict=True):
            lines.append("  " + " ".join([f"{start:8.2f}", *(f"{value:10.3f}" for value in row)]))
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


def strip(seconds: np.ndarray, letters: list[str]) -> str:
    """Return a letter for each window, or for equal stretches of a long song that are summed up like a song."""
    stretches = np.array_split(seconds, min(LINE, len(seconds)))
    return "".join(letters[verdict(stretch).argmax()] for stretch in stretches)
