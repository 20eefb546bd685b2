"""predict: hears what training heard, says it in every form asked for, and is not stopped by a bad file."""

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import write_params
from safetensors.torch import load_file as load_snapshot

from stages import demo, predict, prepare, select, train
from stages.files import MODEL, UserError, read_json
from stages.learning.network import build_network
from stages.reporting import pictures


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model of a very small demo corpus, and its sounds."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(demo, "TRACKS", 4)
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
    shutil.copytree(trained / "data" / "demo" / "listen", tmp_path / "songs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["predict", *map(str, arguments)])
    predict.main()


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
            expected = torch.softmax(model(torch.from_numpy(x.astype(np.float32))), dim=1).numpy()
        np.testing.assert_allclose(heard, expected, atol=1e-4)


def test_every_form_tells_the_same(here, monkeypatch, capsys):
    run(monkeypatch, "songs", "--seconds", "--json", "out.json", "--csv", "out.csv", "--hop", "0.5")
    said = capsys.readouterr().out
    songs = json.loads(Path("out.json").read_text())
    assert [song["file"] for song in songs] == [str(path) for path in sorted(Path("songs").iterdir())]
    with Path("out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(song["seconds"]) for song in songs) == 8 * 15
    for song in songs:
        assert sum(song["probabilities"].values()) == pytest.approx(1)
        assert song["genre"] == max(song["probabilities"], key=song["probabilities"].get)
        assert f"{song['file']}: {song['genre']} {max(song['probabilities'].values()):.2f}" in said
        assert [second["start"] for second in song["seconds"]] == [i / 2 for i in range(15)]
    assert float(rows[1]["blues"]) == songs[0]["seconds"][1]["probabilities"]["blues"]
    assert f"{float(rows[1]['blues']):10.3f}" in said


def test_the_picture_is_a_png(here, monkeypatch):
    run(monkeypatch, "songs/pop_000.flac", "--plot", "out.png")
    assert Path("out.png").read_bytes()[:4] == b"\x89PNG"


def test_a_bad_file_does_not_stop_the_others(here, monkeypatch, capsys):
    (here / "songs" / "a text.wav").write_text("no sound")
    soundfile.write(here / "songs" / "été.wav", np.full(3000, 0.1), 8000)
    with pytest.raises(
        UserError, match=r"^songs/a text.wav: is no sound.*; songs/été.wav: is shorter than half a second$"
    ):
        run(monkeypatch, "songs", "--json", "out.json")
    assert capsys.readouterr().out.count("b=blues") == len(read_json(Path("out.json"))) == 8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.wav"], "nowhere.wav: not found"),
        (["data"], r"data: found 4 files that are no sound .*\(json 2, safetensors 2\), expected sound files"),
        (["songs", "--plot", "a.png"], "--plot: found 8 songs, expected one"),
        (["songs/pop_000.flac", "--plot", "a.pdf"], "--plot: found a.pdf"),
        (["songs", "--hop", "0"], "--hop: found 0"),
        (["songs", "--representation", "wav"], "--representation: found wav, expected one of melgrams, mfccs"),
    ],
)
def test_wrong_arguments_are_named(here, monkeypatch, arguments, says):
    with pytest.raises(UserError, match=says):
        run(monkeypatch, *arguments)


@pytest.mark.parametrize(("option", "place"), [("--json", "songs"), ("--csv", "songs"), ("--plot", "a.png")])
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
    with pytest.raises(UserError, match=r"found no front end for mfccs, expected mfccs of 26 and melgrams of 21 x 128"):
        run(monkeypatch, "songs", "--representation", "mfccs")


def test_no_model_says_what_to_do(here, monkeypatch):
    shutil.rmtree(MODEL)
    with pytest.raises(UserError, match="run `make repro` first"):
        run(monkeypatch, "songs")


def test_timelines_of_long_songs_are_summed_up():
    probabilities = np.tile([0.9, 0.1], (3600, 1))
    probabilities[1800:] = [0.2, 0.8]
    assert predict.timeline(probabilities, ["b", "c"]) == "b" * 30 + "c" * 30
    assert predict.initials(["blues", "classical"]) == ["b", "c"]
    assert predict.initials(["rock", "reggae"]) == ["a", "b"]
    assert pictures.clock(3601) == "60:01"
