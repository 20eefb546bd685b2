"""predict: hears what training heard, says it in every form asked for, and is not stopped by a bad file."""

import csv
import json
import re
import shutil
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import write_params
from safetensors.torch import load_file as load_snapshot

from stages import cli, demo, prepare, select, train
from stages.common import tasks
from stages.common.files import MODEL, UserError, read_json
from stages.common.records import PARTS, Card
from stages.listening import predict
from stages.listening.listener import Song
from stages.models.network import build_network


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model of a very small demo corpus, and its sounds."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(demo, "TRACKS", 4)
        patch.setattr(demo, "on_processes", lambda task, items, workers, preload: map(task, items))
        patch.setattr(tasks, "cores", lambda: 1)
        write_params(dataset="data/demo", split={"train": 64, "val": 32, "test": 32}, hidden=[16], epochs=5, runs=1)
        demo.main()
        prepare.main()
        for device in ("cpu", "gpu"):
            patch.setattr(sys, "argv", ["train", device])
            train.main()
        select.main()
    return folder


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    """A folder with data/model/ and nothing else, and two songs."""
    shutil.copytree(trained / MODEL, tmp_path / MODEL)
    for path in (tmp_path / MODEL).glob("*.json"):  # as if there had been songs enough
        card = Card.read(path)
        groups = {part: dict.fromkeys(card.classes, 5) for part in PARTS}
        card.model_copy(update={"data": card.data.model_copy(update={"groups": groups})}).write(path)
    shutil.copytree(trained / "data" / "demo" / "listen", tmp_path / "songs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch, *arguments):
    cli.run(["predict", *map(str, arguments)])


@pytest.mark.parametrize("representation", ["mfccs", "melgrams"])
def test_it_hears_what_training_heard(here, trained, monkeypatch, representation):
    card = read_json(MODEL / f"{representation}.json")
    model = build_network(card["network"], tuple(card["shape"]), card["hidden"], 4, seed=1)
    model.load_state_dict(load_snapshot(MODEL / f"{representation}.safetensors"))
    arrays = trained / "data" / "demo" / representation
    groups, X = np.load(arrays / "groups.npy"), np.load(arrays / "X.npy")
    for song in sorted(Path("songs").iterdir()):
        run(monkeypatch, song, "--representation", representation, "--json", "out.json")
        heard = [list(second["probabilities"].values()) for second in read_json(Path("out.json"))[0]["seconds"]]
        x = (X[groups == song.stem] - np.array(card["mean"])) / np.array(card["std"])
        with torch.inference_mode():
            logits = model(torch.from_numpy(x.astype(np.float32)))
            expected = torch.softmax(logits / card["temperature"], dim=1).numpy()
        np.testing.assert_allclose(heard, expected, atol=1e-4)


def table(path):
    with Path(path).open() as file:
        return list(csv.DictReader(file))


def test_every_form_tells_the_same(here, monkeypatch, capsys):
    forms = ["--json", "out.json", "--csv", "songs.csv", "--seconds-csv", "seconds.csv", "--m3u", "lists"]
    run(monkeypatch, "songs", "--seconds", "--hop", "0.5", "--plot", "pics", *forms)
    said = capsys.readouterr().out
    songs, lines, rows = read_json(Path("out.json")), table("songs.csv"), table("seconds.csv")
    paths = sorted(Path("songs").iterdir())
    assert [song["file"] for song in songs] == [line["file"] for line in lines] == [str(path) for path in paths]
    assert len(rows) == sum(len(song["seconds"]) for song in songs) == 8 * 15
    for song, line in zip(songs, lines, strict=True):
        genre, probability = max(song["probabilities"].items(), key=lambda item: item[1])
        assert sum(song["probabilities"].values()) == pytest.approx(1)
        assert song["genre"] == line["genre"] == genre
        assert float(line["probability"]) == float(line[genre]) == probability
        assert f"{song['file']}: {genre} {probability:.2f}" in said
        assert str(here / song["file"]) in Path(f"lists/{genre}.m3u8").read_text().splitlines()
        assert [second["start"] for second in song["seconds"]] == [i / 2 for i in range(15)]
    assert float(rows[1]["blues"]) == songs[0]["seconds"][1]["probabilities"]["blues"]
    assert f"{float(rows[1]['blues']):10.3f}" in said
    assert sorted(path.name for path in Path("pics").iterdir()) == [f"{path.name}.png" for path in paths]


def test_silence_in_front_changes_no_verdict(here, monkeypatch, capsys):
    for path in Path("songs").iterdir():
        sound, rate = soundfile.read(path)
        soundfile.write(here / path.name, np.concatenate([np.zeros(20 * rate), sound]), rate)
    for representation in ("mfccs", "melgrams"):
        names = sorted(path.name for path in Path("songs").iterdir())
        for place, out in (("songs", "whole.json"), ("", "padded.json")):
            paths = [Path(place, name) for name in names]
            run(monkeypatch, *paths, "--representation", representation, "--json", out)
        whole, padded = read_json(Path("whole.json")), read_json(Path("padded.json"))
        assert [song["silent"] for song in whole] == [0] * 8
        assert [song["silent"] for song in padded] == [20] * 8
        for one, other in zip(whole, padded, strict=True):
            assert other["genre"] == one["genre"]
            assert other["probabilities"] == pytest.approx(one["probabilities"], abs=0.02)
            assert [each["probabilities"] is None for each in other["seconds"]] == [True] * 20 + [False] * 8
    assert capsys.readouterr().out.count(" (0:20 of 0:28 is silent)\n") == 16


def test_an_unknown_genre_is_unknown_in_every_form(here, monkeypatch, capsys):
    run(monkeypatch, "songs", "--json", "all.json")
    surest = sorted(max(song["probabilities"].values()) for song in read_json(Path("all.json")))
    threshold = (surest[3] + surest[4]) / 2
    capsys.readouterr()
    run(monkeypatch, "songs", "--unknown", threshold, "--json", "out.json", "--csv", "songs.csv", "--m3u", "lists")
    expected = [
        song["genre"] if max(song["probabilities"].values()) > threshold else "unknown"
        for song in read_json(Path("all.json"))
    ]
    assert expected.count("unknown") == 4
    assert [song["genre"] for song in read_json(Path("out.json"))] == expected
    assert [line["genre"] for line in table("songs.csv")] == expected
    said = [line.split(": ")[1].split()[0] for line in capsys.readouterr().out.splitlines()[::2]]
    assert said == expected
    assert len(Path("lists/unknown.m3u8").read_text().splitlines()) == 1 + 4


def test_smoothing_is_in_every_form_of_the_seconds(here, monkeypatch, capsys):
    """Of eight seconds, with all for neighbours, each says what the song does."""
    run(monkeypatch, "songs", "--smooth", "16", "--seconds", "--json", "out.json", "--seconds-csv", "seconds.csv")
    said, rows = capsys.readouterr().out, table("seconds.csv")
    for song in read_json(Path("out.json")):
        for second in song["seconds"]:
            assert second["probabilities"] == pytest.approx(song["probabilities"])
            assert float(rows.pop(0)["blues"]) == second["probabilities"]["blues"]
        assert f"  {song['genre'][0] * 8}  " in said


def test_the_picture_is_a_png(here, monkeypatch):
    run(monkeypatch, "songs/pop_000.flac", "--plot", "out.png")
    assert Path("out.png").read_bytes()[:4] == b"\x89PNG"


def test_a_bad_file_is_told_when_it_is_met_and_at_the_end_and_does_not_stop_the_others(here, monkeypatch, capsys):
    (here / "songs" / "a text.wav").write_text("no sound")
    soundfile.write(here / "songs" / "été.wav", np.full(3000, 0.1), 8000)
    why = (r"songs/a text\.wav: is not audio.*", r"songs/été\.wav: is shorter than half a second")
    with pytest.raises(UserError, match=f"^2 of 10 songs cannot be analysed: {why[0]}; {why[1]}$"):
        run(monkeypatch, "songs", "--json", "out.json")
    told = capsys.readouterr()
    assert told.out.count("b=blues") == len(read_json(Path("out.json"))) == 8
    for line, reason in zip(told.err.splitlines(), why, strict=True):
        assert re.fullmatch(f"predict: left out: {reason}", line)


def test_of_many_bad_files_the_first_are_named_at_the_end(here, monkeypatch, capsys):
    for i in range(30):
        Path(f"{i:02}.wav").write_text("no sound")
    with pytest.raises(
        UserError, match=r"^30 of 30 songs cannot be analysed: 00\.wav: .*; 09\.wav: [^;]*; and 20 more$"
    ):
        run(monkeypatch, *(f"{i:02}.wav" for i in range(30)))
    assert len(capsys.readouterr().err.splitlines()) == 30


def test_a_bad_file_alone_is_told_once(here, monkeypatch, capsys):
    Path("a.wav").write_text("no sound")
    with pytest.raises(UserError, match=r"^1 of 1 songs cannot be analysed: a\.wav: is not audio"):
        run(monkeypatch, "a.wav")
    assert capsys.readouterr() == ("", "")


def test_the_bar_counts_songs_and_minutes(here, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run(monkeypatch, "songs")
    last = capsys.readouterr().err.split("\r")[-1]
    assert re.search(r"^predict: 100%.*8 of 8 songs, 1\.1 minutes of music \[\d\d:\d\d<00:00\]\s*$", last)


def test_of_many_songs_no_seconds_are_kept(here, monkeypatch):
    """Of songs that are heard, written down and done with, a few may be alive at once, however many there are."""
    alive, most, paths = weakref.WeakValueDictionary(), [], [Path(f"{i}.wav") for i in range(3000)]

    class Listener(predict.Listener):
        def __call__(self, path):
            seconds = np.full((1, 4), 0.25)
            alive[path] = seconds
            most.append(len(alive))
            return Song(path, "pop", dict.fromkeys(self.card.classes, 0.25), np.zeros(1), seconds, np.zeros(1, bool))

    monkeypatch.setattr(predict, "Listener", Listener)
    monkeypatch.setattr(predict, "find_songs", lambda places: paths)
    forms = ["--json", "out.json", "--csv", "songs.csv", "--seconds-csv", "seconds.csv", "--m3u", "lists"]
    run(monkeypatch, "songs", *forms)
    assert len(table("songs.csv")) == len(most) == len(paths)
    assert max(most) <= tasks.AHEAD + 10


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.wav"], "nowhere.wav: not found"),
        (["data"], r"data: found 4 files that are not audio .*\(json 2, safetensors 2\), expected audio files"),
        (["songs", "--plot", "a.png"], "--plot: found a.png for 8 songs"),
        (["songs/pop_000.flac", "--plot", "a.pdf"], "--plot: found a.pdf"),
        (["songs", "--hop", "0"], "hop: found 0"),
        (["songs", "--unknown", "60"], "unknown: found 60"),
        (["songs", "--representation", "wav"], "--representation: found wav, expected one of melgrams, mfccs"),
    ],
)
def test_wrong_arguments_are_named(here, monkeypatch, arguments, says):
    with pytest.raises(UserError, match=says):
        run(monkeypatch, *arguments)


@pytest.mark.parametrize(
    ("option", "place"),
    [("--json", "songs"), ("--csv", "songs"), ("--seconds-csv", "songs"), ("--plot", "a.png")],
)
def test_a_folder_is_never_replaced_by_a_file(here, monkeypatch, capsys, option, place):
    Path("a.png").mkdir()
    before = sorted(Path().rglob("*"))
    with pytest.raises(UserError, match=f"^{place}: found a folder, expected a file or nothing there"):
        run(monkeypatch, "songs/pop_000.flac", option, place)
    assert sorted(Path().rglob("*")) == before
    assert capsys.readouterr().out == ""  # said before it listens


def test_a_model_that_no_front_end_serves_is_named(here, monkeypatch):
    card = read_json(MODEL / "mfccs.json")
    (MODEL / "mfccs.json").write_text(json.dumps(card | {"shape": [13], "front_end": None}))
    with pytest.raises(UserError, match=r"found mfccs of 13 numbers, which cannot be made from audio here"):
        run(monkeypatch, "songs", "--representation", "mfccs")


def test_no_model_says_what_to_do(here, monkeypatch):
    shutil.rmtree(MODEL)
    with pytest.raises(UserError, match="run `make repro` first"):
        run(monkeypatch, "songs")


def test_a_model_of_few_songs_says_so(here, trained, monkeypatch, capsys):
    """Two tracks of each genre trained it, one judged it."""
    run(monkeypatch, "songs/blues_000.flac")
    assert capsys.readouterr().err == ""
    shutil.copytree(trained / MODEL, MODEL, dirs_exist_ok=True)
    run(monkeypatch, "songs/blues_000.flac")
    train, test = (", ".join(f"{n} of {genre}" for genre in ("blues", "classical", "pop", "rock")) for n in (2, 1))
    assert capsys.readouterr().err == (
        f"predict: this model is based on fewer than 5 songs of a class: train has {train}; test has {test}\n"
    )
