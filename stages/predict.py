"""predict: a song's genre, second by second: `python -m stages.predict SONG [SONG ... | FOLDER]`.

A song's verdict is the mean of its seconds' log-probabilities, made to add up to 1 again (stages/learning/scoring.py).
Needs nothing but data/model/.
"""

import argparse
import json
import string
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from stages.audio.decode import SUFFIXES, find_sounds
from stages.exports import tell_outdated
from stages.files import UserError, kind, shown
from stages.learning.scoring import verdict
from stages.listening import Song, listen_to_all, load_card, make_listener
from stages.reporting import pictures
from stages.running import run_command
from stages.writing import check_replaceable, write_bytes, write_csv

LINE = 60  # characters of a song's timeline at most


def main() -> None:
    """Name the genres of the songs that the command line names."""
    arguments = parse(sys.argv[1:])
    paths = find_songs(arguments.songs)
    if arguments.plot and len(paths) > 1:
        raise UserError(f"--plot: found {len(paths)} songs, expected one")
    card = load_card(arguments.representation)
    listen = make_listener(card, arguments.hop)
    tell_outdated("predict")
    if card.data.sample_rate is None:
        print(
            f"predict: assumes that the {card.representation} were made as its own front end makes them, from sound at "
            f"{card.front_end.sample_rate} Hz: {shown(card.data.dataset)} holds no audio.json that says so",
            file=sys.stderr,
        )
    songs, failures = [], []
    with tqdm(total=len(paths), desc="predict", unit="song", disable=None if len(paths) > 1 else True) as progress:
        for path, heard in listen_to_all(paths, listen, progress):
            if isinstance(heard, Song):
                songs.append(heard)
                progress.write(describe(heard, card.classes, arguments.seconds))
            else:
                failures.append(f"{path}: {heard}")
    if arguments.json:
        write_bytes(
            arguments.json, (json.dumps([as_json(song, card.classes) for song in songs], indent=2) + "\n").encode()
        )
    if arguments.csv:
        write_csv(arguments.csv, ["file", "start", *card.classes], as_rows(songs))
    if arguments.plot and songs:
        song = songs[0]
        pictures.timeline(arguments.plot, song.path.name, song.starts, song.probabilities, card.classes)
    if failures:
        raise UserError("; ".join(failures))


class Parser(argparse.ArgumentParser):
    """Tells a wrong command line in one line, as any other error."""

    def error(self, message: str) -> None:
        """Raise a UserError."""
        raise UserError(f"{message}; see python -m stages.predict --help")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser("python -m stages.predict", description="Name a song's genre, second by second.")
    parser.add_argument("songs", nargs="+", type=Path, help="sound files (wav, flac, ogg, mp3), or folders of them")
    parser.add_argument("--representation", help="which model listens (default: the best on the validation part)")
    parser.add_argument("--hop", type=float, default=1.0, help="seconds from one window to the next (default 1)")
    parser.add_argument("--seconds", action="store_true", help="print every second's probabilities")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the probabilities as JSON")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the probabilities as CSV")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the probabilities over time")
    parsed = parser.parse_args(arguments)
    if not 0.001 <= parsed.hop < 3600:
        raise UserError(f"--hop: found {parsed.hop:g}, expected seconds from 0.001, say 0.5")
    if parsed.plot and parsed.plot.suffix != ".png":
        raise UserError(f"--plot: found {parsed.plot}, expected a name that ends in .png")
    for path in (parsed.json, parsed.csv, parsed.plot):
        if path:  # before an hour of listening, not after it
            check_replaceable(path, "file")
    return parsed


def find_songs(places: list[Path]) -> list[Path]:
    """Return the files named, and the sound files in the folders named, in order.

    Raises:
        UserError: if a place does not exist or a folder holds no sound file.
        PermissionError: naming a folder that may not be read.
    """
    songs = []
    for place in places:
        there = kind(place)
        if not there:
            raise UserError(f"{place}: not found; expected a sound file or a folder of them")
        if there != "folder":
            songs.append(place)
            continue
        found = find_sounds(place)
        if not found:
            raise UserError(f"{place}: found no sound file, expected {', '.join(SUFFIXES)}")
        songs += found
    return songs


def describe(song: Song, classes: list[str], every_second: bool) -> str:
    """Return a song's genre, its probability and its timeline, and every second's probabilities if wanted."""
    whole = verdict(song.probabilities)
    letters = initials(classes)
    names = [shown(name) for name in classes]
    legend = " ".join(f"{letter}={name}" for letter, name in zip(letters, names, strict=True))
    lines = [
        f"{shown(song.path)}: {names[whole.argmax()]} {whole.max():.2f}",
        f"  {timeline(song.probabilities, letters)}  {pictures.clock(song.starts[-1] + 1)}  {legend}",
    ]
    if every_second:
        lines.append("  " + " ".join(["start   ", *(f"{name:>10.10}" for name in names)]))
        for start, row in zip(song.starts, song.probabilities, strict=True):
            lines.append("  " + " ".join([f"{start:8.2f}", *(f"{value:10.3f}" for value in row)]))
    return "\n".join(lines)


def initials(classes: list[str]) -> list[str]:
    """Return a letter for each class: its first, or, where two share it, letters in alphabetical order.

    Where there are more classes than letters the last have none: a dot.
    """
    first = [name[:1].lower() for name in classes]
    if len(set(first)) == len(first) and all(letter.isalnum() for letter in first):
        return first
    letters = string.ascii_letters + string.digits
    return [*letters[: len(classes)], *"." * (len(classes) - len(letters))]


def timeline(probabilities: np.ndarray, letters: list[str]) -> str:
    """Return a letter for each window, or for equal stretches of a long song that are summed up like a song."""
    stretches = np.array_split(probabilities, min(LINE, len(probabilities)))
    return "".join(letters[verdict(stretch).argmax()] for stretch in stretches)


def as_json(song: Song, classes: list[str]) -> dict:
    """Return what --json writes of a song."""
    whole = verdict(song.probabilities)
    return {
        "file": str(song.path),
        "genre": classes[whole.argmax()],
        "probabilities": dict(zip(classes, whole.tolist(), strict=True)),
        "seconds": [
            {"start": start, "probabilities": dict(zip(classes, row, strict=True))}
            for start, row in zip(song.starts.tolist(), song.probabilities.tolist(), strict=True)
        ],
    }


def as_rows(songs: list[Song]) -> list[list]:
    """Return what --csv writes below its head: a line a window."""
    return [
        [str(song.path), start, *row]
        for song in songs
        for start, row in zip(song.starts.tolist(), song.probabilities.tolist(), strict=True)
    ]


if __name__ == "__main__":
    run_command(main)
