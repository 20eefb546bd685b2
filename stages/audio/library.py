"""The library: what data/audio holds, and each song's class, group and part.

Its folders say it, data/audio/CLASS/**/TRACK; or, in folders of any kind, the table data/audio/tracks.csv with the
columns `file` (below data/audio) and `class` and, if wanted,

- `group`: what must not be in two parts of the split, such as the artist or the album: their sound would be learnt
  instead of the genre's (A. Flexer, A closer look on artist filters for musical genre classification, ISMIR 2007);
- `part`: train, val or test; the split is then given.
"""

import csv
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from unicodedata import normalize

from stages.audio.sounds import count_others, find_sounds
from stages.common.files import TABLE, UserError, few_of, is_there, open_regular, shown
from stages.common.records import PARTS

COLUMNS = ("file", "class", "group", "part")


class Song(NamedTuple):
    """A file below the folder; an empty group is the song's own, an empty part is to be drawn."""

    file: str
    label: str
    group: str = ""
    part: str = ""


class Library(NamedTuple):
    """The songs in order of their files, and what is left out."""

    songs: list[Song]
    unlisted: list[Path]  # sounds
    why: str  # these are left out
    others: list[Path]  # no sounds

    def left_out(self) -> list[str]:
        """Return what is left out, as phrases."""
        n = "1 song" if len(self.unlisted) == 1 else f"{len(self.unlisted)} songs"
        told = [f"{n} {self.why}: {few_of(self.unlisted)}"] if self.unlisted else []
        return told + ([count_others(self.others)] if self.others else [])


def find_songs(folder: Path) -> Library:
    """Find the songs in a folder, by its table if it has one; PermissionError names a folder that may not be read."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected {folder}/CLASS/SONG, say SONG.mp3")
    table = folder / TABLE
    sounds, others = ({str(path.relative_to(folder)): path for path in paths} for paths in find_sounds(folder))
    if is_there(table):
        songs, why = read_table(table, [*sounds, *others]), f"without a row in {table}"
    else:
        places = {file: PurePosixPath(file).parts for file in sounds}
        songs = [Song(file, place[0]) for file, place in places.items() if len(place) > 1]
        why = "in no class's folder"
    for song in songs:
        sounds.pop(song.file, None)
        others.pop(song.file, None)
    return Library(sorted(songs), list(sounds.values()), why, list(others.values()))


def check_classes(folder: Path, songs: list[Song]) -> None:
    """Check that there are two classes at least."""
    names = sorted({song.label for song in songs})
    if len(names) < 2:
        raise UserError(
            f"{folder}: found {f'songs of {few_of(names)}' if names else 'no song in a class'}, expected at least two "
            f"classes, each a folder of audio files or named in {folder / TABLE}"
        )


def copies_of(folder: Path, songs: list[Song], sounds: dict[str, str]) -> dict[str, str]:
    """Return which files hold the same sound as an earlier one, and that one, given each decoded file's hash of it.

    A recording in two classes, or in two parts of a split, is refused.
    """
    first: dict[str, Song] = {}
    copies = {}
    for song in songs:
        if song.file not in sounds:
            continue
        other = first.setdefault(sounds[song.file], song)
        if (other.label, other.part) != (song.label, song.part):
            places = " and ".join(f"{each.file} ({each.label} {each.part}".strip() + ")" for each in (other, song))
            raise UserError(f"{folder}: found one recording twice, {places}; keep one of them")
        if other is not song:
            copies[song.file] = other.file
    return copies


def read_table(path: Path, files: list[str]) -> list[Song]:
    """Read what a table says the songs are, given the files below its folder.

    An umlaut may be one character in the table and two on the disk, or the reverse; what the disk has counts.
    """
    head, rows = _read_rows(path)
    known = {normalize("NFC", file): file for file in files} | {file: file for file in files}
    songs: dict[str, Song] = {}
    part_of: dict[str, str] = {}  # a group's
    complaints = []
    for line, cells in rows:
        try:
            song = _song(head, cells, known)
            if song.file in songs:
                raise ValueError(f"found {song.file} twice")
            if song.group and part_of.setdefault(song.group, song.part) != song.part:
                raise ValueError(f"found {song.group} in {song.part}, expected all of this group in one part")
            songs[song.file] = song
        except ValueError as error:
            complaints.append(f"line {line}: {shown(error)}")
    if complaints:
        raise UserError(f"{path}: {few_of(complaints, '; ')}; fix or remove them")
    missing = [part for part in PARTS if part not in {song.part for song in songs.values()}]
    if "part" in head and missing:
        raise UserError(f"{path}: found no song of the part {', '.join(missing)}, expected some of {', '.join(PARTS)}")
    return list(songs.values())


def _read_rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return a table's head, and each row's line number and cells."""
    try:
        with open_regular(path) as file:
            text = file.read().decode("utf-8-sig")
        semicolons = "," not in text.partition("\n")[0]  # of spreadsheets where the comma is the decimal point
        lines = StringIO(text, newline="")
        reader = csv.reader(lines, delimiter=";" if semicolons else ",", strict=True, skipinitialspace=True)
        head = [cell.strip() for cell in next(reader, [])]
        rows = [(reader.line_num, cells) for cells in reader if cells]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: is not CSV in UTF-8 ({shown(error)}); save it as such") from None
    if len(set(head)) < len(head) or not set(COLUMNS[:2]) <= set(head) <= set(COLUMNS):
        raise UserError(
            f"{path}: found the columns {few_of(head)}, expected file and class and, if wanted, group and "
            "part, with commas or semicolons between them"
        )
    return head, rows


def _song(head: list[str], cells: list[str], known: dict[str, str]) -> Song:
    """Return what a row says; ValueError if it is wrong."""
    if len(cells) != len(head):
        raise ValueError(f"found {len(cells)} cells, expected {len(head)}: {', '.join(head)}")
    row = {name: normalize("NFC", cell.strip()) for name, cell in zip(head, cells, strict=True)}
    place = PurePosixPath(cells[head.index("file")])
    if not place.name or place.is_absolute() or ".." in place.parts or "\0" in str(place):
        raise ValueError(f"found the file {str(place)!r}, expected one below the table's folder")
    if not row["class"]:
        raise ValueError(f"found no class of {place}")
    if "part" in row and row["part"] not in PARTS:
        raise ValueError(f"found the part {row['part']!r}, expected one of {', '.join(PARTS)}")
    file = known.get(str(place)) or known.get(normalize("NFC", str(place))) or str(place)
    return Song(file, row["class"], row.get("group", ""), row.get("part", ""))
