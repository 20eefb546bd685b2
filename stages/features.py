"""features: a folder of songs becomes a data set, on the cores of this machine or on a Dask cluster.

Reads data/audio/CLASS/**/TRACK.{wav,flac,ogg,mp3}; writes data/features/{mfccs,melgrams}/{X,labels,groups}.npy (those
that `representations` asks for) in the order of the files' names, tracks.csv, whose line is a sample's group (from 0),
and audio.json, from which the model's card knows the sampling rate. The track is the group, so that no split cuts it in
two; its last part shorter than a second is dropped. Neither a track nor the data set need fit into memory.

Every header is read before any song. What is then worked out stays in data/tmp/features, a few tracks a piece, until
the data set stands: a stage that was killed, or failed for a song, goes on where it stopped.
"""

import os
import shutil
import zlib
from math import prod
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter
from tqdm import tqdm

from stages import tasks
from stages.analyser import Piece, Track, analyse, read_header
from stages.arrays import stream_array, write_array
from stages.audio.decode import find_sounds
from stages.audio.front_end import FRONT_ENDS, SHAPES, settings
from stages.files import FEATURES, TEMPORARY, UserError, shown
from stages.fingerprints import fingerprint
from stages.params import Params, load_params
from stages.records import checked
from stages.running import run_stage
from stages.writing import replacing_folder, write_csv, write_json

AUDIO = Path("data/audio")
PIECES = TEMPORARY / "features"
TRACKS_A_PIECE = 16  # on average
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f} of {total:.1f} minutes of music [{elapsed}<{remaining}]"


def main() -> None:
    """Analyse every track, put the arrays together, and replace data/features as a whole."""
    params = load_params()
    names = asked_for(params)
    files = find_tracks(AUDIO)
    headers = read_headers(files)
    refuse([track for track in headers if track.problem], len(headers), params)
    pieces = pieces_of([track.file for track in headers], params.audio.sample_rate, names)
    analyse_all(pieces, {track.file: track.seconds for track in headers}, params.scheduler)
    tracks = [track for piece in pieces for track in tracks_of(piece)]
    left_out = [track for track in tracks if track.problem]
    refuse(left_out, len(tracks), params)
    with replacing_folder(FEATURES) as folder:
        assemble(tracks, pieces, folder)
        write_json(folder / "audio.json", {"sample_rate": params.audio.sample_rate})
        rows = [track._replace(seconds=round(track.seconds, 3)) for track in tracks]
        write_csv(folder / "tracks.csv", ["file", "class", "seconds", "clips", "rate", "problem"], rows)
    shutil.rmtree(PIECES)
    for track in left_out:
        print(f"features: left out: {shown(AUDIO / track.file)} {shown(track.problem)}")
    samples = sum(track.clips for track in tracks)
    print(f"features: {samples} samples of {len(tracks) - len(left_out)} tracks in {FEATURES}")


def asked_for(params: Params) -> tuple[str, ...]:
    """Return the representations to make.

    Raises:
        UserError: if `representations` asks for one that cannot be made from sound.
    """
    names = tuple(FRONT_ENDS) if params.representations == "all" else tuple(params.representations)
    if unknown := set(names) - FRONT_ENDS.keys():
        raise UserError(
            f"params.yaml: representations: found {', '.join(sorted(unknown))}, expected one of "
            f"{', '.join(FRONT_ENDS)}: those can be made from sound"
        )
    return names


def find_tracks(folder: Path) -> list[Path]:
    """Return the sound files below the classes' folders, in order.

    Raises:
        UserError: if the folder is missing, or there are not two classes with sound files in them.
        PermissionError: naming a folder that may not be read.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected {folder}/CLASS/TRACK.wav (or flac, ogg, mp3)")
    tracks = [path for path in find_sounds(folder)[0] if path.parent != folder]
    names = sorted({path.relative_to(folder).parts[0] for path in tracks})
    if len(names) < 2:
        raise UserError(
            f"{folder}: found sound files of {', '.join(names) or 'no class'}, expected at least two classes, each a "
            "folder of sound files"
        )
    return tracks


def read_headers(files: list[Path]) -> list[Track]:
    """Read how long each track claims to be, or why it cannot be opened: a folder of mistakes is refused in seconds."""
    progress = tqdm(total=len(files), desc="headers", unit="track", disable=None)
    with progress:
        headers = []
        for header in tasks.on_threads(read_header, [(AUDIO, str(file.relative_to(AUDIO))) for file in files]):
            headers.append(header)
            progress.update()
    return sorted(headers)


def refuse(unusable: list[Track], n: int, params: Params) -> None:
    """Stop if there are tracks that cannot be used and `audio.on_error` does not say to go on.

    Raises:
        UserError: naming each and why.
    """
    if unusable and params.audio.on_error == "fail":
        problems = "; ".join(f"{AUDIO / track.file} {track.problem}" for track in sorted(unusable))
        raise UserError(
            f"{len(unusable)} of {n} tracks cannot be used: {problems}; mend or remove them, "
            "or leave them out with -S audio.on_error=skip"
        )


def pieces_of(files: list[str], sample_rate: int, names: tuple[str, ...]) -> list[Piece]:
    """Cut the tracks into pieces; one track more or less changes no other piece than its own.

    A piece is named by a fingerprint of its tracks' names, sizes and times and of the front end's settings.
    """
    made_by = [settings(name, SHAPES[name], sample_rate) for name in names]
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
    """Return a track's size and time; zeros where a link leads nowhere, which its line of tracks.csv will say."""
    try:
        state = track.stat()
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns


def tracks_of(piece: Piece) -> list[Track]:
    """Return a piece's lines of tracks.csv if it stands, whole: a machine that goes down may leave less."""
    try:
        tracks = checked(TypeAdapter(list[Track]), piece.done())
        sizes = {name: piece.numbers(name).stat().st_size for name in piece.representations}
    except (UserError, OSError):
        return []
    clips = sum(track.clips for track in tracks)
    return tracks if all(size == clips * prod(SHAPES[name]) * 4 for name, size in sizes.items()) else []


def analyse_all(pieces: list[Piece], seconds: dict[str, float], scheduler: str | None) -> None:
    """Analyse the pieces that do not stand yet; `seconds` says how long each track is.

    A cluster's workers read the songs and write the pieces at the same paths.
    """
    from threadpoolctl import threadpool_limits

    PIECES.mkdir(parents=True, exist_ok=True)
    todo = [piece for piece in pieces if not tracks_of(piece)]
    standing = sum(seconds.values()) - sum(seconds[file] for piece in todo for file in piece.files)
    if standing:
        print(f"features: goes on where it stopped: {standing / 60:.1f} minutes of music stand")
    address = tasks.cluster_address(scheduler)
    progress = tqdm(None, "features", sum(seconds.values()) / 60, disable=None, bar_format=BAR, initial=standing / 60)
    # One thread a core works through the tracks: threads of the linear algebra would only get in their way.
    with progress, threadpool_limits(1):
        for files in tasks.on_cluster(analyse, todo, address) if address else tasks.on_threads(analyse, todo):
            progress.update(sum(seconds[file] for file in files) / 60)


def assemble(tracks: list[Track], pieces: list[Piece], folder: Path) -> None:
    """Put the pieces together as X.npy, labels.npy and groups.npy of each representation.

    Raises:
        UserError: if no track can be used.
    """
    counts = [track.clips for track in tracks]
    if not any(counts):
        raise UserError(f"{AUDIO}: none of {len(tracks)} tracks can be used; -S audio.on_error=fail says why")
    text = np.array([track.label for track in tracks]).dtype
    for representation in pieces[0].representations:
        place = folder / representation
        place.mkdir()
        X = (piece.numbers(representation).read_bytes() for piece in pieces)
        stream_array(place / "X.npy", np.float32, (sum(counts), *SHAPES[representation]), X)
        labels = (np.full(track.clips, track.label, text).tobytes() for track in tracks)
        stream_array(place / "labels.npy", text, (sum(counts),), labels)
        write_array(place / "groups.npy", np.repeat(np.arange(len(tracks), dtype=np.int32), counts))


if __name__ == "__main__":
    from stages.features import main  # by its own name, under which a cluster's workers can import what it sends

    run_stage(main)
