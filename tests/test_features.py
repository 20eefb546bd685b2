"""features: songs to arrays, locally and on a real cluster, and every bad song named."""

import csv
import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from cluster import losing, start_cluster
from conftest import ROOT, write_params
from safetensors.torch import load_file as load_snapshot

from stages import features, prepare, select, train
from stages.arrays.dataset import load_dataset
from stages.audio import tracks
from stages.audio.decode import to_clips
from stages.audio.front_end import FRONT_ENDS, melgrams, mfccs, timbre
from stages.audio.library import Song
from stages.common.files import MODEL, TEMPORARY, UserError, read_json
from stages.listening import listener
from stages.models.network import build_network


def write_song(path, seconds=3.5, rate=8000, seed=0, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = np.random.default_rng(seed).uniform(-0.5, 0.5, (int(seconds * rate), channels))
    soundfile.write(path, sound, rate, subtype="PCM_16" if path.suffix in (".wav", ".flac") else None)


@pytest.fixture
def songs(workplace):
    """Three classes of four songs each, of several kinds, some in subfolders."""
    names = ("a.wav", "b.flac", "album one/c.wav", "naïve song.ogg")
    for i, genre in enumerate(("folk", "jazz", "soul")):
        for j, name in enumerate(names):
            write_song(features.AUDIO / genre / name, rate=(8000, 16000)[j % 2], seed=10 * i + j, channels=1 + j % 2)
    write_params(dataset="data/features", split={"train": 0.5, "val": 0.25, "test": 0.25})
    return workplace


def arrays():
    return {str(path): path.read_bytes() for path in sorted(features.FEATURES.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("cores", [1, 3])
def test_songs_become_a_data_set_in_a_fixed_order(songs, monkeypatch, cores):
    monkeypatch.setattr(features.tasks, "cores", lambda: cores)
    monkeypatch.setattr(features, "TRACKS_A_PIECE", 16 // cores)
    features.main()
    assert list(load_dataset(features.FEATURES).representations) == ["melgrams", "mfccs", "timbre"]
    X, labels, groups = (np.load(features.FEATURES / "mfccs" / f"{name}.npy") for name in ("X", "labels", "groups"))
    spectrograms = np.load(features.FEATURES / "melgrams" / "X.npy")
    assert (X.shape, X.dtype, spectrograms.shape) == ((36, 26), np.float32, (36, 21, 128))
    assert labels.tolist() == ["folk"] * 12 + ["jazz"] * 12 + ["soul"] * 12
    assert groups.tolist() == [i for i in range(12) for _ in range(3)]
    assert np.load(features.FEATURES / "mfccs" / "tracks.npy").tolist() == groups.tolist()
    sound = soundfile.read(features.AUDIO / "folk" / "a.wav")[0][:24000].reshape(3, 8000)
    np.testing.assert_allclose(X[:3], mfccs(sound), atol=1e-4)
    np.testing.assert_allclose(spectrograms[:3], melgrams(sound), atol=4e-3)
    X = np.load(features.FEATURES / "timbre" / "X.npy")
    assert (X.shape, X.dtype) == ((36, 98), np.float32)
    np.testing.assert_allclose(X[:3], timbre(sound), rtol=1e-3, atol=2e-2)
    with (features.FEATURES / "tracks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = ["a.wav", "album one/c.wav", "b.flac", "naïve song.ogg"]
    assert [row["file"] for row in rows] == [f"{genre}/{name}" for genre in ("folk", "jazz", "soul") for name in names]
    assert rows[0] == {
        "file": "folk/a.wav", "class": "folk", "group": "", "part": "",
        "copy_of": "", "seconds": "3.5", "clips": "3", "silent": "0", "rate": "8000",
        "sound": rows[0]["sound"], "problem": "",
    }  # fmt: skip
    assert {path.name for path in features.FEATURES.iterdir()} == {
        *FRONT_ENDS,
        "tracks.csv",
        "audio.json",
        "recordings.json",
    }
    before = arrays()
    features.main()
    assert arrays() == before
    prepare.main()


def test_another_sampling_rate_reaches_the_models_card_and_the_listener(songs, monkeypatch):
    changes = {"audio": {"sample_rate": 16000, "on_error": "fail"}, "epochs": 1, "runs": 1}
    write_params(dataset="data/features", split={"train": 0.5, "val": 0.25, "test": 0.25}, **changes)
    features.main()
    prepare.main()
    for device in ("cpu", "gpu"):
        monkeypatch.setattr(sys, "argv", ["train", device])
        train.main()
    select.main()
    card = read_json(MODEL / "mfccs.json")
    assert (card["front_end"]["sample_rate"], card["front_end"]["hop_length"]) == (16000, 800)
    sound = soundfile.read(features.AUDIO / "folk" / "b.flac")[0].mean(axis=1)[:48000].reshape(3, 16000)
    X, groups = (np.load(features.FEATURES / "mfccs" / f"{name}.npy") for name in ("X", "groups"))
    np.testing.assert_allclose(X[groups == 2], mfccs(sound), atol=1e-4)
    song = listener.Listener(MODEL / "mfccs.json")(features.AUDIO / "folk" / "b.flac")
    model = build_network(card["network"], tuple(card["shape"]), card["hidden"], 3, seed=0)
    model.load_state_dict(load_snapshot(MODEL / "mfccs.safetensors"))
    x = torch.tensor((mfccs(sound) - card["mean"]) / card["std"], dtype=torch.float32)
    with torch.inference_mode():
        expected = torch.softmax(model(x) / card["temperature"], dim=1).numpy()
    np.testing.assert_allclose(song.seconds[:3], expected, atol=1e-4)


BAD = {
    "text.wav": "can be decoded",
    "zero.wav": "can be decoded",
    "silent.wav": "is silent throughout",
    "short.wav": "is shorter than a second",
}


@pytest.fixture
def bad_songs(songs):
    (features.AUDIO / "jazz" / "text.wav").write_text("no sound")
    (features.AUDIO / "jazz" / "zero.wav").write_bytes(b"")
    soundfile.write(features.AUDIO / "jazz" / "silent.wav", np.zeros(20000), 8000)
    write_song(features.AUDIO / "jazz" / "short.wav", seconds=0.9)


def test_all_bad_songs_are_named_and_nothing_is_half_written(bad_songs):
    """Those whose header says so at once, before any song is heard; the others when all have been."""
    for n, names in ((16, ("text.wav", "zero.wav")), (14, ("short.wav", "silent.wav"))):
        with pytest.raises(UserError, match=rf"^2 of {n} tracks cannot be used: ") as refusal:
            features.main()
        for name in names:
            assert f"data/audio/jazz/{name} {BAD[name]}" in re.sub("is not .*? that ", "", str(refusal.value))
            (features.AUDIO / "jazz" / name).unlink()
        assert features.PIECES.exists() == (n == 14)
        assert sorted(path.name for path in Path("data").iterdir()) == (["audio", "tmp"][: 1 + (n == 14)])
    features.main()
    assert list(TEMPORARY.iterdir()) == []


def test_of_many_bad_songs_the_first_are_named(songs):
    for i in range(30):
        (features.AUDIO / "jazz" / f"bad{i:02}.wav").write_text("no sound")
    with pytest.raises(UserError, match=r"^30 of 42 .*; data/audio/jazz/bad09.wav [^;]*; and 20 more; fix or remove"):
        features.main()


def test_it_goes_on_where_it_stopped(songs, monkeypatch, capsys):
    """After a failure and a song fixed, only that song's piece is worked out anew; after another setting, all are."""
    monkeypatch.setattr(features, "TRACKS_A_PIECE", 1)
    soundfile.write(features.AUDIO / "jazz" / "a.wav", np.zeros(30000), 8000)
    heard, real = [], tracks.analyse_track
    monkeypatch.setattr(tracks, "analyse_track", lambda piece, file, raw: heard.append(file) or real(piece, file, raw))
    with pytest.raises(UserError, match=r"1 of 12 tracks cannot be used: data/audio/jazz/a\.wav is silent"):
        features.main()
    assert len(heard) == 12
    write_song(features.AUDIO / "jazz" / "a.wav", seed=99)
    killed = features.pieces_of(["folk/a.wav"], 8000, tuple(FRONT_ENDS))[0]
    killed.done().unlink()  # as a kill leaves a piece: raw samples, perhaps half, without a list
    killed.numbers("mfccs").write_bytes(b"half")
    features.main()
    assert len(heard) == 12 + 2
    assert heard.count("jazz/a.wav") == 2
    assert "features: resumes: 0.6 minutes of music are done already\n" in capsys.readouterr().out
    in_pieces = arrays()
    assert not features.PIECES.exists()
    features.main()
    assert len(heard) == 12 + 2 + 12
    assert arrays() == in_pieces
    assert "goes on" not in capsys.readouterr().out


def test_a_piece_that_is_not_whole_is_made_anew(songs):
    """As a machine that goes down leaves it: the list may be on the disk, and not all that it tells of."""
    features.PIECES.mkdir(parents=True)
    (piece,) = features.pieces_of(["folk/a.wav"], 8000, ("melgrams", "mfccs"))
    for damaged in (piece.numbers("melgrams"), piece.numbers("mfccs"), piece.done()):
        tracks.analyse(piece)
        assert [track.clips for track in features.tracks_of(piece)] == [3]
        os.truncate(damaged, damaged.stat().st_size - 4)
        assert features.tracks_of(piece) == []
        damaged.unlink()
        assert features.tracks_of(piece) == []


def test_a_pieces_name_is_of_all_that_it_is_made_from(songs):
    """A song's name, size and time, the sampling rate, the representations in their order."""
    path = features.AUDIO / "folk" / "a.wav"

    def place(file="folk/a.wav", rate=8000, names=("mfccs", "melgrams")):
        return features.pieces_of([file], rate, names)[0].place

    places = [place(), place("folk/b.flac"), place(rate=16000), place(names=("mfccs",)), place(names=("melgrams",))]
    before = path.stat()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    places.append(place())
    with path.open("ab") as file:
        file.write(b"0")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    places.append(place())
    assert len(set(places)) == len(places)
    os.truncate(path, before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert place() == places[0]


def test_pieces_do_not_shift_when_a_track_goes(workplace):
    for path in (features.AUDIO / genre / f"{i:03}.wav" for genre in ("folk", "jazz") for i in range(100)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    names = sorted(str(path.relative_to(features.AUDIO)) for path in features.AUDIO.rglob("*.wav"))
    whole = {piece.place for piece in features.pieces_of(names, 8000, ("mfccs",))}
    assert len(whole) > 5
    for gone in names[::20]:
        left = [name for name in names if name != gone]
        assert len(whole - {piece.place for piece in features.pieces_of(left, 8000, ("mfccs",))}) <= 2
    assert whole.isdisjoint(piece.place for piece in features.pieces_of(names, 16000, ("mfccs",)))
    assert whole.isdisjoint(piece.place for piece in features.pieces_of(names, 8000, ("mfccs", "melgrams")))


def test_only_the_representations_asked_for_are_made(songs):
    write_params(dataset="data/features", representations=["mfccs"])
    features.main()
    assert {path.name for path in features.FEATURES.iterdir()} == {
        "mfccs",
        "tracks.csv",
        "audio.json",
        "recordings.json",
    }
    write_params(dataset="data/features", representations=["mfccs", "wav"])
    with pytest.raises(UserError, match="representations: found wav, expected one of mfccs, melgrams"):
        features.main()


def test_a_full_disk_is_no_problem_of_a_tracks(songs, monkeypatch):
    def full(raw, samples):
        raise tracks.NotWrittenError from OSError(errno.ENOSPC, "No space left on device")

    write_params(dataset="data/features", audio={"sample_rate": 8000, "on_error": "skip"})
    monkeypatch.setattr(tracks, "write", full)
    with pytest.raises(OSError, match="No space left"):
        features.main()


def test_bad_songs_are_left_out_on_demand(bad_songs, capsys):
    write_params(dataset="data/features", audio={"sample_rate": 8000, "on_error": "skip"})
    features.main()
    said = capsys.readouterr().out
    with (features.FEATURES / "tracks.csv").open(encoding="utf-8") as file:
        bad = [row for row in csv.DictReader(file) if row["problem"]]
    problems = {Path(row["file"]).name: row["problem"] for row in bad}
    assert problems.keys() == BAD.keys()
    assert {row["clips"] for row in bad} == {"0"}
    assert {Path(row["file"]).name: row["rate"] for row in bad} == {
        "text.wav": "0", "zero.wav": "0", "silent.wav": "8000", "short.wav": "8000"
    }  # fmt: skip
    for name, reason in BAD.items():
        assert reason in problems[name]
        assert f"left out: data/audio/jazz/{name} {problems[name]}" in said
    assert np.load(features.FEATURES / "mfccs" / "X.npy").shape == (36, 26)
    assert "features: 36 samples of 12 tracks in data/features" in said


def test_a_folder_without_two_classes_is_refused(workplace):
    write_params(dataset="data/features")
    with pytest.raises(UserError, match="data/audio: no such folder"):
        features.main()
    write_song(features.AUDIO / "only" / "a.wav")
    with pytest.raises(UserError, match="found songs of only, expected at least two classes"):
        features.main()


def rows_of_tracks():
    with (features.FEATURES / "tracks.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_left_out_is_told_and_listed_behind_the_songs(songs, capfd):
    for name in ("folk/cover.jpg", "list.txt", "jazz/x.m3u", "jazz/.DS_Store"):
        (features.AUDIO / name).touch()
    write_song(features.AUDIO / "stray.wav")
    (features.AUDIO / "live").symlink_to("folk")
    features.main()
    assert capfd.readouterr().out.splitlines() == [
        "features: left out: 1 song in no class's folder: data/audio/stray.wav",
        "features: left out: 4 files that are not audio (jpg 1, m3u 1, txt 1, linked folder data/audio/live 1)",
        "features: 36 samples of 12 tracks in data/features",
    ]
    rows = rows_of_tracks()
    assert [row["file"] for row in rows[12:]] == ["stray.wav", "folk/cover.jpg", "jazz/x.m3u", "list.txt", "live"]
    assert [(row["clips"], row["silent"]) for row in rows[:12]] == [("3", "0")] * 12
    assert {(row["class"], row["clips"], row["silent"], row["rate"]) for row in rows[12:]} == {("", "0", "0", "0")}
    assert [row["problem"] for row in rows[12:]] == [
        "is in no class's folder", *["is not audio"] * 3, "is a link to a folder"
    ]  # fmt: skip


def test_silent_seconds_are_left_out_counted_and_told(songs, capsys):
    path = features.AUDIO / "jazz" / "a.wav"
    sound, rate = soundfile.read(path)
    features.main()
    whole = {name: np.load(features.FEATURES / name / "X.npy") for name in ("mfccs", "melgrams")}
    soundfile.write(path, np.concatenate([np.zeros(2 * rate), sound]), rate)
    features.main()
    assert capsys.readouterr().out.splitlines()[-1] == (
        "features: 36 samples of 12 tracks in data/features; silent seconds left out: 2"
    )
    (row,) = (row for row in rows_of_tracks() if row["silent"] != "0")
    assert (row["file"], row["seconds"], row["clips"], row["silent"]) == ("jazz/a.wav", "5.5", "3", "2")
    for name, X in whole.items():
        np.testing.assert_allclose(np.load(features.FEATURES / name / "X.npy"), X, rtol=1e-4, atol=1e-3)


def test_a_song_that_breaks_off_or_is_damaged_is_in_the_data_set_and_told(songs, capfd):
    path = features.AUDIO / "jazz" / "b.flac"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    write_song(features.AUDIO / "soul" / "long.mp3", seconds=20)
    broken = bytearray((features.AUDIO / "soul" / "long.mp3").read_bytes())
    broken[len(broken) // 2 : len(broken) // 2 + 3000] = bytes(3000)
    (features.AUDIO / "soul" / "long.mp3").write_bytes(broken[: len(broken) * 9 // 10])
    features.main()
    said = capfd.readouterr()
    assert said.err == ""
    problems = {row["file"]: (row["problem"], int(row["clips"])) for row in rows_of_tracks() if row["problem"]}
    (seconds,) = re.fullmatch(r"breaks off after (\S+) s of 3\.5 s", problems["jazz/b.flac"][0]).groups()
    assert problems["jazz/b.flac"][1] == int(float(seconds)) >= 1
    how = r"is damaged at 0:10; (\S+) s lost; breaks off after (\S+) s of 20\.0 s"
    lost, seconds = map(float, re.fullmatch(how, problems["soul/long.mp3"][0]).groups())
    assert problems["soul/long.mp3"][1] == int(seconds - lost) >= 15
    assert problems.keys() == {"jazz/b.flac", "soul/long.mp3"}
    for file, (problem, _) in problems.items():
        assert f"features: data/audio/{file} {problem}\n" in said.out


def write_table(rows, head="file,class"):
    (features.AUDIO / "tracks.csv").write_text("\n".join([head, *rows, ""]), encoding="utf-8")


def test_a_table_says_what_the_songs_are_wherever_they_lie(songs, capsys):
    """Classes across the folders, a group of two songs, one of its own; a song without a row is left out."""
    write_table(
        ["jazz/a.wav,rock,x", "folk/a.wav,rock,x", "soul/b.flac,pop,y", "folk/b.flac,pop,", "jazz/b.flac,pop,y"],
        "file,class,group",
    )
    features.main()
    rows = rows_of_tracks()
    assert [(row["file"], row["class"], row["group"]) for row in rows[:5]] == [
        ("folk/a.wav", "rock", "x"), ("folk/b.flac", "pop", ""), ("jazz/a.wav", "rock", "x"),
        ("jazz/b.flac", "pop", "y"), ("soul/b.flac", "pop", "y"),
    ]  # fmt: skip
    labels, groups = (np.load(features.FEATURES / "melgrams" / f"{name}.npy") for name in ("labels", "groups"))
    assert labels.tolist() == np.repeat(["rock", "pop", "rock", "pop", "pop"], 3).tolist()
    assert groups.tolist() == np.repeat([0, 1, 0, 3, 3], 3).tolist()
    assert np.load(features.FEATURES / "melgrams" / "tracks.npy").tolist() == np.repeat(range(5), 3).tolist()
    assert read_json(features.FEATURES / "audio.json") == {"sample_rate": 8000}
    assert {row["problem"] for row in rows[5:]} == {"is without a row in data/audio/tracks.csv"}
    assert len(rows) == 12
    assert "left out: 7 songs without a row in data/audio/tracks.csv: data/audio/folk/" in (capsys.readouterr().out)


def test_parts_in_a_table_are_the_split(songs):
    names = ("a.wav", "b.flac", "album one/c.wav", "naïve song.ogg")
    parts = dict(zip(names, ("test", "train", "val", "train"), strict=True))
    order = sorted((f"{genre}/{name}", genre, part) for genre in ("folk", "jazz") for name, part in parts.items())
    write_table([",".join(row) for row in order], "file,class,part")
    features.main()
    whole = sorted(path.name for path in features.FEATURES.iterdir())
    assert whole == ["audio.json", "recordings.json", "test", "tracks.csv", "train", "val"]
    for part in ("train", "val", "test"):
        place = features.FEATURES / part / "mfccs"
        own = [(line, file, genre) for line, (file, genre, given) in enumerate(order) if given == part]
        expected = [soundfile.read(features.AUDIO / file, always_2d=True)[0].mean(axis=1) for _, file, _ in own]
        rates = [soundfile.info(features.AUDIO / file).samplerate for _, file, _ in own]
        for file in ("groups.npy", "tracks.npy"):
            assert np.load(place / file).tolist() == np.repeat([line for line, _, _ in own], 3).tolist()
        assert np.load(place / "labels.npy").tolist() == np.repeat([genre for _, _, genre in own], 3).tolist()
        heard = [mfccs(to_clips(sound, rate, 8000)[:3]) for sound, rate in zip(expected, rates, strict=True)]
        np.testing.assert_allclose(np.load(place / "X.npy"), np.concatenate(heard), atol=0.02)
    prepare.main()
    about = read_json(Path("data/prepared/dataset.json"))
    assert about["source"]["split"] == "given"
    assert about["counts"] == {
        "train": {"folk": 6, "jazz": 6}, "val": {"folk": 3, "jazz": 3}, "test": {"folk": 3, "jazz": 3}
    }  # fmt: skip


def test_a_part_of_which_no_song_can_be_used_is_told(songs):
    write_params(dataset="data/features", audio={"sample_rate": 8000, "on_error": "skip"})
    write_table(["folk/a.wav,a,train", "jazz/a.wav,b,test", "gone.wav,b,val"], "file,class,part")
    with pytest.raises(UserError, match=r"^data/audio: none of 3 tracks is in the part val and can be used; "):
        features.main()
    assert not features.FEATURES.exists()


def test_a_row_without_a_file_is_a_problem_of_a_song(songs, capsys):
    write_table(["folk/a.wav,a", "jazz/a.wav,b", "folk/gone.wav,a"])
    with pytest.raises(UserError, match=r"^1 of 3 tracks cannot be used: data/audio/folk/gone.wav no such file"):
        features.main()
    write_params(dataset="data/features", audio={"sample_rate": 8000, "on_error": "skip"})
    features.main()
    assert "left out: data/audio/folk/gone.wav no such file or directory" in capsys.readouterr().out
    for file in ("groups.npy", "tracks.npy"):
        assert np.load(features.FEATURES / "mfccs" / file).tolist() == [0, 0, 0, 2, 2, 2]


def test_another_class_group_or_part_needs_no_new_analysis(songs, monkeypatch):
    heard, real = [], tracks.analyse_track
    monkeypatch.setattr(tracks, "analyse_track", lambda piece, file, raw: heard.append(file) or real(piece, file, raw))
    soundfile.write(features.AUDIO / "jazz" / "a.wav", np.zeros(30000), 8000)
    with pytest.raises(UserError, match="1 of 12 tracks"):
        features.main()
    assert len(heard) == 12
    names = sorted(str(path.relative_to(features.AUDIO)) for path in features.AUDIO.rglob("*.*"))
    write_table([f"{name},{'ab'[i % 2]},g{i // 2}" for i, name in enumerate(names)], "file,class,group")
    write_params(dataset="data/features", audio={"sample_rate": 8000, "on_error": "skip"})
    features.main()
    assert len(heard) == 12
    files = [row["file"] for row in rows_of_tracks() if row["clips"] == "3"]
    labels = np.load(features.FEATURES / "mfccs" / "labels.npy")
    assert labels.tolist() == np.repeat(["ab"[names.index(file) % 2] for file in files], 3).tolist()


@pytest.fixture
def cluster(songs, forked):
    """A scheduler and two workers, processes on the loopback interface: its address and the workers."""
    yield from start_cluster(forked, {"PYTHONPATH": str(ROOT)})


@pytest.fixture
def cluster_elsewhere(songs, tmp_path_factory):
    """The address of one whose processes cannot import the project."""
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text("import sys\nsys.modules['stages'] = None\n")
    for address, _ in start_cluster(Path(sys.executable).parent, {"PYTHONPATH": str(site)}):
        yield address


@pytest.fixture
def guide():
    """What docs/own-music.md says on TLS: the command that makes a certificate, and Dask's settings."""
    text = (ROOT / "docs" / "own-music.md").read_text(encoding="utf-8")
    return re.search(r"^openssl .*", text, re.MULTILINE)[0], re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1]


def as_variables(settings, name="DASK"):
    """Return Dask's settings as the variables that stand for them."""
    if not isinstance(settings, dict):
        return {name: str(settings)}
    parts = [as_variables(value, f"{name}__{key}".upper().replace("-", "_")) for key, value in settings.items()]
    return {key.replace("DASK__", "DASK_"): value for part in parts for key, value in part.items()}


@pytest.fixture
def cluster_by_tls(songs, guide, forked):
    """The address of one that asks for a certificate, made as the guide says, and the variables that give it."""
    openssl, settings = guide
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl to make a certificate with")
    subprocess.run(openssl.split(), check=True, capture_output=True)
    pem = str(songs / "dask.pem")
    variables = as_variables(yaml.safe_load(settings.replace("/home/you/dask.pem", pem)))
    from distributed import Security

    security = Security(tls_ca_file=pem, tls_client_cert=pem, require_encryption=True)
    for address, _ in start_cluster(forked, variables | {"PYTHONPATH": str(ROOT)}, "tls", security):
        yield address, variables


def test_a_cluster_gives_the_same_bytes_and_survives_a_worker(cluster, monkeypatch, capsys):
    address, workers = cluster
    monkeypatch.setattr(features, "TRACKS_A_PIECE", 1)
    for i in range(24):  # enough work that a worker dies in its midst
        write_song(features.AUDIO / "folk" / f"long {i:02}.wav", seconds=15, seed=i)
    features.main()
    here = arrays()
    capsys.readouterr()
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
    features.main()
    assert capsys.readouterr().out.startswith(f"2 workers at {address}\n")
    assert arrays() == here
    with losing(address, workers[0], lambda: list(features.PIECES.glob("*.mfccs"))):
        features.main()
    assert arrays() == here


def features_on(address, forked, variables):
    """Run the stage in a process of its own, which reads Dask's variables as it imports Dask."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DASK_SCHEDULER_ADDRESS": address} | variables
    return subprocess.run([forked / "python", "-m", "stages.features"], env=environment, capture_output=True, text=True)


def test_a_cluster_without_the_project_is_told_what_it_lacks(cluster_elsewhere, forked):
    done = features_on(cluster_elsewhere, forked, {})
    assert done.returncode == 1
    assert "start its scheduler and its workers in a checkout of this repository" in done.stderr
    assert "Traceback" not in done.stderr
    assert not features.FEATURES.exists()


def test_a_cluster_by_tls_gives_the_same_bytes_to_those_who_have_the_certificate(cluster_by_tls, guide, forked):
    address, variables = cluster_by_tls
    assert variables["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "True"
    assert variables["DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT"].endswith("dask.pem")
    subprocess.run(guide[0].replace("dask.pem", "another.pem").split(), check=True, capture_output=True)
    another = {name: value.replace("dask.pem", "another.pem") for name, value in variables.items()}
    tcp = address.replace("tls", "tcp")
    for where, wrong in ((address, {}), (address, another), (tcp, {}), (tcp, variables)):
        refused = features_on(where, forked, wrong)
        assert refused.returncode == 1
        (line,) = refused.stderr.splitlines()
        assert re.match(r"error: t(ls|cp)://127\.0\.0\.1:\d+: found no Dask scheduler \(", line)
        assert line.endswith("start one with: dask scheduler, and the same TLS settings")
        assert not features.FEATURES.exists()
    assert "2 workers at tls" in features_on(address, forked, variables).stdout
    by_tls = arrays()
    features.main()
    assert arrays() == by_tls


def test_a_recording_in_another_encoding_and_cut_is_known(songs):
    write_song(features.AUDIO / "folk" / "long.wav", seconds=20, seed=99)
    part = soundfile.read(features.AUDIO / "folk" / "long.wav")[0][30000:]
    soundfile.write(features.AUDIO / "folk" / "part.mp3", part, 8000)
    features.main()
    rows = [row for row in rows_of_tracks() if row["copy_of"]]
    assert [(row["file"], row["copy_of"]) for row in rows] == [("folk/part.mp3", "folk/long.wav")]
    recordings = read_json(features.FEATURES / "recordings.json")
    assert recordings.keys() == {row["sound"] for row in rows_of_tracks()}
    assert len(recordings[rows[0]["sound"]]) == 4 * int(8 * (20 - 30000 / 8000) - 4)  # digits a frame of half a second


def test_copies_of_a_song_are_one_group_whatever_file_holds_them(songs, capsys):
    sound, rate = soundfile.read(features.AUDIO / "folk" / "a.wav")
    soundfile.write(features.AUDIO / "folk" / "another name.flac", sound, rate)
    features.main()
    told = "features: data/audio/folk/another name.flac holds the recording of folk/a.wav: they count as one group"
    assert told in capsys.readouterr().out.splitlines()
    rows = {row["file"]: row for row in rows_of_tracks()}
    assert {file: row["copy_of"] for file, row in rows.items() if row["copy_of"]} == {
        "folk/another name.flac": "folk/a.wav"
    }
    assert len({row["sound"] for row in rows.values()}) == len(rows) - 1
    groups = np.load(features.FEATURES / "mfccs" / "groups.npy")
    files = [row["file"] for row in rows_of_tracks()]
    numbers = dict(zip(files, groups[::3].tolist(), strict=True))
    assert numbers["folk/another name.flac"] == numbers["folk/a.wav"]
    assert len(set(numbers.values())) == len(files) - 1
    tracks = np.load(features.FEATURES / "mfccs" / "tracks.npy")
    assert tracks.tolist() == np.repeat(np.arange(len(files)), 3).tolist(), "each is a song of its own all the same"


@pytest.mark.parametrize(
    ("named", "copies", "expected"),
    [
        (["", "", ""], {}, [0, 1, 2]),
        (["x", "", "x"], {}, [0, 1, 0]),
        (["", "x", "x"], {"1": "0"}, [0, 0, 0]),  # the copy alone names a group
        (["x", "", "x"], {"1": "0"}, [0, 0, 0]),  # the first alone does
        (["x", "", "x"], {"2": "1"}, [0, 0, 0]),  # the copy alone does, and an earlier song too
        (["x", "y", "y"], {"1": "0"}, [0, 0, 0]),  # each names another
        (["", "x", "", "x"], {"2": "0", "3": "2"}, [0, 0, 0, 0]),  # a copy of a copy
        (["x", "y", "z", "y", "z"], {"3": "0", "4": "1"}, [0, 0, 0, 0, 0]),  # x and y, then y and z
        (["x", "y", "x", "y", ""], {}, [0, 1, 0, 1, 4]),
        (["1", "", ""], {}, [0, 1, 2]),  # a group that is called as a file is
    ],
)
def test_what_is_a_copy_or_names_one_group_stands_together(named, copies, expected):
    songs = [Song(str(number), "a", group) for number, group in enumerate(named)]
    assert features.groups_of(songs, copies) == expected


def test_a_recording_in_two_classes_is_refused_and_nothing_is_analysed_twice(songs, monkeypatch):
    heard, real = [], tracks.analyse_track
    monkeypatch.setattr(tracks, "analyse_track", lambda piece, file, raw: heard.append(file) or real(piece, file, raw))
    sound, rate = soundfile.read(features.AUDIO / "folk" / "a.wav")
    soundfile.write(features.AUDIO / "soul" / "z.flac", sound, rate)
    says = r"^data/audio: found one recording twice, folk/a\.wav \(folk\) and soul/z\.flac \(soul\); keep one of them$"
    with pytest.raises(UserError, match=says):
        features.main()
    assert not features.FEATURES.exists()
    write_table([f"{file},{'soul' if file == 'folk/a.wav' else Path(file).parts[0]}" for file in heard])
    features.main()
    assert len(heard) == 13
