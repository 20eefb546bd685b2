"""Bad input: one line says what is wrong, whatever is given to whatever command, and nothing else is harmed.

Each row of the tables is how a small project that has run is spoilt, a command, and the line that it says, … standing
for what differs from machine to machine. The command ends with that line, without a traceback, and leaves on the disk
what lay there; where no network is needed it gets by with 400 MiB and 20 seconds of the processor's time. The others
run in this process: to import PyTorch for each would take minutes.

What one reader, one writer or the lock refuses is held in the tests of each: test_fuzz, test_files, test_arrays,
test_tensors, test_records, test_params, test_writing, test_running, test_fingerprints, test_orphans; what is done with
names in test_names.
"""

import io
import json
import os
import re
import resource
import runpy
import shutil
import struct
import subprocess
import sys
import warnings
from contextlib import chdir, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import soundfile
from chain import COMMANDS
from conftest import ROOT, write_params

from stages import features
from stages.common import tasks
from stages.common.files import read_csv

CPU_SECONDS, PATIENCE = 20, 120  # the latter for those who wait, say for a pipe, which takes no time of the processor's
MIB = 400  # in all, and Python and NumPy take 80 of them
WITHOUT_A_NETWORK = ("check", "features", "prepare")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
CHAIN = ("check", "features", *map(" ".join, list(COMMANDS.values())[1:]))
ASIDE = {"data/tmp": "", "data/snapshots/cpu": "train cpu"}  # where work goes on; what training makes room for first


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small project that has run from songs of a second to scores: two classes, one representation."""
    folder = tmp_path_factory.mktemp("finished")
    with chdir(folder):
        seconds = np.arange(8000) / 8000
        for genre, pitch in (("folk", 220), ("jazz", 440)):
            for i in range(25):
                path = Path(f"data/audio/{genre}/{i}.wav")
                path.parent.mkdir(parents=True, exist_ok=True)
                noise = np.random.default_rng(i).uniform(-0.1, 0.1, len(seconds))
                soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch * seconds) + noise, 8000)
        Path("data/features").mkdir()  # else check would ask DVC
        write_params(dataset="data/features", representations=["mfccs"])
        for command in CHAIN:
            assert call(command) is None
    return folder


@pytest.fixture
def project(finished, tmp_path, monkeypatch):
    """A copy of it, the current folder."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def limited():
    """A function that runs a stage which needs no network, within limits, and returns its exit code and its stderr."""
    if sys.platform != "linux":
        pytest.skip("limits cores and memory as only Linux does")
    limits = map(str, (CPU_SECONDS, MIB * 2**20, PATIENCE))
    command = [sys.executable, ROOT / "tests" / "limited.py", *limits, *WITHOUT_A_NETWORK]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=ENVIRONMENT, text=True, **pipes) as server:

        def ask(name):
            print(json.dumps([name, str(Path.cwd())]), file=server.stdin, flush=True)
            return json.loads(server.stdout.readline())

        yield ask


def call(command, stdout=None):
    """Run a module of stages/ in this process, as `python -m` does; return the line that it ends with, or None."""
    name, *arguments = command.split()
    stdout = stdout or io.TextIOWrapper(io.BytesIO())
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout):
        patch.setattr(sys, "argv", [name, *arguments])
        patch.setattr(tasks, "cores", lambda: 1)
        try:
            with warnings.catch_warnings(action="ignore"):  # that the module has been imported before
                runpy.run_module(f"stages.{name}", run_name="__main__")
        except SystemExit as end:
            return end.code
    return None


def printed(command, encoding="utf-8"):
    """Run it where a terminal has that encoding; return what it printed."""
    stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert call(command, stdout) is None
    return stdout.buffer.getvalue().decode(encoding)


def run(command, *limits, before=(), fails=True, **variables):
    """Type a command in; return its output. On one core, since a thread asks for memory of its own."""
    if sys.platform != "linux":
        pytest.skip("limits cores and memory as only Linux does")
    name = command.split()[0]
    limits += ((resource.RLIMIT_CPU, CPU_SECONDS),)
    limits += ((resource.RLIMIT_DATA, MIB * 2**20),) if name in WITHOUT_A_NETWORK else ()

    def limit():
        os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
        for what, most in limits:
            resource.setrlimit(what, (most, most))

    done = subprocess.run(
        [*before, sys.executable, "-m", *f"stages.{command}".split()],
        env=ENVIRONMENT | variables,
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == (1 if fails else 0), done.stderr
    return done


def look(command):
    """Return all that lies in the current folder and has to stay as it is while a command runs."""
    aside = [place for place, who in ASIDE.items() if who in ("", command)]
    return {
        str(path): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else path.is_symlink() and path.readlink(),
        )
        for path in Path().rglob("*")
        if not any(path.is_relative_to(place) for place in aside)
    }


def says(line):
    """Return a pattern for a line in which … stands for anything."""
    return re.compile("error: " + "[^\n]*".join(map(re.escape, line.split("…"))))


# How a project is spoilt. Each of these returns what does it, in the current folder.


def put(path, content):
    """Write bytes or text as a file."""
    return lambda: Path(path).write_bytes(content if isinstance(content, bytes) else content.encode())


def param(line, new):
    """Put something else in the place of a line of params.yaml."""

    def spoil():
        content = Path("params.yaml").read_bytes()
        assert content.count(line.encode() + b"\n") == 1
        Path("params.yaml").write_bytes(content.replace(line.encode(), new if isinstance(new, bytes) else new.encode()))

    return spoil


def edit(path, change):
    """Change the content of a JSON file."""

    def spoil():
        content = json.loads(Path(path).read_text())
        change(content)
        Path(path).write_text(json.dumps(content))

    return spoil


def array(path, change):
    """Save another array, made of the one that was there."""
    return lambda: np.save(path, change(np.load(path)))


def cut(path):
    """Leave the first half of a file."""
    return lambda: os.truncate(path, Path(path).stat().st_size // 2)


def instead(path, make):
    """Take a file or a folder away and make something else in its place."""

    def spoil():
        if Path(path).is_dir():
            shutil.rmtree(path)
        else:
            Path(path).unlink(missing_ok=True)
        make(Path(path))

    return spoil


def pipe(path):
    """Make a pipe in the place of a file."""
    return instead(path, os.mkfifo)


def link(path, target):
    """Make a symbolic link in the place of a file."""
    return instead(path, lambda path: path.symlink_to(target))


def folder(path):
    """Make a folder with something in it in the place of a file."""
    return instead(path, lambda path: (path / "mine").mkdir(parents=True))


def file(path):
    """Make a file in the place of a folder."""
    return instead(path, lambda path: path.write_text("mine"))


def wav(rate, channels):
    """Write a WAV file of 1000 silent moments whose header claims such a sound."""
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2 % 2**32, channels * 2, 16)
    data = bytes(1000 * channels * 2)
    chunks = b"WAVEfmt \x10\0\0\0" + form + b"data" + struct.pack("<I", len(data)) + data
    return put(SONG, b"RIFF" + struct.pack("<I", len(chunks)) + chunks)


def a_label_a_sample():
    """Make a data set of 20,000 samples and as many classes."""
    np.save(X, np.zeros((20_000, 26), np.float32))
    np.save(LABELS, np.arange(20_000))
    Path(GROUPS).unlink()
    Path(TRACKS).unlink()


def claiming(shape):
    """Return a .npy file of which there is no more than the header."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header


def one_of_1e300(X):
    """Return samples of which one is beyond float32."""
    return np.where(np.arange(len(X))[:, None] == 3, np.float64(1e300), X)


SONG = "data/audio/jazz/bad.wav"
X, LABELS, GROUPS, TRACKS = (f"data/features/mfccs/{each}.npy" for each in ("X", "labels", "groups", "tracks"))
DESCRIPTION, TENSORS = "data/prepared/dataset.json", "data/prepared/mfccs.safetensors"
HISTORY, SNAPSHOTS = "data/snapshots/cpu/history.json", "data/snapshots/cpu/mfccs"
CARD, WEIGHTS = "data/model/mfccs.json", "data/model/mfccs.safetensors"
LONG, SHORT = "1" * 400, f"{'1' * 38}...{'1' * 39}"
AGAIN = "; remove it and run `dvc repro`"

PARAMETERS = {  # what check says of params.yaml
    "a day that does not exist": (param("lr: 0.05", "lr: 2021-02-31"), "not YAML: day is out of range for month"),
    "a tag that lies": (param("lr: 0.05", "lr: !!int abc"), "not YAML: invalid literal for int() with base 10: 'abc'"),
    "a tag that runs code": (param("lr: 0.05", "lr: !!python/object/apply:os.system [id]"), "not YAML: could not …"),
    "no UTF-8": (param("lr: 0.05", b"lr: \xff"), "not YAML: 'utf-8' codec can't decode byte 0xff in position …"),
    "a number beyond a double": (param("lr: 0.05", "lr: 1.0e+309"), "lr: found inf: expected a finite number"),
    "an integer beyond a double": (param("lr: 0.05", f"lr: {LONG}"), f"lr: found {SHORT}: expected a valid number"),
    "more digits than are read": (
        param("lr: 0.05", f"lr: {'1' * 5000}"),
        "not YAML: Exceeds the limit (4300 digits) …",
    ),
    "a share without end": (
        param("  train: 0.6", f"  train: {LONG}"),
        f"split.train: found {SHORT}: expected less than or equal to 1000000000000",
    ),
    "too many epochs": (
        param("epochs: 2", "epochs: 1000000000000"),
        "epochs: found 1000000000000: expected less than or equal to 1000000",
    ),
    "too many runs": (
        param("runs: 2", "runs: 1000000000000"),
        "runs: found 1000000000000: expected less than or equal to 10000",
    ),
    "a layer too large": (
        param("- 8", "- 1000000000000"),
        "hidden: found 1000000000000: expected less than or equal to 1000000000",
    ),
    "layers too large together": (
        param("- 8", "- 100000\n- 100000"),
        "hidden: found [100000, 100000]: expected at most 1,073,741,824 weights in all, not 10,000,000,000",
    ),
    "100 kB where a word was expected": (
        param("network: mlp", f"network: {'x' * 100_000}"),
        f"network: found '{'x' * 37}...{'x' * 38}': expected one of mlp, cnn, or a mapping from representation to …",
    ),
    "1 MB": (param("lr: 0.05", f"lr: 0.05 # {'x' * 2**20}"), "not YAML: found more than 1,048,576 bytes"),
    "an alias bomb": (param("lr: 0.05", "a: &a [1, 1]\nb: &b [*a, *a]"), "not YAML: found the alias *a in …"),
    "brackets without end": (param("lr: 0.05", f"lr: {'[' * 10**5}"), "not YAML: maximum recursion depth exceeded…"),
    "a key twice": (param("lr: 0.05", "lr: 0.05\nlr: 0.06"), "not YAML: found the key lr twice in …"),
    "a hundred unknown keys": (
        param("lr: 0.05", "\n".join(["lr: 0.05", *(f"k{i}: 1" for i in range(100))])),
        "k0: found 1: no such parameter; …; params.yaml: k19: found 1: …; and 80 more",
    ),
    "a pipe": (pipe("params.yaml"), "found a pipe, expected a file"),
    "what has no end": (link("params.yaml", "/dev/zero"), "found a device, expected a file"),
    "a circle of links": (link("params.yaml", "params.yaml"), "Too many levels of symbolic links"),
}

SONGS = {  # what features says of one that is bad
    "2^31 - 1 Hz": (wav(2**31 - 1, 1), "claims 1 channels at 2147483647 Hz, expected 1 to 64 at 1000 to 768000 Hz"),
    "10 MHz x 64": (wav(10**7, 64), "claims 64 channels at 10000000 Hz, expected 1 to 64 at 1000 to 768000 Hz"),
    "a channel too many": (wav(8000, 65), "claims 65 channels at 8000 Hz, expected 1 to 64 at 1000 to 768000 Hz"),
    "1 Hz": (wav(1, 1), "claims 1 channels at 1 Hz, expected 1 to 64 at 1000 to 768000 Hz"),
    "the most that is accepted": (wav(768_000, 64), "is silent throughout"),
    "a pipe": (pipe(SONG), "found a pipe, expected a file"),
    "what has no end": (link(SONG, "/dev/zero"), "found a device, expected a file"),
    "a circle of links": (link(SONG, "bad.wav"), "too many levels of symbolic links"),
    "a link that leads nowhere": (link(SONG, "nowhere.wav"), "no such file or directory"),
}

ARRAYS = {  # what prepare says
    "1e300": (
        array(X, one_of_1e300),
        f"{X}: found NaN, infinity or numbers beyond float32 in 1 of 50 samples (first: sample 3), expected finite "
        "numbers; fix or drop those samples",
    ),
    "10^12 rows": (
        put(X, claiming((10**12, 26))),
        f"{X}: truncated or not a .npy file (found 0 bytes of the 104000000000000 that float32 of shape "
        "(1000000000000, 26) takes); save it again",
    ),
    "an archive": (
        instead(X, lambda path: np.savez(path.open("wb"), x=np.eye(3))),
        f"{X}: truncated or not a .npy file (it does not start as one); save it again",
    ),
    "half of one": (cut(X), f"{X}: truncated or not a .npy file (found … bytes of the 5200 that …); save it again"),
    "a pipe": (pipe(GROUPS), f"{GROUPS}: found a pipe, expected a file"),
    "what has no end": (link(X, "/dev/zero"), f"{X}: found a device, expected a file"),
    "a label a sample": (
        a_label_a_sample,
        "data/features: labels.npy: class '0' has 1 sample, expected 3 or more, one for each part; add some or drop "
        "the class",
    ),
    "a class that is no text": (
        array(LABELS, lambda labels: np.where(labels == "jazz", "\udce9", labels)),
        r"data/features: labels.npy: found the class '\\udce9', expected a name in Unicode; rename it",
    ),
    "a folder that is no text": (
        lambda: Path("data/features/mfccs").rename(os.fsdecode(b"data/features/caf\xe9")),
        r"data/features: found the folder 'caf\\udce9', expected a name in Unicode; rename it",
    ),
    "sound of 1 Hz": (
        put("data/features/audio.json", '{"sample_rate": 1}'),
        f"data/features/audio.json: sample_rate: Input should be greater than or equal to 1000{AGAIN}",
    ),
}

IN_THE_WAY = {  # where a command writes: it and what is there
    "a folder in the place of predict's table": ("cli predict data/audio --csv data/audio", lambda: None, "data/audio"),
    "a folder in the place of the comparison": ("compare", folder("metrics/compare.json"), "metrics/compare.json"),
    "a file in the place of the prepared data": ("prepare", file("data/prepared"), "data/prepared"),
    "a file in the place of the features": ("features", file("data/features"), "data/features"),
    "a file in the place of the demo": ("demo", file("data/demo"), "data/demo"),
    "a file in the place of the models": ("select", file("data/model"), "data/model"),
}

OTHERS = {
    "a song of 1 Hz to be named": (
        wav(1, 1),
        f"cli predict {SONG}",
        f"1 of 1 songs cannot be analysed: {SONG}: {SONGS['1 Hz'][1]}",
    ),
    "a song whose name is no UTF-8": (
        put(os.fsdecode(b"data/audio/jazz/caf\xe9.wav"), "no sound"),
        "features",
        r"1 of 51 tracks cannot be used: data/audio/jazz/caf\udce9.wav is not audio that can be …",
    ),
    "half a description": (cut(DESCRIPTION), "baselines", f"{DESCRIPTION}: not JSON (…){AGAIN}"),
    "half the tensors": (cut(TENSORS), "train cpu", f"{TENSORS}: not a safetensors file (…){AGAIN}"),
    "half the history": (cut(HISTORY), "select", f"{HISTORY}: not JSON (…){AGAIN}"),
    "a history by a pipe": (pipe(HISTORY), "compare", f"{HISTORY}: found a pipe, expected a file"),
    "half the weights": (cut(WEIGHTS), "evaluate", f"{WEIGHTS}: not a safetensors file (…){AGAIN}"),
    "half a card": (cut(CARD), "cli export", f"{CARD}: not JSON (…){AGAIN}"),
    "half the scores": (cut("metrics/evaluate.json"), "report", f"metrics/evaluate.json: not JSON (…){AGAIN}"),
}


def in_the_way(place):
    """Return what is said of it."""
    return f"{place}: found a …, expected a … or nothing there; remove it or use another name"


ROWS = {f"parameters: {title}": (spoil, "check", f"params.yaml: {said}") for title, (spoil, said) in PARAMETERS.items()}
ROWS |= {
    f"song: {title}": (
        spoil,
        "features",
        f"1 of 51 tracks cannot be used: {SONG} {why}; fix or remove them, or leave them out with -S "
        "audio.on_error=skip",
    )
    for title, (spoil, why) in SONGS.items()
}
ROWS |= {f"array: {title}": (spoil, "prepare", line) for title, (spoil, line) in ARRAYS.items()}
ROWS |= {title: (spoil, command, in_the_way(place)) for title, (command, spoil, place) in IN_THE_WAY.items()}
ROWS |= OTHERS


@pytest.mark.parametrize("row", ROWS)
def test_a_command_says_one_line(project, request, row):
    spoil, command, line = ROWS[row]
    spoil()
    before = look(command)
    if command in WITHOUT_A_NETWORK:
        code, said = request.getfixturevalue("limited")(command)
        assert code == 1, said
        said = said.removesuffix("\n")
    else:
        said = call(command)
    assert says(line).fullmatch(said), said
    assert look(command) == before


DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "garbage": lambda content: b"garbage" * 99,
}
READERS = {  # of what other stages left
    DESCRIPTION: ("train cpu", "baselines", "select", "evaluate", "compare", "report"),
    TENSORS: ("train cpu", "baselines", "select", "evaluate"),
    HISTORY: ("select", "evaluate", "compare", "report"),
    SNAPSHOTS: ("select", "evaluate"),
    CARD: ("evaluate", "report", "cli predict data/audio", "cli export"),
    WEIGHTS: ("evaluate", "cli predict data/audio", "cli export"),
    "data/baselines.json": ("evaluate",),
    "metrics/select.json": ("evaluate", "report"),
    "metrics/train_cpu.json": ("compare", "report"),
    "metrics/evaluate.json": ("report",),
    "metrics/compare.json": ("report",),
    "metrics/confusion/mfccs.csv": ("report",),
    "metrics/curves/mfccs_cpu.csv": ("report",),
    **{f"metrics/plots/{name}.json": ("report",) for name in ("f1", "models", "reliability", "seconds")},
}
PAIRS = [(path, command) for path, commands in READERS.items() for command in commands]


@pytest.mark.parametrize(("path", "command"), PAIRS)
def test_every_reader_names_what_is_damaged(project, path, command):
    files = [each for each in sorted(Path(path).rglob("*")) if each.is_file()] or [Path(path)]
    contents = {file: file.read_bytes() for file in files}
    for damage in DAMAGES.values():
        for file, content in contents.items():
            file.write_bytes(damage(content))
        before = look(command)
        line = call(command)
        assert any(says(f"{file}: not …{AGAIN}").fullmatch(line) for file in files), line
        assert look(command) == before


CARDS = {  # a card that is whole but lies, and what predict says
    "columns": (lambda card: card.update(mean=[0]), f"{CARD}: mean, std: expected numbers of shape (26,){AGAIN}"),
    "no numbers": (lambda card: card.update(std=["a"] * 26), f"{CARD}: mean, std: could not convert …{AGAIN}"),
    "no deviation": (lambda card: card.update(std=[0] * 26), f"{CARD}: mean, std: expected numbers of …{AGAIN}"),
    "10^12 inputs": (lambda card: card.update(shape=[10**6] * 2), f"{CARD}: shape: … are too many{AGAIN}"),
    "10^9 units": (
        lambda card: card.update(hidden=[10**9]),
        f"{WEIGHTS}: does not fit the network that the model's card describes; run `dvc repro`",
    ),
    "sound of 1 Hz": (lambda card: card["front_end"].update(sample_rate=1), f"{CARD}: front_end.sample_rate: …{AGAIN}"),
    "another front end": (
        lambda card: card["front_end"].update(n_filters=41),
        f"{CARD}: was trained with another front end than the one here (…); run `make repro`",
    ),
}


@pytest.mark.parametrize("lie", CARDS)
def test_a_card_that_lies_is_named(project, lie):
    change, line = CARDS[lie]
    edit(CARD, change)()
    assert says(line).fullmatch(call("cli predict data/audio"))


FULL = {  # a disk that is full after so many bytes of a file, and what is being written there
    "features": (500, "…/data/tmp/features"),
    "train cpu": (500, f"{SNAPSHOTS}/run_00/epoch_00.safetensors"),
    "select": (500, "data/model"),
}


@pytest.mark.parametrize("command", FULL)
def test_what_does_not_fit_on_the_disk_is_named(project, command):
    """A limit on the size of files makes the same call fail that a full disk does."""
    most, place = FULL[command]
    before = look(command)
    said = run(command, (resource.RLIMIT_FSIZE, most)).stderr
    assert says(f"{place}: File too large; free some space and run this again").fullmatch(said.removesuffix("\n")), said
    assert look(command) == before


READ_ONLY = {  # what may not be written to, and what predict and compare say
    "metrics": ("compare", "metrics/compare.json"),
    "data": ("check", "data/tmp/lock"),
    ".": ("cli predict data/audio/jazz/0.wav --csv a.csv", "a.csv"),
}


@pytest.mark.parametrize("place", READ_ONLY)
def test_what_may_not_be_written_is_named_as_people_know_it(project, mount, place):
    command, path = READ_ONLY[place]
    before = look(command)
    said = run(command, before=mount(place, "ro")).stderr
    assert says(f"{path}: Read-only file system").fullmatch(said.removesuffix("\n")), said
    assert look(command) == before


def test_too_little_memory_is_told_before_a_library_fails(project):
    said = run("train cpu", (resource.RLIMIT_AS, 2**30)).stderr
    assert said == "error: ulimit -v: found 1048576 KiB, expected 2097152 or more, or unlimited\n"


def test_one_bad_song_does_not_stop_the_others(project):
    """All of the table's at once, and one whose name is no text."""
    before = {path: Path(path).read_bytes() for path in (X, LABELS)}
    expected = {}
    for i, (spoil, why) in enumerate(SONGS.values()):
        spoil()
        Path(f"data/audio/jazz/{i}").mkdir()
        expected[str(Path(SONG).rename(f"data/audio/jazz/{i}/bad.wav").relative_to("data/audio"))] = why
    put("data/audio/jazz/caf\udce9.wav", "no sound")()
    expected["jazz/caf\udce9.wav"] = (
        "is not audio that can be decoded (it is of no known format, or too little of it is left)"
    )
    param("  on_error: fail", "  on_error: skip")()
    said = run("features", fails=False, PYTHONIOENCODING="ascii").stdout
    for name, why in expected.items():
        assert f"features: left out: data/audio/{name} {why}\n".encode("ascii", "backslashreplace").decode() in said
    columns = dict.fromkeys(features.COLUMNS, str)
    problems = {row[0]: row[-1] for row in read_csv(Path("data/features/tracks.csv"), columns) if row[-1]}
    assert problems == expected
    assert {path: Path(path).read_bytes() for path in (X, LABELS)} == before


def test_a_song_whose_name_is_no_text_is_named_in_any_terminal_and_table(project):
    Path("data/audio/jazz/0.wav").rename("caf\udce9.wav")
    said = printed("cli predict caf\udce9.wav --csv a.csv", "ascii")
    assert said.startswith("caf\\udce9.wav: ")
    numbers = dict.fromkeys(("probability", "silent", "folk", "jazz"), float)
    (row,) = read_csv(Path("a.csv"), {"file": str, "genre": str, **numbers})
    assert row[0] == "caf\udce9.wav"


def test_what_nobody_said_of_the_arrays_is_told_as_an_assumption(project, capfd):
    told = printed("cli predict data/audio/jazz/0.wav")
    assert capfd.readouterr().err == ""
    edit(CARD, lambda card: card["data"].update(sample_rate=None))()
    assert printed("cli predict data/audio/jazz/0.wav") == told
    assert capfd.readouterr().err == (
        "predict: assumes that the mfccs were made as its own front end makes them, from sound at 8000 Hz: "
        "data/features holds no audio.json that says so\n"
    )
