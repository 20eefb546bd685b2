"""outputs: what is written about songs, one by one as they are analysed: tables, JSON, playlists, pictures.

Each of these gives a function that takes a song, and keeps no seconds: files are written to a temporary as the songs
come, and replace what was there when all songs have been written.
"""

import json
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

from stages.common.drawing import label
from stages.common.files import UserError, kind
from stages.common.writing import check_replaceable, csv_writer, replacing, spreadsheet_safe
from stages.listening.strip import verdict_of
from stages.listening.timeline import timeline

if TYPE_CHECKING:
    from stages.listening.listener import Song

    Take = Callable[[Song], None]

LONGEST = 60  # characters of a file name; in UTF-8 up to four bytes each, and a disk holds 255


@contextmanager
def song_table(path: Path, classes: list[str]) -> Iterator["Take"]:
    """Write a CSV with a line a song: file, genre, likeliest class's probability, silent seconds, every probability."""
    with csv_writer(path, ["file", "genre", "probability", "silent", *map(spreadsheet_safe, classes)]) as write:

        def take(song: "Song") -> None:
            values, names = song.probabilities.values(), map(spreadsheet_safe, (str(song.path), song.genre))
            write([*names, max(values), song.silent_seconds, *values])

        yield take


@contextmanager
def second_table(path: Path, classes: list[str]) -> Iterator["Take"]:
    """Write a CSV with a line a window: file, where it starts (s), every class's probability, empty if it is silent."""
    with csv_writer(path, ["file", "start", *map(spreadsheet_safe, classes)]) as write:

        def take(song: "Song") -> None:
            file, nothing = spreadsheet_safe(str(song.path)), [None] * len(classes)
            for start, row, silent in windows_of(song):
                write([file, start, *(nothing if silent else row)])

        yield take


@contextmanager
def json_list(path: Path) -> Iterator["Take"]:
    """Write a JSON list of songs: [{file, genre, probabilities, silent, seconds: [{start, probabilities}]}]."""
    with replacing(path) as temporary, temporary.open("w", encoding="ascii") as file:
        between = "[\n"

        def take(song: "Song") -> None:
            nonlocal between
            file.write(between + indent(json.dumps(as_json(song), indent=2), "  "))
            between = ",\n"

        yield take
        file.write("\n]\n" if between == ",\n" else "[]\n")


def as_json(song: "Song") -> dict:
    """Return what `json_list` writes of a song."""
    return {
        "file": str(song.path),
        "genre": song.genre,
        "probabilities": song.probabilities,
        "silent": song.silent_seconds,
        "seconds": [
            {"start": start, "probabilities": None if silent else dict(zip(song.probabilities, row, strict=True))}
            for start, row, silent in windows_of(song)
        ],
    }


def windows_of(song: "Song") -> Iterator[tuple[float, list[float], bool]]:
    """Yield where each window starts, its probabilities, and whether it is silent."""
    return zip(song.starts.tolist(), song.seconds.tolist(), song.silent.tolist(), strict=True)


@contextmanager
def playlists(folder: Path, genres: list[str], paths: list[Path]) -> Iterator["Take"]:
    """Write FOLDER/GENRE.m3u8 for every genre, an empty one too, with the songs' absolute paths.

    Nothing else in the folder is touched. The name of a genre that makes no name of a file is changed.
    """
    for path in paths:
        if {"\n", "\r"} & set(str(path)):
            raise UserError(f"{path}: found a line break in the name, which a playlist cannot hold; rename it")
    check_replaceable(folder, "folder")
    files = dict(zip(genres, (folder / f"{name}.m3u8" for name in safe_names(genres)), strict=True))
    for file in files.values():
        check_replaceable(file, "file")
    lines = {genre: ["#EXTM3U"] for genre in genres}
    yield lambda song: lines[song.genre].append(str(song.path.absolute()))
    with ExitStack() as stack:
        for genre, file in files.items():
            text = "\n".join(lines[genre]) + "\n"
            stack.enter_context(replacing(file)).write_bytes(text.encode("utf-8", "surrogateescape"))


@contextmanager
def pictures(place: Path, paths: list[Path]) -> Iterator["Take"]:
    """Draw each song's probabilities over its time, as it comes: one song to FILE.png, any number into a folder.

    In a folder a picture is called after its song's path below what all songs share.
    """
    if place.suffix == ".png" and len(paths) == 1:
        files = [place]
    elif place.suffix and kind(place) != "folder":
        raise UserError(f"--plot: found {place} for {len(paths)} songs, expected FILE.png for one song, or a folder")
    else:
        check_replaceable(place, "folder")
        shared = os.path.commonpath([path.absolute().parent for path in paths])
        names = safe_names(str(path.absolute().relative_to(shared)) for path in paths)
        files = [place / f"{name}.png" for name in names]
    for file in files:
        check_replaceable(file, "file")
    of_song = dict(zip(paths, files, strict=True))
    yield lambda song: draw(of_song[song.path], song)


def safe_names(names: Iterable[str]) -> list[str]:
    """Return a file name for each name that people gave: valid on every system, all different in one folder.

    Characters that a file name cannot hold become _, a long name keeps its end, and a number distinguishes duplicates.
    """
    taken: set[str] = set()
    safe = []
    for name in names:
        plain = "".join("_" if each in '<>:"/\\|?*' or not each.isprintable() else each for each in name)
        stem = plain[-LONGEST:].strip(". ") or "_"
        numbered = (stem if number == 1 else f"{stem} ({number})" for number in count(1))
        safe.append(next(each for each in numbered if folded(each) not in taken))
        taken.add(folded(safe[-1]))
    return safe


def folded(name: str) -> str:
    """Return a form that is the same for names that some file systems treat as one."""
    return unicodedata.normalize("NFC", name.casefold())


def draw(path: Path, song: "Song") -> None:
    """Draw a song's probabilities over its time to a PNG."""
    title = f"{label(song.path.name)}: {verdict_of(song)}"
    timeline(path, title, song.starts, song.seconds, list(song.probabilities))
