"""judge: scores as scikit-learn has them from the model's own answers, and a word for all that is left out."""

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from audio.written import music
from sklearn.metrics import f1_score
from small_models import CLASSES, make_model

from stages import cli, demo
from stages.audio.decode import to_clips
from stages.audio.front_end import mfccs
from stages.common.files import UserError, card_path, read_json
from stages.common.writing import write_csv, write_json
from stages.listening.listener import Listener
from stages.models.scoring import intervals

FOLDER = Path("elsewhere")
RATE = 8000
SONGS = {f"{genre}/{i}.flac": (genre, i) for genre in CLASSES for i in range(6)}


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Six songs of each class, of 7.6 seconds, the second of which is silent."""
    folder = tmp_path_factory.mktemp("songs")
    for name, (genre, i) in SONGS.items():
        sound = to_clips(demo.sound(genre, i) / 32768, demo.RATE, RATE).ravel()[: int(7.6 * RATE)].copy()
        sound[RATE : 2 * RATE] = 0
        (folder / name).parent.mkdir(exist_ok=True)
        soundfile.write(folder / name, sound, RATE)
    return folder


@pytest.fixture
def here(songs, workplace):
    """A folder with those songs and a model, and what that says of each second that is not silent."""
    shutil.copytree(songs, FOLDER)
    model, card = make_model("mfccs", rate=RATE)
    answers = {}
    for name in SONGS:
        clips = soundfile.read(FOLDER / name, dtype="float32")[0][: 7 * RATE].reshape(7, RATE)[[0, 2, 3, 4, 5, 6]]
        x = torch.from_numpy(((mfccs(clips) - np.array(card["mean"])) / np.array(card["std"])).astype(np.float32))
        with torch.inference_mode():
            answers[name] = torch.softmax(model(x).double() / card["temperature"], dim=1).numpy()
    return answers


def judge(*options):
    cli.run(["judge", str(FOLDER), *map(str, options)])


def judged(*options):
    judge("--json", "out.json", *options)
    return read_json(Path("out.json"))


def expected(answers, unit_of):
    """Return actual and predicted class numbers of seconds and of songs, each with the units."""
    actual = [CLASSES.index(SONGS[name][0]) for name in answers]
    verdicts = [np.log(each).mean(axis=0).argmax() for each in answers.values()]
    seconds = np.repeat(actual, 6), np.concatenate(list(answers.values())).argmax(axis=1), np.repeat(unit_of, 6)
    return seconds, (np.array(actual), np.array(verdicts), np.array(unit_of))


def check(found, answers, unit_of):
    for key, (actual, predicted, units) in zip(("by_second", "by_song"), expected(answers, unit_of), strict=True):
        own, ranges = found[key], intervals(actual, predicted, units, len(CLASSES))
        assert own["n"] == len(actual)
        assert own["accuracy"] == pytest.approx(np.mean(actual == predicted))
        labels = np.unique(actual)
        f1 = f1_score(actual, predicted, labels=labels, average=None)
        assert list(own["f1"].values()) == pytest.approx(f1.tolist())
        assert own["f1_macro"] == pytest.approx(f1.mean())
        assert own["accuracy_low"] == pytest.approx(ranges["accuracy_low"])
        absent = len(CLASSES) / len(labels)
        assert own["f1_macro_high"] == pytest.approx(ranges["f1_macro_high"] * absent)


def test_songs_are_judged_by_whole_seconds_and_by_song(here, capsys):
    found = judged("--csv", "songs.csv")
    check(found, here, range(18))
    assert found["songs"] == dict.fromkeys(CLASSES, 6)
    assert sum(found["confusion_of_songs"]["pop"].values()) == 6
    with Path("songs.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "class", "genre", "probability", *CLASSES]
    assert {row["file"]: row["class"] for row in rows} == {name: genre for name, (genre, _) in SONGS.items()}
    for row in rows:
        whole = np.log(here[row["file"]]).mean(axis=0)
        assert row["genre"] == CLASSES[whole.argmax()]
        assert float(row["probability"]) == pytest.approx(np.exp(whole).max() / np.exp(whole).sum(), abs=1e-3)
        taken_for = np.bincount(here[row["file"]].argmax(axis=1), minlength=3).tolist()
        assert [int(row[name]) for name in CLASSES] == taken_for
    told, score = capsys.readouterr(), found["by_song"]
    assert told.err == ""
    lines = told.out.splitlines()
    assert lines[0] == "mfccs, judged on elsewhere"
    assert lines[3].split() == [
        "18", "songs", f"{score['f1_macro']:.3f}", f"[{score['f1_macro_low']:.3f},", f"{score['f1_macro_high']:.3f}]",
        f"{score['accuracy']:.3f}", f"[{score['accuracy_low']:.3f},", f"{score['accuracy_high']:.3f}]",
    ]  # fmt: skip
    mistakes = [row for row in rows if row["genre"] != row["class"]]
    surest = max(mistakes, key=lambda row: float(row["probability"]))
    first = lines[lines.index("the surest mistakes:") + 1]
    assert first == (
        f"  {surest['file']}: {surest['genre']} {float(surest['probability']):.2f}, labelled {surest['class']}"
    )


def test_a_table_names_classes_and_groups_and_intervals_are_drawn_over_groups(here, capsys):
    groups = [f"artist {i // 2}" if i < 10 else "" for i in range(18)]
    rows = zip(SONGS, (genre for genre, _ in SONGS.values()), groups, strict=True)
    write_csv(FOLDER / "tracks.csv", ["file", "class", "group"], rows)
    found = judged()
    check(found, here, [i // 2 if i < 10 else i for i in range(18)])
    assert found["groups"] == {"blues": 3, "classical": 4, "pop": 6}
    assert "\nrests on 3 groups of blues\n" in capsys.readouterr().out


def test_a_class_without_songs_has_no_part_in_the_mean(here):
    shutil.rmtree(FOLDER / "classical")
    left = {name: each for name, each in here.items() if not name.startswith("classical")}
    found = judged()
    check(found, left, range(12))
    assert found["by_song"]["f1"].keys() == {"blues", "pop"}


def test_what_is_left_out_is_told_and_the_others_are_judged(here, capsys):
    """A class that the model does not know, a copy, a song that cannot be heard, one too short, and no song."""
    (FOLDER / "jazz").mkdir()
    shutil.copy(FOLDER / "pop" / "0.flac", FOLDER / "jazz" / "a.flac")
    soundfile.write(FOLDER / "pop" / "copy.wav", soundfile.read(FOLDER / "pop" / "0.flac")[0], RATE)
    soundfile.write(FOLDER / "pop" / "short.wav", np.full(6000, 0.1), RATE)
    (FOLDER / "pop" / "text.wav").write_text("no sound")
    (FOLDER / "list.txt").touch()
    with pytest.raises(UserError, match=r"^2 of 21 songs cannot be analysed: elsewhere/pop/short\.wav: is shorter tha"):
        judged()
    check(read_json(Path("out.json")), here, range(18))
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [
        "judge: left out: 1 file that is not audio (txt 1)",
        "judge: left out: 1 song of jazz: the model knows blues, classical, pop",
        "judge: left out: elsewhere/pop/short.wav: is shorter than a second",
    ]
    assert re.match(r"judge: left out: elsewhere/pop/text\.wav: is not audio", lines[3])
    assert lines[4:] == ["judge: left out: pop/copy.wav is a copy of pop/0.flac"]


@pytest.mark.parametrize("dataset", ["data/features", "data/mine"])
def test_songs_of_the_models_own_data_set_are_told(here, capsys, dataset):
    card = read_json(card_path("mfccs"))
    write_json(card_path("mfccs"), card | {"data": card["data"] | {"dataset": dataset}})
    write_long_song("a.wav")
    sounds = [listen_as_features_does(path) for path in (FOLDER / "blues" / "3.flac", Path("a.wav"))]
    (FOLDER / "pop" / "cut.mp3").write_bytes(write_long_song("a.mp3", first=30000).read_bytes())
    Path("data/features").mkdir()
    write_json(Path("data/features/recordings.json"), {song.sound: song.words for song in sounds})
    judge()
    told = "judge: 2 songs are in data/features, which the model was made from: blues/3.flac, pop/cut.mp3\n"
    assert capsys.readouterr().err == (told if dataset == "data/features" else "")


def listen_as_features_does(path):
    return Listener(card_path("mfccs"), as_in_data_sets=True)(path)


def write_long_song(name, first=0):
    soundfile.write(name, music(20, RATE)[first:], RATE)
    return Path(name)


@pytest.mark.parametrize("words", ["00x0", "123", 5])
def test_words_that_are_none_are_refused(here, words):
    card = read_json(card_path("mfccs"))
    write_json(card_path("mfccs"), card | {"data": card["data"] | {"dataset": "data/features"}})
    Path("data/features").mkdir()
    write_json(Path("data/features/recordings.json"), {"a": words})
    with pytest.raises(UserError, match=r"^data/features/recordings\.json: a: .*; remove it and run `dvc repro`$"):
        judge()


def test_a_copy_in_another_encoding_is_left_out(here, capsys):
    shutil.move(write_long_song("a.wav"), FOLDER / "pop" / "a.wav")
    shutil.move(write_long_song("a.mp3", first=30000), FOLDER / "pop" / "b.mp3")
    assert judged()["songs"]["pop"] == 7
    assert capsys.readouterr().err == "judge: left out: pop/b.mp3 is a copy of pop/a.wav\n"


def test_one_recording_in_two_classes_is_refused(here):
    shutil.copy(FOLDER / "pop" / "0.flac", FOLDER / "blues" / "a.flac")
    with pytest.raises(UserError, match=r"^elsewhere: found one recording twice, blues/a\.flac \(blues\) and pop/0"):
        judge("--csv", "songs.csv")
    assert not Path("songs.csv").exists()


def test_a_folder_of_no_use_is_refused_and_nothing_is_written(here):
    shutil.move(FOLDER, "songs")
    FOLDER.mkdir()
    for make, says in (
        (lambda: None, "elsewhere: found songs of no class, expected some of blues, classical, pop"),
        (lambda: shutil.copytree("songs/pop", FOLDER / "jazz"), "elsewhere: found songs of jazz, expected some of blu"),
        (lambda: write_text_song(), "none of 1 songs can be analysed: elsewhere/pop/text.wav: is not audio"),
    ):
        make()
        with pytest.raises(UserError, match=f"^{says}"):
            judge("--json", "out.json", "--csv", "songs.csv")
    assert not Path("out.json").exists()
    assert not Path("songs.csv").exists()


def write_text_song():
    (FOLDER / "pop").mkdir()
    (FOLDER / "pop" / "text.wav").write_text("no sound")
