"""From sound files to features, against pyAudioAnalysis and librosa: the same clips from the same files, on two cores.

The peers decode and resample with `librosa.load` and take each clip by their own calls, in two processes; this project
does what its stage `features` does, in two threads. Songs are 64 s of the demo corpus each: WAV as in GTZAN (22,050 Hz,
mono) and as on a CD, OGG and MP3 as they are sold. Median of the rounds, in seconds of music a second. Beside it what
`predict` makes of the same songs with the best model of `make repro`. Prints a table and writes
bench/results/front_end.json.

    .ci/install bench/requirements.txt requirements-torch.txt && python -m bench.front_end        (about 5 minutes)
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # two workers: no threads of the linear algebra

import statistics
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import get_ident
from time import perf_counter

import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from stages import demo
from stages.audio.decode import open_sound, read_blocks, to_clips
from stages.audio.front_end import FRONT_ENDS, SAMPLE_RATE
from stages.audio.tracks import Piece, Track, analyse
from stages.common.files import read_json
from stages.common.running import run_command
from stages.common.writing import write_json
from stages.listening.listener import Listener, choose_card, listen_to_all

RESULTS = Path("bench/results/front_end.json")
FORMATS = {  # suffix, sampling rate, channels
    "wav, 22 kHz mono": ("wav", 22050, 1),
    "wav, 44 kHz stereo": ("wav", 44100, 2),
    "ogg, 44 kHz stereo": ("ogg", 44100, 2),
    "mp3, 44 kHz stereo": ("mp3", 44100, 2),
}
SONGS = 4  # of each format: one a genre
TRACKS = 8  # of the demo corpus in a song
ROUNDS = 7
TIMES = 8  # that we go through the songs in a round: once is over too soon to be measured


def write_songs(folder: Path) -> dict[str, list[Path]]:
    """Write the songs in every format; return them by format."""
    songs: dict[str, list[Path]] = {name: [] for name in FORMATS}
    for genre in demo.GENRES:
        composed = np.concatenate([demo.sound(genre, index) for index in range(TRACKS)]) / 32768
        for name, (suffix, rate, channels) in FORMATS.items():
            sound = soxr.resample(composed, demo.RATE, rate).astype(np.float32)
            songs[name].append(folder / f"{genre}_{rate}.{suffix}")
            with soundfile.SoundFile(songs[name][-1], "w", rate, channels) as file:
                for start in range(0, len(sound), rate):  # in pieces: libsndfile's OGG encoder fails on long ones
                    piece = sound[start : start + rate]
                    file.write(np.stack([piece, 0.8 * piece][:channels], axis=1))
    return songs


def peers(path: Path) -> int:
    """Analyse a song with librosa and pyAudioAnalysis; return the number of clips."""
    import librosa
    from pyAudioAnalysis import ShortTermFeatures

    sound, _ = librosa.load(path, sr=SAMPLE_RATE)
    clips = sound[: len(sound) // SAMPLE_RATE * SAMPLE_RATE].reshape(-1, SAMPLE_RATE)
    for clip in clips:
        rows, names = ShortTermFeatures.feature_extraction(32768 * clip, SAMPLE_RATE, 400, 400, deltas=False)
        mfcc = rows[[names.index(f"mfcc_{i}") for i in range(1, 14)]]
        np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1)])
        power = librosa.feature.melspectrogram(y=clip, sr=SAMPLE_RATE, n_fft=400, hop_length=400, n_mels=128)
        librosa.power_to_db(power, ref=np.max)
    return len(clips)


def ours(path: Path) -> int:
    """Analyse a song as the stage does; return the number of clips."""
    place = path.with_name(f"{path.stem} {get_ident()}")
    piece = Piece([path.name], path.parent, place, SAMPLE_RATE, tuple(FRONT_ENDS))
    analyse(piece)
    return Track(*read_json(piece.done())[0]).clips


def predicted(listener: Listener, songs: list[Path]) -> float:
    """Return the seconds of music a second at which `predict` hears songs, side by side."""
    start = perf_counter()
    seconds = sum(len(song.starts) for _, song in listen_to_all(listener, songs))
    return seconds / (perf_counter() - start)


def parts(path: Path) -> dict[str, float]:
    """Return the seconds that decoding, resampling and the front ends take of a song, one after the other."""
    times = [perf_counter()]
    rate = soundfile.info(path).samplerate
    with open_sound(path) as opened:  # at its own rate there is nothing to resample
        sound = np.concatenate(list(read_blocks(opened, rate)))
    times.append(perf_counter())
    clips = to_clips(sound, rate, SAMPLE_RATE)
    times.append(perf_counter())
    for front_end in FRONT_ENDS.values():
        front_end(clips)
    times.append(perf_counter())
    return dict(zip(("decode", "resample", "features"), np.diff(times).tolist(), strict=True))


def timed(run: Callable[[Callable, list[Path]], Iterable[int]], work: Callable, songs: list[Path]) -> float:
    """Return the seconds of music a second at which `run` maps `work` over the songs."""
    start = perf_counter()
    clips = sum(run(work, songs))
    return clips / (perf_counter() - start)


def main() -> None:
    """Measure and write."""
    listener = Listener(choose_card(None))
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(2, get_context("spawn")) as processes,
        ThreadPoolExecutor(2) as threads,
    ):
        songs = write_songs(Path(folder))
        list(processes.map(peers, songs["wav, 22 kHz mono"]))  # untimed: imports and what numba compiles
        result = {}
        for name in tqdm(FORMATS, "features", disable=None):
            rounds = [
                (
                    timed(processes.map, peers, songs[name]),
                    timed(threads.map, ours, TIMES * songs[name]),
                    predicted(listener, TIMES * songs[name]),
                )
                for _ in range(ROUNDS)
            ]
            shares = [parts(path) for path in songs[name]]
            seconds = {part: sum(share[part] for share in shares) for part in shares[0]}
            result[name] = {
                "pyAudioAnalysis and librosa": statistics.median(theirs for theirs, _, _ in rounds),
                "ours": statistics.median(mine for _, mine, _ in rounds),
                "ratio": statistics.median(mine / theirs for theirs, mine, _ in rounds),
                "predict": statistics.median(heard for _, _, heard in rounds),
                "predict_to_ours": statistics.median(heard / mine for _, mine, heard in rounds),
                "shares": {part: value / sum(seconds.values()) for part, value in seconds.items()},
            }
    for name, row in result.items():
        print(
            f"{name:18}: peers {row['pyAudioAnalysis and librosa']:7.0f} x real time, ours {row['ours']:7.0f} x, "
            f"ratio {row['ratio']:5.1f}; predict {row['predict_to_ours']:.2f} of ours; of ours "
            + ", ".join(f"{k} {v:.0%}" for k, v in row["shares"].items())
        )
    write_json(RESULTS, result)


if __name__ == "__main__":
    run_command(main)
