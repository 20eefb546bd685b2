"""Fuzz: whatever stands in a file, each reader succeeds or says one line; `make fuzz` tries for longer.

A file is made from a valid one by changes that break formats: bytes flipped, cut out, doubled, numbers put in their
place, or from nothing but random bytes.
"""

import contextlib
import os
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
from audio.written import KINDS, write
from conftest import ROOT, make_arrays, save_arrays
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from stages.arrays.dataset import load_dataset
from stages.arrays.npy import ArrayFile
from stages.audio.container import DecodeError
from stages.audio.decode import read_blocks, windows
from stages.audio.ffmpeg import open_sound
from stages.audio.library import read_table
from stages.common.files import UserError, read_csv, read_json
from stages.common.params import load_params
from stages.common.records import Card, Description, History, read_by_name
from stages.common.results import Baselines, Judgement, Selection, Timing
from stages.common.tensors import read_tensors

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))  # of each reader
HOW = settings(
    max_examples=EXAMPLES,
    suppress_health_check=list(HealthCheck),
    derandomize="FUZZ_EXAMPLES" not in os.environ,  # the same ones in every ordinary run of the tests
)
CPU_SECONDS, MOST_MIB = 20, 300  # that one file may take

NUMBERS = [
    b"-1",
    b"0",
    b"1e999",
    b"NaN",
    b"99999999999999999999",
    b"1" * 5000,
    b"null",
    b"{}",
    b"[[",
    b'"',
    b"\xff\xfe",
]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "double", "put", "over", "end"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 64),
        st.sampled_from([*NUMBERS, b"\x00" * 8, b"\xff" * 8, b"\x7f\xff\xff\xff", b"&a [*a,*a]", b"!!int x"]),
    ),
    min_size=1,
    max_size=6,
)


def change(content: bytes, changes) -> bytes:
    """Return content changed in these ways, one after the other."""
    for how, where, length, piece in changes:
        at = int(where * len(content))
        if how == "flip":
            content = (
                content[:at] + bytes(byte ^ (1 << length % 8) for byte in content[at : at + 1]) + content[at + 1 :]
            )
        elif how == "cut":
            content = content[:at] + content[at + length :]
        elif how == "double":
            content = content[: at + length] + content[at:]
        elif how == "put":
            content = content[:at] + piece + content[at:]
        elif how == "over":
            content = content[:at] + piece + content[at + len(piece) :]
        else:
            content = content[:at]
    return content


def npy(array):
    def make(path):
        with path.open("wb") as file:
            np.save(file, array)

    return make


def audio(kind):
    rate = KINDS[kind][2]
    return lambda path: write(path, np.random.default_rng(0).uniform(-0.5, 0.5, rate), kind)


def songs(path):
    rows = ("file,class,group,part", 'folk/ä.mp3,"a, b",x,train', "b.wav,c,,val", "d.wav,c,x,test")
    path.write_text("\n".join([*rows, ""]), encoding="utf-8")


def committed(name):
    return lambda path: path.write_bytes((ROOT / name).read_bytes())


def hear(path):
    with open_sound(path) as sound:
        clips = sum(len(clips) for clips in windows(read_blocks(sound.pieces(), 8000), 8000, 8000))
        return clips, sound.problem()


def read_array_whole(path):
    return list(ArrayFile(path).blocks())


READERS = {
    "parameters": (committed("params.yaml"), load_params),
    "array of numbers": (npy(make_arrays()[0]), read_array_whole),
    "array of names": (npy(make_arrays()[1]), read_array_whole),
    "tensors": (lambda path: path.write_bytes(save({"x": np.eye(5)}, {"fingerprint": "f"})), None),
    "selection": (committed("metrics/select.json"), Selection.read),
    "judgement": (committed("metrics/evaluate.json"), lambda path: read_by_name(Judgement, path)),
    "timing": (committed("metrics/train_cpu.json"), Timing.read),
    "description": (committed("metrics/select.json"), Description.read),
    "history": (committed("metrics/select.json"), History.read),
    "card": (committed("metrics/select.json"), Card.read),
    "baselines": (committed("metrics/select.json"), Baselines.read),
    "json": (committed("metrics/plots/f1.json"), read_json),
    "table": (committed("metrics/confusion/mfccs.csv"), None),
    "songs": (songs, lambda path: read_table(path, ["folk/ä.mp3", "b.wav"])),
}
READERS["tensors"] = (READERS["tensors"][0], lambda path: read_tensors(path, "np", "f"))
READERS["table"] = (
    READERS["table"][0],
    lambda path: list(read_csv(path, {"actual": str, "predicted": str, "count": int})),
)
SOUNDS = (
    "a.wav",
    "a.flac",
    "a.ogg",
    "a.mp3",
    "a.aiff",
    "a.m4a",
    "alac.m4a",
    "a.webm",
    "a.wma",
    "a.opus",
    "a.aac",
    "a.wv",
)
READERS |= {kind: (audio(kind), hear) for kind in SOUNDS}


def used() -> tuple[float, float]:
    """Return the CPU seconds and the largest resident set (MiB) of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / (2**10 if sys.platform == "linux" else 2**20)


@pytest.mark.parametrize("reader", READERS)
def test_it_reads_or_says_one_line(reader, tmp_path):
    make, read = READERS[reader]
    path = tmp_path / "file"
    make(path)
    valid = path.read_bytes()

    @HOW
    @given(st.one_of(CHANGES.map(lambda changes: change(valid, changes)), st.binary(max_size=300)))
    def attack(content):
        path.write_bytes(content)
        seconds, mib = used()
        try:
            read(path)
        except UserError as error:
            assert "\n" not in str(error)
            assert str(path) in str(error)
        except (DecodeError, OSError):
            assert reader in SOUNDS
        after, most = used()
        assert after - seconds < CPU_SECONDS
        assert most - mib < MOST_MIB

    attack()


def test_a_data_set_reads_or_says_one_line(tmp_path):
    X, labels, groups = make_arrays(n=30, shape=(3,))
    save_arrays(tmp_path / "set" / "mfccs", X, labels, groups)
    files = {path: path.read_bytes() for path in sorted((tmp_path / "set").rglob("*.npy"))}

    @HOW
    @given(st.dictionaries(st.sampled_from(sorted(files)), CHANGES, min_size=1))
    def attack(changed: dict[Path, list]):
        for path, content in files.items():
            path.write_bytes(change(content, changed[path]) if path in changed else content)
        with contextlib.suppress(UserError):
            load_dataset(tmp_path / "set")

    attack()
