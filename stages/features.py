"""features: a folder of songs becomes a data set, on the cores of this machine or on a Dask cluster.

Reads data/audio as stages/audio/library.py says; writes data/features/REPRESENTATION/{X,labels,groups,tracks}.npy (of
those that `representations` asks for) in the order of the files' names, below train, val and test if the songs come
split; tracks.csv; audio.json, which has the sampling rate; and recordings.json, by which sounds are known again. A
sample's track is its song's line in tracks.csv, from 0; its group, which no split cuts in two, is the first track of
what belongs together, mostly its own. A track's silent seconds (stages/audio/silence.py) and its last part shorter than
a second are dropped. Neither a track nor the data set need fit into memory.

Every header is read before any song. Results then stay in data/tmp/features, a few tracks a piece, until the data set
is complete: a stage that was killed, or failed because of a song, resumes where it stopped. Classes, groups and parts
are not among them.
"""

import stages  # isort: skip # noqa: F401 # stops a Python without the packages, before NumPy does with a traceback
import os
import shutil
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter
from tqdm import tqdm

from stages.arrays.npy import stream_array, write_array
from stages.audio.front_end import FRONT_ENDS, settings, shape_of
from stages.audio.library import COLUMNS as SONG_COLUMNS
from stages.audio.library import Library, Song, check_classes, copies_of, find_songs
from stages.audio.recordings import first_copies
from stages.audio.tracks import Piece, Track, analyse, read_header
from stages.common import tasks
from stages.common.files import AUDIO, FEATURES, RECORDINGS, SOUND, TABLE, TEMPORARY, UserError, few_of, shown
from stages.common.fingerprints import fingerprint
from stages.common.params import Params, asks_for, load_params
from stages.common.records import PARTS, Sound, checked
from stages.common.running import run_stage
from stages.common.writing import replacing_folder, write_csv, write_json, write_nothing

HEARD = tuple(name for name in Track._fields[1:] if name != "words")
COLUMNS = (*SONG_COLUMNS, "copy_of", *HEARD)
PIECES = TEMPORARY / "features"
TRACKS_A_PIECE = 16  # on average
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f} of {total:.1f} minutes of music [{elapsed}<{remaining}]"


def main() -> None:
    """Analyse every track, put the arrays together, and replace data/features as a whole."""
    params = load_params()
    if not asks_for(params, FEATURES):
        write_nothing(FEATURES)
        return
    names = asked_for(params)
    library = find_songs(AUDIO)
    for phrase in library.left_out():
        print(f"features: left out: {phrase}")
    check_classes(AUDIO, library.songs)
    headers = read_headers([song.file for song in library.songs])
    refuse([track for track in headers if track.problem], len(headers), params)
    pieces = pieces_of([track.file for track in headers], params.audio.sample_rate, names)
    analyse_all(pieces, {track.file: track.seconds for track in headers}, params.scheduler)
    tracks = [track for piece in pieces for track in tracks_of(piece)]
    refuse([track for track in tracks if not track.clips], len(tracks), params)
    usable = [track for track in tracks if track.clips]
    recordings = {track.sound: track.words for track in usable}
    first = first_copies(recordings)
    copies = copies_of(AUDIO, library.songs, {track.file: first[track.sound] for track in usable})
    for copy, other in copies.items():
        print(f"features: {shown(AUDIO / copy)} holds the recording of {shown(other)}: they count as one group")
    with replacing_folder(FEATURES) as folder:
        assemble(library.songs, groups_of(library.songs, copies), tracks, pieces, folder)
        Sound(sample_rate=params.audio.sample_rate).write(folder / SOUND)
        write_json(folder / RECORDINGS, recordings)
        write_csv(folder / TABLE, COLUMNS, lines(library, tracks, copies))
    shutil.rmtree(PIECES)
    for track in tracks:
        if track.problem:
            print(f"features: {'' if track.clips else 'left out: '}{shown(AUDIO / track.file)} {shown(track.problem)}")
    samples, silent = sum(track.clips for track in tracks), sum(track.silent for track in tracks)
    but = f"; silent seconds left out: {silent}" if silent else ""
    print(f"features: {samples} samples of {len(usable)} tracks in {FEATURES}{but}")


def asked_for(params: Params) -> tuple[str, ...]:
    """Return the representations to make."""
    names = tuple(FRONT_ENDS) if params.representations == "all" else tuple(params.representations)
    if unknown := set(names) - FRONT_ENDS.keys():
        raise UserError(
            f"params.yaml: representations: found {few_of(sorted(unknown))}, expected one of "
            f"{', '.join(FRONT_ENDS)}: only these can be computed from audio"
        )
    return names


def read_headers(files: list[str]) -> list[Track]:
    """Read how long each track claims to be, or why it cannot be opened: a folder of mistakes is refused in seconds."""
    headers = tasks.on_threads(read_header, [(AUDIO, file) for file in files])
    return list(tqdm(headers, "headers", len(files), unit="track", disable=None))


def refuse(unusable: list[Track], n: int, params: Params) -> None:
    """Stop if there are tracks that cannot be used and `audio.on_error` does not say to go on."""
    if unusable and params.audio.on_error != "skip":
        problems = few_of([f"{AUDIO / track.file} {track.problem}" for track in sorted(unusable)], "; ")
        raise UserError(
            f"{len(unusable)} of {n} tracks cannot be used: {problems}; fix or remove them, "
            "or leave them out with -S audio.on_error=skip"
        )


def pieces_of(files: list[str], sample_rate: int, names: tuple[str, ...]) -> list[Piece]:
    """Cut the tracks into pieces; a track added or removed changes only its own piece.

    A piece is named by a fingerprint of its tracks' names, sizes and times and of the front end's settings.
    """
    made_by = [settings(name, shape_of(name, sample_rate), sample_rate) for name in names]
    parts: list[list[str]] = []
    for file in files:
        if not parts or zlib.crc32(os.fsencode(file)) % TRACKS_A_PIECE == 0:
            parts.append([])
        parts[-1].append(file)
    pieces = []
    for part in parts:
        states = [[file, *state_of(AUDIO / file)] for file in part]
        place = PIECES.absolute() / fingerprint(states, made_by)
        pieces.append(Piece(part, AUDIO.absolute(), place, sample_rate, names))
    return pieces


def state_of(track: Path) -> tuple[int, int]:
    """Return a track's size and time; zeros where there is none, which its line of tracks.csv will say."""
    try:
        state = track.stat()
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns


def tracks_of(piece: Piece) -> list[Track]:
    """Return what is known of a piece's tracks, if it is complete: a machine that goes down may leave less."""
    try:
        tracks = checked(TypeAdapter(list[Track]), piece.done())
        sizes = {name: piece.numbers(name).stat().st_size for name in piece.representations}
    except (UserError, OSError):
        return []
    clips = sum(track.clips for track in tracks)
    return tracks if all(size == clips * piece.sample_bytes(name) for name, size in sizes.items()) else []


def analyse_all(pieces: list[Piece], seconds: dict[str, float], scheduler: str | None) -> None:
    """Analyse the pieces that are not complete yet; `seconds` says how long each track is.

    A cluster's workers read the songs and write the pieces at the same paths.
    """
    PIECES.mkdir(parents=True, exist_ok=True)
    todo = [piece for piece in pieces if not tracks_of(piece)]
    standing = sum(seconds.values()) - sum(seconds[file] for piece in todo for file in piece.files)
    if standing:
        print(f"features: resumes: {standing / 60:.1f} minutes of music are done already")
    progress = tqdm(None, "features", sum(seconds.values()) / 60, disable=None, bar_format=BAR, initial=standing / 60)
    with progress:
        for files in carry_out(todo, tasks.cluster_address(scheduler)):
            progress.update(sum(seconds[file] for file in files) / 60)


def carry_out(todo: list[Piece], address: str | None) -> Iterator[list[str]]:
    """Yield each piece's files as it is done: on a cluster, or a process a core."""
    if address:
        return tasks.on_cluster(analyse, todo, address)
    processes = min(tasks.cores(), len(todo))
    if processes > 1:  # threads would wait for each other, as PyAV takes Python's lock for every packet
        return tasks.on_processes(analyse, todo, processes, ["av", "scipy.fft", "stages.audio.tracks"])
    return tasks.in_this_process(analyse, todo)


def groups_of(songs: list[Song], copies: dict[str, str]) -> list[int]:
    """Return the group of each song: the number of the first of those that belong together, mostly its own.

    Copies of a recording belong together, songs that name one group do, and so does whatever these have in common.
    """
    earlier = list(range(len(songs)))  # a song that each belongs with; the first of those that do, itself

    def first(number: int) -> int:
        while earlier[number] != number:
            earlier[number] = number = earlier[earlier[number]]
        return number

    known: dict[tuple[str, str], int] = {}
    for number, song in enumerate(songs):
        shared = [("file", song.file), ("file", copies.get(song.file, song.file))]
        for each in shared + ([("group", song.group)] if song.group else []):
            one, another = sorted((first(number), first(known.setdefault(each, number))))
            earlier[another] = one
    return [first(number) for number in range(len(songs))]


def assemble(songs: list[Song], groups: list[int], tracks: list[Track], pieces: list[Piece], folder: Path) -> None:
    """Put the pieces together as the arrays of each representation, by part if the songs have one."""
    text = np.array([song.label for song in songs]).dtype
    for part in PARTS if songs[0].part else [""]:
        counts = [track.clips if song.part == part else 0 for song, track in zip(songs, tracks, strict=True)]
        if not any(counts):
            which = f"{len(tracks)} tracks" + (f" is in the part {part} and" if part else "")
            raise UserError(f"{AUDIO}: none of {which} can be used; -S audio.on_error=fail says why")
        for representation in pieces[0].representations:
            place = folder / part / representation
            place.mkdir(parents=True)
            shape = (sum(counts), *shape_of(representation, pieces[0].sample_rate))
            stream_array(place / "X.npy", np.float32, shape, samples_of(pieces, tracks, counts, representation))
            labels = (np.full(n, song.label, text).tobytes() for song, n in zip(songs, counts, strict=True))
            stream_array(place / "labels.npy", text, (sum(counts),), labels)
            for name, numbers in {"groups": groups, "tracks": range(len(songs))}.items():
                write_array(place / f"{name}.npy", np.repeat(np.array(numbers, np.int32), counts))


def samples_of(pieces: list[Piece], tracks: list[Track], counts: list[int], representation: str) -> Iterator[bytes]:
    """Yield the raw samples of the tracks whose count is not 0."""
    following = zip(tracks, counts, strict=True)
    for piece in pieces:
        with piece.numbers(representation).open("rb") as file:
            for track, n in islice(following, len(piece.files)):
                samples = file.read(track.clips * piece.sample_bytes(representation))
                if n:
                    yield samples


def lines(library: Library, tracks: list[Track], copies: dict[str, str]) -> Iterator[tuple]:
    """Yield the lines of tracks.csv: the tracks, then the files that were left out."""
    for song, track in zip(library.songs, tracks, strict=True):
        yield *song, copies.get(song.file, ""), round(track.seconds, 3), *(getattr(track, name) for name in HEARD[1:])
    for path in library.unlisted:
        yield str(path.relative_to(AUDIO)), "", "", "", "", 0.0, 0, 0, 0, "", f"is {library.why}"
    for path in library.others:
        why = "is a link to a folder" if path.is_dir() else "is not audio"
        yield str(path.relative_to(AUDIO)), "", "", "", "", 0.0, 0, 0, 0, "", why


if __name__ == "__main__":
    from stages.features import main  # by its own name, under which a cluster's workers can import what it sends

    run_stage(main)
