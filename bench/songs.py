"""The recipe for real music beside ten lines of librosa and a support vector machine, on songs of your own.

The songs are those that `features` has analysed at 22,050 Hz, in data/features. librosa makes 86 numbers of each of
their seconds: means and deviations of 20 MFCCs, 12 chroma bins, 7 contrast bands, centroid, bandwidth, rolloff and
zero crossings. In a clone of HEAD, for each `split_seed` from 0, the pipeline learns our representations by the recipe;
librosa's numbers go through its baselines, whose `svm rbf` is scikit-learn's with standardized columns. Both see the
same split. Writes bench/results/songs.json.

    .ci/install bench/requirements.txt requirements-torch.txt && python -m bench.songs    (minutes a split)
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # a worker a core: no threads of the linear algebra

import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from shutil import copyfile, copytree
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from bench.recipes import run
from stages.audio.decode import read_blocks, windows
from stages.audio.ffmpeg import open_sound
from stages.audio.front_end import FRONT_ENDS
from stages.audio.silence import is_silent
from stages.common.files import AUDIO, EVALUATED, FEATURES, SOUND, TABLE, UserError, read_csv, read_json
from stages.common.running import run_script
from stages.common.writing import write_json
from stages.features import COLUMNS

RESULTS = Path("bench/results/songs.json")
RATE = 22050  # Hz
SPLITS = 8
NAMES = sorted(FRONT_ENDS.keys() - {"mfccs"}, reverse=True)
RECIPE = [
    f"audio.sample_rate={RATE}",
    f"representations=[{','.join(NAMES)}]",
    "network={timbre: mlp, melgrams: cnn}",
    "optimizer=AdamW",
    "lr=0.001",
    "schedule=cosine",
    "dropout=0.3",
    "runs=2",
    "snapshots=last",
    "model=all",
]
PEER = ["representations=[librosa]", "epochs=1", "runs=1"]  # its baselines alone count
JOINT = " + ".join(sorted(NAMES))  # what the recipe's model is called
OURS, THEIRS, AHEAD = "the recipe", "librosa and a support vector machine", "ahead, split by split"


class Song(NamedTuple):
    """A line of tracks.csv."""

    file: str
    genre: str
    clips: int


def main() -> None:
    """Measure and write."""
    table = read_csv(FEATURES / TABLE, dict.fromkeys(COLUMNS, str))
    files, genres, counts = (COLUMNS.index(name) for name in ("file", "class", "clips"))
    songs = [Song(row[files], row[genres], int(row[counts])) for row in table if int(row[counts])]
    if read_json(FEATURES / SOUND)["sample_rate"] != RATE:
        raise UserError(f"{FEATURES}: expected songs at {RATE} Hz; run the recipe for real music in the README first")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        clone = Path(place) / "clone"
        run(Path.cwd(), "git", "clone", "--quiet", ".", str(clone))
        data = clone / "data" / "songs"
        for name in NAMES:
            copytree(FEATURES / name, data / name)
        copytree(FEATURES / NAMES[0], data / "librosa")
        copyfile(FEATURES / SOUND, data / SOUND)
        np.save(data / "librosa" / "X.npy", numbers_of(songs))
        found = [measure(clone, seed) for seed in tqdm(range(SPLITS), "splits", disable=None)]
        groups = len(np.unique(np.load(data / "librosa" / "groups.npy")))
    about = {"classes": len({song.genre for song in songs}), "songs": len(songs), "groups": groups, "splits": SPLITS}
    about |= {"seconds": sum(song.clips for song in songs), "recipe": RECIPE}
    scores = {who: {key: spread([each[who][key] for each in found]) for key in found[0][who]} for who in found[0]}
    write_json(RESULTS, about | {"scores": scores})
    print(f"songs: {RESULTS}")


def measure(clone: Path, seed: int) -> dict[str, dict[str, float]]:
    """Return the scores of both on the test set of one split."""
    ours = evaluated(clone, [*RECIPE, f"split_seed={seed}"])[JOINT]
    theirs = evaluated(clone, [*PEER, f"split_seed={seed}"])["librosa"]["baselines"]["svm_rbf"]
    scores = {
        who: {"second": each["f1_macro"], "song": each["track"]["f1_macro"]}
        for who, each in ((OURS, ours), (THEIRS, theirs))
    }
    scores[OURS]["calibration"] = ours["expected_calibration_error"]
    return scores | {AHEAD: {key: scores[OURS][key] - scores[THEIRS][key] for key in ("second", "song")}}


def evaluated(clone: Path, settings: list[str]) -> dict[str, Any]:
    """Return metrics/evaluate.json of an experiment."""
    run(clone, "git", "checkout", "--quiet", ".")
    asked = [word for setting in ["dataset=data/songs", *settings] for word in ("-S", setting)]
    run(clone, "dvc", "exp", "run", *asked)
    return read_json(clone / EVALUATED)


def spread(values: list[float]) -> dict[str, float]:
    """Return mean and standard deviation."""
    return {"mean": statistics.mean(values), "std": statistics.stdev(values) if len(values) > 1 else 0.0}


def numbers_of(songs: list[Song]) -> np.ndarray:
    """Return librosa's numbers of the songs' samples, shape (n, 86), in the order of data/features."""
    with ProcessPoolExecutor() as pool:
        of_songs = pool.map(of_song, [song.file for song in songs])
        found = list(tqdm(of_songs, "librosa", len(songs), disable=None))
    for song, own in zip(songs, found, strict=True):
        if len(own) != song.clips:
            raise UserError(f"{song.file}: found {len(own)} samples, expected {song.clips}; run `dvc repro`")
    return np.concatenate(found).astype(np.float32)


def of_song(file: str) -> np.ndarray:
    """Return librosa's numbers of a song's seconds that are not silent."""
    with open_sound(AUDIO / file) as sound:
        clips = [
            clip
            for some in windows(read_blocks(sound.pieces(), RATE), RATE, RATE, keep_rest=False)
            for clip in some[~is_silent(some)]
        ]
    return np.array([of_clip(np.asarray(clip, np.float32)) for clip in clips])


def of_clip(y: np.ndarray) -> np.ndarray:
    """Return librosa's numbers of a second, shape (86,)."""
    import librosa.feature as f

    rows = [
        f.mfcc(y=y, sr=RATE, n_mfcc=20),
        f.chroma_stft(y=y, sr=RATE),
        f.spectral_contrast(y=y, sr=RATE),
        f.spectral_centroid(y=y, sr=RATE),
        f.spectral_bandwidth(y=y, sr=RATE),
        f.spectral_rolloff(y=y, sr=RATE),
        f.zero_crossing_rate(y),
    ]
    table = np.concatenate(rows)
    return np.concatenate([table.mean(axis=1), table.std(axis=1)])


if __name__ == "__main__":
    run_script(main)
