"""predict: songs' genres, second by second: `python -m stages.predict SONG [SONG ... | FOLDER]`.

Needs nothing but data/model/. From Python: `from stages.predict import Listener` (stages/listening.py).
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from tqdm import tqdm

from stages.audio.decode import quiet_codecs
from stages.audio.sounds import count_others, find_sounds
from stages.common.files import UserError, few_of, kind, shown
from stages.common.records import few_songs
from stages.common.running import run_command
from stages.exports import tell_outdated
from stages.listening import Listener, choose_card, listen_to_all
from stages.reporting import songs
from stages.reporting.strip import describe

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt} songs{postfix} [{elapsed}<{remaining}]"


def main() -> None:
    """Name the genres of the songs that the command line names."""
    arguments = parse(sys.argv[1:])
    paths = find_songs(arguments.songs)
    listener = Listener(choose_card(arguments.representation), arguments.hop, arguments.unknown)
    card = listener.card
    tell_outdated("predict")
    if card.data.sample_rate is None:
        print(
            f"predict: assumes that the {card.representation} were made as its own front end makes them, from sound at "
            f"{card.front_end.sample_rate} Hz: {shown(card.data.dataset)} holds no audio.json that says so",
            file=sys.stderr,
        )
    few = few_songs(card.data, ("train", "test"))
    if few:
        print(f"predict: behind this model are {few}", file=sys.stderr)
    failures, minutes, several = [], 0.0, len(paths) > 1
    with ExitStack() as stack:
        takers = [stack.enter_context(each) for each in wanted(arguments, paths, listener)]
        stack.enter_context(quiet_codecs())
        progress = tqdm(None, "predict", len(paths), disable=None if several else True, bar_format=BAR)
        stack.enter_context(progress)
        for _, heard in listen_to_all(listener, paths):
            if isinstance(heard, UserError):
                failures.append(str(heard))
                if several:
                    progress.write(f"predict: left out: {shown(heard)}", file=sys.stderr)
            else:
                progress.write(describe(heard, arguments.seconds))
                for take in takers:
                    take(heard)
                minutes += (heard.starts[-1] + 1) / 60
            progress.set_postfix_str(f"{minutes:.1f} minutes of music", refresh=False)
            progress.update()
    if failures:
        raise UserError(f"{len(failures)} of {len(paths)} songs cannot be heard: {few_of(failures, '; ')}")


class Parser(argparse.ArgumentParser):
    """Tells a wrong command line in one line, as any other error."""

    def error(self, message: str) -> None:
        """Raise a UserError."""
        raise UserError(f"{message}; see python -m stages.predict --help")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser("python -m stages.predict", description="Name songs' genres, second by second.")
    add, file = parser.add_argument, {"type": Path, "metavar": "FILE"}
    add("songs", nargs="+", type=Path, help="sound files, or folders of them")
    add("--representation", help="which model listens (default: the best on the validation part)")
    add("--hop", type=float, default=1.0, help="seconds from one window to the next (default 1)")
    add("--unknown", type=float, default=0.0, metavar="0.6", help="the probability below which a genre is unknown")
    add("--seconds", action="store_true", help="print every second's probabilities")
    add("--csv", **file, help="write a table with a line a song")
    add("--seconds-csv", **file, help="write a table with a line a second")
    add("--json", **file, help="write songs and seconds as JSON")
    add("--m3u", type=Path, metavar="FOLDER", help="write a playlist for each genre")
    add("--plot", type=Path, metavar="FILE.png|FOLDER", help="draw the probabilities over time")
    return parser.parse_args(arguments)


def find_songs(places: list[Path]) -> list[Path]:
    """Return the files named, and the sound files in the folders named, in order.

    Raises:
        UserError: if a place does not exist or a folder holds no sound file.
        PermissionError: naming a folder that may not be read.
    """
    found = []
    for place in places:
        there = kind(place)
        if not there:
            raise UserError(f"{place}: not found; expected a sound file or a folder of them")
        if there != "folder":
            found.append(place)
            continue
        sounds, others = find_sounds(place)
        if not sounds:
            raise UserError(f"{place}: found {count_others(others) if others else 'no file'}, expected sound files")
        if others:
            print(f"predict: left out: {count_others(others)}", file=sys.stderr)
        found += sounds
    return found


def wanted(arguments: argparse.Namespace, paths: list[Path], listener: Listener) -> Iterator[AbstractContextManager]:
    """Yield what writes the songs as the command line asks; what is in its way it tells before any song is heard."""
    if arguments.csv:
        yield songs.song_table(arguments.csv, listener.card.classes)
    if arguments.seconds_csv:
        yield songs.second_table(arguments.seconds_csv, listener.card.classes)
    if arguments.json:
        yield songs.json_list(arguments.json)
    if arguments.m3u:
        yield songs.playlists(arguments.m3u, listener.genres, paths)
    if arguments.plot:
        yield songs.pictures(arguments.plot, paths)


if __name__ == "__main__":
    run_command(main)
