"""From sound files to features, against pyAudioAnalysis and librosa: the same clips from the same files, on two cores.

The peers decode and resample with `librosa.load` and take each clip by their own calls, in two processes; this project
does what its stage `features` does, in two as well. Songs are 64 s of the demo corpus each: WAV as in GTZAN (22,050 Hz,
mono) and as on a CD, OGG and MP3 as they are sold, M4A, which the peers do not read, and Opus. Median of the rounds, in
seconds of music a second. Beside it what `predict` makes of the same songs with the best model of `make repro`, in two
processes. Prints a table and writes bench/results/front_end.json.

    .ci/install bench/requirements.txt requirements-torch.txt && python -m bench.front_end        (about 5 minutes)
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # two workers: no threads of the linear algebra

import statistics
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import av
import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from stages import demo
from stages.audio.decode import read_blocks, to_clips
from stages.audio.ffmpeg import open_sound
from stages.audio.front_end import FRONT_ENDS, SAMPLE_RATE
from stages.audio.tracks import Piece, Track, analyse
from stages.common.files import read_json
from stages.common.running import run_script
from stages.common.writing import write_json
from stages.listening.listener import Listener, choose_card
from stages.listening.several import listen_to_all

RESULTS = Path("bench/results/front_end.json")
FORMATS = {  # suffix, sampling rate, channels
    "wav, 22 kHz mono": ("wav", 22050, 1),
    "wav, 44 kHz stereo": ("wav", 44100, 2),
    "ogg, 44 kHz stereo": ("ogg", 44100, 2),
    "mp3, 44 kHz stereo": ("mp3", 44100, 2),
    "m4a, 44 kHz stereo": ("m4a", 44100, 2),
    "opus, 48 kHz stereo": ("opus", 48000, 2),
}
CODECS = {"m4a": "aac", "opus": "libopus"}  # which libsndfile does not write, or not as others do
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
            stereo = np.stack([sound, 0.8 * sound][:channels], axis=1)
            (write_by_ffmpeg if suffix in CODECS else write_by_libsndfile)(songs[name][-1], stereo, rate)
    return songs


def write_by_libsndfile(path: Path, sound: np.ndarray, rate: int) -> None:
    """Write a sound, shape (n, channels)."""
    with soundfile.SoundFile(path, "w", rate, sound.shape[1]) as file:
        for start in range(0, len(sound), rate):  # in pieces: libsndfile's OGG encoder fails on long ones
            file.write(sound[start : start + rate])


def write_by_ffmpeg(path: Path, sound: np.ndarray, rate: int) -> None:
    """Write a sound, shape (n, 2)."""
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T), "fltp", "stereo")
    frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[path.suffix[1:]], rate=rate, layout="stereo")
        stream.bit_rate = 160_000
        container.mux([*stream.encode(frame), *stream.encode(None)])


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
    place = path.with_name(f"{path.stem} {os.getpid()}")
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
    with open_sound(path) as opened:  # at its own rate there is nothing to resample
        rate = opened.rate
        sound = np.concatenate(list(read_blocks(opened.pieces(), rate)))
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
    ):
        songs = write_songs(Path(folder))
        for work in (peers, ours):  # untimed: imports and what numba compiles
            list(processes.map(work, songs["wav, 22 kHz mono"]))
        result = {}
        for name in tqdm(FORMATS, "features", disable=None):
            rounds = [
                (
                    None if "m4a" in name else timed(processes.map, peers, songs[name]),
                    timed(processes.map, ours, TIMES * songs[name]),
                    predicted(listener, TIMES * songs[name]),
                )
                for _ in range(ROUNDS)
            ]
            shares = [parts(path) for path in songs[name]]
            seconds = {part: sum(share[part] for share in shares) for part in shares[0]}
            read = [(theirs, mine) for theirs, mine, _ in rounds if theirs]
            result[name] = {
                "pyAudioAnalysis and librosa": statistics.median(theirs for theirs, _ in read) if read else None,
                "ours": statistics.median(mine for _, mine, _ in rounds),
                "ratio": statistics.median(mine / theirs for theirs, mine in read) if read else None,
                "predict": statistics.median(heard for _, _, heard in rounds),
                "predict_to_ours": statistics.median(heard / mine for _, mine, heard in rounds),
                "shares": {part: value / sum(seconds.values()) for part, value in seconds.items()},
            }
    for name, row in result.items():
        print(
            f"{name:19}: peers {row['pyAudioAnalysis and librosa'] or 0:7.0f} x real time, ours {row['ours']:7.0f} x, "
            f"ratio {row['ratio'] or 0:5.1f}; predict {row['predict_to_ours']:.2f} of ours; of ours "
            + ", ".join(f"{k} {v:.0%}" for k, v in row["shares"].items())
        )
    write_json(RESULTS, result)


if __name__ == "__main__":
    run_script(main)
