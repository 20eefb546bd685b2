"""demo: compose, render and analyse the demo corpus, the data set that is always there.

168 tracks x 8 s x 4 genres = 5376 one-second samples, so that 3200 / 800 / 1376 comes out exactly with no track in two
parts. Writes data/demo/{mfccs,melgrams}/{X,labels,groups}.npy, audio.json and two tracks a genre to listen to.
"""

import stages  # isort: skip # noqa: F401 # stops a Python without the packages, before NumPy does with a traceback
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from stages.arrays.npy import write_array
from stages.audio.decode import to_clips
from stages.audio.front_end import COURSE, SAMPLE_RATE
from stages.common.files import SOUND
from stages.common.params import asks_for, load_params
from stages.common.records import Sound
from stages.common.running import run_stage
from stages.common.tasks import cores, on_processes
from stages.common.writing import replacing_folder, write_nothing
from stages.corpus.composer import compose
from stages.corpus.styles import GENRES
from stages.corpus.synth import RATE, render

FOLDER = Path("data/demo")
SEED = 1
TRACKS = 168  # a genre
SECONDS = 8  # a track
LISTEN = 2  # tracks a genre that are kept as sound


def sound(genre: str, index: int) -> np.ndarray:
    """Return one track as mono int16 at 16 kHz, shape (128000,)."""
    return render(compose(genre, index, SEED, SECONDS), SECONDS)


def analyse(numbered: tuple[int, tuple[str, int]]) -> tuple[int, dict[str, np.ndarray]]:
    """Return a track's number and every representation of it, 8 samples each: computed in float64, kept as float32.

    Float64 differs between processors in its last bits, which the rounding takes away.
    """
    number, track = numbered
    clips = to_clips(sound(*track) / 32768, RATE, SAMPLE_RATE)
    return number, {name: front_end(clips).astype(np.float32) for name, front_end in COURSE.items()}


def write_flac(path: Path, samples: np.ndarray) -> None:
    """Write a track, shape (n,), int16, so that it has the same bytes whenever it is written."""
    import av

    frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
    frame.rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    with av.open(str(path), "w", format="flac") as container:
        container.flags |= av.container.Flags.bitexact.value
        stream = container.add_stream("flac", rate=RATE, layout="mono", format="s16")
        container.mux([*stream.encode(frame), *stream.encode(None)])


def main() -> None:
    """Make the corpus with one process a core."""
    if not asks_for(load_params(), FOLDER):
        write_nothing(FOLDER)
        return
    tracks = [(genre, index) for genre in GENRES for index in range(TRACKS)]
    # The arrays are small: threads of the linear algebra in two processes would only get in each other's way.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"
    with replacing_folder(FOLDER) as folder:
        results = on_processes(analyse, list(enumerate(tracks)), cores(), ["scipy.signal", "stages.corpus.composer"])
        done = dict(tqdm(results, "demo", len(tracks), unit="track", disable=None))
        features = [done[i] for i in range(len(tracks))]
        labels = np.repeat([genre for genre, _ in tracks], SECONDS)
        groups = np.repeat([f"{genre}_{index:03}" for genre, index in tracks], SECONDS)
        for representation in COURSE:
            X = np.concatenate([feature[representation] for feature in features])
            for name, array in {"X": X, "labels": labels, "groups": groups}.items():
                write_array(folder / representation / f"{name}.npy", array)
        Sound(sample_rate=SAMPLE_RATE).write(folder / SOUND)
        (folder / "listen").mkdir()
        for genre in GENRES:
            for index in range(LISTEN):
                write_flac(folder / "listen" / f"{genre}_{index:03}.flac", sound(genre, index))
    print(f"demo: {len(labels)} samples of {len(tracks)} tracks in {FOLDER}")


if __name__ == "__main__":
    from stages.demo import main  # by its own name, under which other processes find what they are to call

    run_stage(main)
