"""Predict: songs' genres, second by second, as `genre predict` shows them; needs nothing but data/model/."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from tqdm import tqdm

from stages.audio.sounds import count_others, find_sounds
from stages.common.files import UserError, few_of, kind, shown
from stages.common.records import few_songs
from stages.listening import outputs
from stages.listening.exports import tell_outdated
from stages.listening.listener import Listener, choose_card
from stages.listening.several import get_ready, listen_to_all
from stages.listening.strip import describe

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt} songs{postfix} [{elapsed}<{remaining}]"


def predict(arguments: argparse.Namespace) -> None:
    """Name the genres of songs, given the arguments as stages/cli.py reads them."""
    paths = find_songs(arguments.songs)
    get_ready(len(paths))
    chosen = choose_card(arguments.representation)
    listener = Listener(chosen, arguments.hop, arguments.unknown, arguments.smooth)
    card = listener.card
    tell_outdated()
    if card.data.sample_rate is None:
        print(
            f"predict: assumes that the {card.representation} were made as its own front end makes them, from sound at "
            f"{card.front_end.sample_rate} Hz: {shown(card.data.dataset)} holds no audio.json that says so",
            file=sys.stderr,
        )
    few = few_songs(card.data, ("train", "test"))
    if few:
        print(f"predict: this model is based on {few}", file=sys.stderr)
    failures, minutes, several = [], 0.0, len(paths) > 1
    with ExitStack() as stack:
        takers = [stack.enter_context(each) for each in wanted(arguments, paths, listener)]
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
        raise UserError(f"{len(failures)} of {len(paths)} songs cannot be analysed: {few_of(failures, '; ')}")


def find_songs(places: list[Path]) -> list[Path]:
    """Return the files named, and the sound files in the folders named, in order; PermissionError names a folder."""
    found = []
    for place in places:
        there = kind(place)
        if not there:
            raise UserError(f"{place}: not found; expected an audio file or a folder of them")
        if there != "folder":
            found.append(place)
            continue
        sounds, others = find_sounds(place)
        if not sounds:
            raise UserError(f"{place}: found {count_others(others) if others else 'no file'}, expected audio files")
        if others:
            print(f"predict: left out: {count_others(others)}", file=sys.stderr)
        found += sounds
    return found


def wanted(arguments: argparse.Namespace, paths: list[Path], listener: Listener) -> Iterator[AbstractContextManager]:
    """Yield the writers that the command line asks for; each checks its place before any song is analysed."""
    if arguments.csv:
        yield outputs.song_table(arguments.csv, listener.card.classes)
    if arguments.seconds_csv:
        yield outputs.second_table(arguments.seconds_csv, listener.card.classes)
    if arguments.json:
        yield outputs.json_list(arguments.json)
    if arguments.m3u:
        yield outputs.playlists(arguments.m3u, listener.genres, paths)
    if arguments.plot:
        yield outputs.pictures(arguments.plot, paths)
