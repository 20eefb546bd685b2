"""features: a folder of songs becomes a data set, on the cores of this machine or on a Dask cluster.

Reads data/audio/CLASS/**/TRACK.{wav,flac,ogg,mp3}; writes data/features/{mfccs,melgrams}/{X,labels,groups}.npy in the
order of the files' names, tracks.csv, and audio.json, from which the model's card knows the sampling rate. The track is
the group, so that no split cuts it in two; its last part shorter than a second is dropped. Neither a track nor the data
set need fit into memory.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from stages.arrays import write_array
from stages.audio.decode import SUFFIXES, find_sounds, open_sound, read_blocks, why_unusable, windows
from stages.audio.front_end import FRONT_ENDS, SHAPES
from stages.files import FEATURES, UserError
from stages.params import load_params
from stages.running import run_stage
from stages.writing import replacing_folder, write_csv, write_json

AUDIO = Path("data/audio")
CONNECT_SECONDS = 10  # to wait for a Dask scheduler to answer


class Track(NamedTuple):
    """A line of tracks.csv; `problem` says why a track is not in the data set."""

    file: str
    label: str
    seconds: float
    clips: int
    rate: int
    problem: str


def main() -> None:
    """Analyse every track, put the arrays together, and replace data/features as a whole."""
    audio = load_params().audio
    files = find_tracks(AUDIO)
    with replacing_folder(FEATURES) as folder:
        pieces = folder / "pieces"
        pieces.mkdir()
        tracks = analyse_all(files, pieces, audio.sample_rate, audio.scheduler)
        problems = [f"{AUDIO / track.file} {track.problem}" for track in tracks if track.problem]
        if problems and audio.on_error == "fail":
            raise UserError(
                f"{len(problems)} of {len(tracks)} tracks cannot be used: {'; '.join(problems)}; mend or remove them, "
                "or leave them out with -S audio.on_error=skip"
            )
        assemble(tracks, pieces, folder)
        shutil.rmtree(pieces)
        write_json(folder / "audio.json", {"sample_rate": audio.sample_rate})
        rows = [track._replace(seconds=round(track.seconds, 3)) for track in tracks]
        write_csv(folder / "tracks.csv", ["file", "class", "seconds", "clips", "rate", "problem"], rows)
    for problem in problems:
        print(f"features: left out: {problem}")
    used = [track for track in tracks if not track.problem]
    print(f"features: {sum(track.clips for track in used)} samples of {len(used)} tracks in {FEATURES}")


def find_tracks(folder: Path) -> list[Path]:
    """Return the sound files below the classes' folders, in order.

    Raises:
        UserError: if the folder is missing, or there are not two classes with sound files in them.
        PermissionError: naming a folder that may not be read.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected {folder}/CLASS/TRACK.wav (or flac, ogg, mp3)")
    tracks = [path for path in find_sounds(folder) if path.parent != folder]
    names = sorted({path.relative_to(folder).parts[0] for path in tracks})
    if len(names) < 2:
        raise UserError(
            f"{folder}: found sound files of {', '.join(names) or 'no class'}, expected at least two classes, each a "
            f"folder of {', '.join(SUFFIXES)}"
        )
    return tracks


def analyse_all(files: list[Path], pieces: Path, sample_rate: int, scheduler: str | None) -> list[Track]:
    """Analyse the files as one Dask graph, a task a track: on this machine's cores, or on the cluster at `scheduler`.

    `scheduler` may also come from DASK_SCHEDULER_ADDRESS, as Dask has it. The cluster's workers read the songs and
    write the pieces at the same paths.
    """
    import dask
    from threadpoolctl import threadpool_limits

    task = dask.delayed(analyse, pure=False)
    tasks = [
        task(file.resolve(), file.relative_to(AUDIO), pieces.resolve() / f"{i:06}", sample_rate)
        for i, file in enumerate(files)
    ]
    address = scheduler or dask.config.get("scheduler-address", None)
    minutes = 0.0
    with tqdm(total=len(tasks), desc="features", unit="track", disable=None) as progress:

        def done(track: Track) -> None:
            nonlocal minutes
            minutes += track.seconds / 60
            progress.set_postfix_str(f"{minutes:.1f} minutes of music", refresh=False)
            progress.update()

        if address:
            return on_cluster(tasks, address, done)
        # One thread a core works through the tracks: threads of the linear algebra would only get in their way.
        with threadpool_limits(1), dask.callbacks.Callback(posttask=lambda _, track, *rest: done(track)):
            return list(dask.compute(*tasks, scheduler="threads", num_workers=len(os.sched_getaffinity(0))))


def on_cluster(tasks: list, address: str, done: Callable[[Track], None]) -> list[Track]:
    """Run the tasks on the Dask cluster at `address`; those of a worker that dies run again on another."""
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise UserError("a Dask cluster needs the package distributed: pip install distributed") from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, RuntimeError, TypeError, ValueError) as error:  # the middle two: amiss TLS settings
        raise UserError(
            f"{address}: found no Dask scheduler ({error}); start one with: dask scheduler, and the same TLS settings"
        ) from None
    with client:
        tqdm.write(f"features: {len(client.scheduler_info()['workers'])} workers at {address}")
        futures = client.compute(tasks, retries=3)
        try:
            for future in as_completed(futures):
                done(future.result())
        except (ImportError, KilledWorker, RuntimeError) as error:
            raise UserError(
                f"{address}: the cluster could not run the tasks ({' '.join(str(error).split())}); start its scheduler "
                "and its workers in a checkout of this repository, with PYTHONPATH=. and the same versions as here"
            ) from None
        return client.gather(futures)


def analyse(path: Path, name: Path, piece: Path, sample_rate: int) -> Track:
    """Write a track's features to PIECE.REPRESENTATION as they come, raw, and return its line of tracks.csv."""
    use_one_thread()
    clips, rate, samples = 0, 0, []
    try:
        with ExitStack() as stack:
            files = {each: stack.enter_context(Path(f"{piece}.{each}").open("wb")) for each in FRONT_ENDS}
            sound = stack.enter_context(open_sound(path))
            rate = sound.samplerate
            blocks = (samples.append(len(block)) or block for block in read_blocks(sound, sample_rate))
            for heard in windows(blocks, sample_rate, hop=sample_rate, keep_rest=False):
                for representation, front_end in FRONT_ENDS.items():
                    files[representation].write(front_end(heard).tobytes())
                clips += len(heard)
        problem = "" if clips else "is shorter than a second"
    except Exception as error:  # whatever is wrong with one track, the others go on
        problem, clips = why_unusable(error), 0
    return Track(str(name), name.parts[0], sum(samples) / sample_rate, clips, rate, problem)


@cache
def use_one_thread() -> None:
    """Keep linear algebra to one thread in this process, a cluster's worker too: other threads, other last bits."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def assemble(tracks: list[Track], pieces: Path, folder: Path) -> None:
    """Put the tracks' pieces together as X.npy, labels.npy and groups.npy of each representation."""
    counts = [track.clips for track in tracks]
    if not any(counts):
        raise UserError(f"{AUDIO}: none of {len(tracks)} tracks can be used; -S audio.on_error=fail says why")
    for representation, shape in SHAPES.items():
        place = folder / representation
        place.mkdir()
        X = np.lib.format.open_memmap(place / "X.npy", "w+", np.float32, (sum(counts), *shape))
        start = 0
        for i, count in enumerate(counts):
            if count:
                piece = np.fromfile(pieces / f"{i:06}.{representation}", np.float32)
                X[start : start + count] = piece.reshape(count, *shape)
                start += count
        X.flush()
        write_array(place / "labels.npy", np.repeat([track.label for track in tracks], counts))
        write_array(place / "groups.npy", np.repeat([track.file for track in tracks], counts))


if __name__ == "__main__":
    from stages.features import main  # by its own name, under which a cluster's workers can import what it sends

    run_stage(main)
