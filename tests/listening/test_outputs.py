"""songs: every form says the same of a song, playlists are found by players, nothing of the user's is lost."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from stages.common.files import UserError
from stages.listening import outputs
from stages.listening.listener import Song

CLASSES = ["a/b", "..", 'ünder, "score"']


def song(name, genre="..", seed=0):
    """Return a song of four windows, half a second apart, of which the second one is silent."""
    seconds, silent = np.random.default_rng(seed).dirichlet(np.ones(3), 4), np.arange(4) == 1
    seconds[silent] = np.nan
    whole = dict(zip(CLASSES, [0.1, 0.7, 0.2], strict=True))
    return Song(Path(name), genre, whole, np.arange(4) * 0.5, seconds, silent)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(path):
    with Path(path).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.reader(file))


def test_every_form_tells_the_same(here):
    heard = [song("x/é.mp3"), song("y\udce9.ogg", "unknown", seed=1)]
    with (
        outputs.song_table(Path("a.csv"), CLASSES) as a,
        outputs.second_table(Path("b.csv"), CLASSES) as b,
        outputs.json_list(Path("c.json")) as c,
    ):
        for each in heard:
            for take in (a, b, c):
                take(each)
        assert {path.name[0] for path in here.iterdir()} == {"."}, "nothing there before all songs have come"
    expected = [
        {
            "file": str(each.path),
            "genre": each.genre,
            "probabilities": {"a/b": 0.1, "..": 0.7, CLASSES[2]: 0.2},
            "silent": 0.5,
            "seconds": [
                {"start": i / 2, "probabilities": None if i == 1 else dict(zip(CLASSES, row.tolist(), strict=True))}
                for i, row in enumerate(each.seconds)
            ],
        }
        for each in heard
    ]
    assert Path("c.json").read_text() == json.dumps(expected, indent=2) + "\n"
    assert rows("a.csv") == [
        ["file", "genre", "probability", "silent", *CLASSES],
        ["x/é.mp3", "..", "0.7", "0.5", "0.1", "0.7", "0.2"],
        ["y\udce9.ogg", "unknown", "0.7", "0.5", "0.1", "0.7", "0.2"],
    ]
    assert rows("b.csv")[0] == ["file", "start", *CLASSES]
    assert rows("b.csv")[1:] == [
        [str(each.path), str(i / 2), *(["", "", ""] if i == 1 else map(str, second))]
        for each in heard
        for i, second in enumerate(each.seconds.tolist())
    ]


def test_names_are_no_formulas_to_a_spreadsheet(here):
    """Neither of songs nor of classes, in any cell; numbers stay numbers, and JSON has names as they are."""
    classes = ["=1+1", "@rock", "-pop"]
    odd = song("+é.mp3", "=1+1")._replace(probabilities=dict(zip(classes, [0.7, 0.2, 0.1], strict=True)))
    with (
        outputs.song_table(Path("a.csv"), classes) as a,
        outputs.second_table(Path("b.csv"), classes) as b,
        outputs.json_list(Path("c.json")) as c,
    ):
        for take in (a, b, c):
            take(odd)
    assert rows("a.csv") == [
        ["file", "genre", "probability", "silent", "'=1+1", "'@rock", "'-pop"],
        ["'+é.mp3", "'=1+1", "0.7", "0.5", "0.7", "0.2", "0.1"],
    ]
    assert rows("b.csv")[0] == ["file", "start", "'=1+1", "'@rock", "'-pop"]
    assert {row[0] for row in rows("b.csv")[1:]} == {"'+é.mp3"}
    (told,) = json.loads(Path("c.json").read_text())
    assert (told["file"], told["genre"], list(told["probabilities"])) == ("+é.mp3", "=1+1", classes)


def test_no_songs_make_an_empty_list(here):
    with outputs.json_list(Path("c.json")):
        pass
    assert json.loads(Path("c.json").read_text()) == []


def test_a_song_is_in_the_playlist_of_its_genre_and_players_find_it(here):
    Path("lists").mkdir()
    Path("lists/my own.m3u8").write_text("mine")
    Path("lists/__.m3u8").write_text("of an earlier run")
    heard = [song("x/é.mp3", "a/b"), song("y\udce9.ogg"), song("z.ogg"), song(here / "w.ogg", "unknown")]
    with outputs.playlists(Path("lists"), [*CLASSES, "unknown"], [each.path for each in heard]) as take:
        for each in heard:
            take(each)
        assert len(list(Path("lists").iterdir())) == 2
    found = {path.name: path.read_bytes().decode("utf-8", "surrogateescape") for path in Path("lists").iterdir()}
    assert found == {
        "a_b.m3u8": f"#EXTM3U\n{here}/x/é.mp3\n",
        "_.m3u8": f"#EXTM3U\n{here}/y\udce9.ogg\n{here}/z.ogg\n",
        "ünder, _score_.m3u8": "#EXTM3U\n",
        "unknown.m3u8": f"#EXTM3U\n{here}/w.ogg\n",
        "my own.m3u8": "mine",
        "__.m3u8": "of an earlier run",
    }
    assert {path.name for path in here.iterdir()} == {"lists"}


def test_playlists_are_written_whole_or_not_at_all(here):
    with pytest.raises(KeyboardInterrupt), outputs.playlists(Path("lists"), CLASSES, [Path("a")]) as take:
        take(song("a"))
        raise KeyboardInterrupt
    assert not list(here.iterdir())
    Path("lists/_.m3u8").mkdir(parents=True)
    with (
        pytest.raises(UserError, match=r"^lists/_\.m3u8: found a folder"),
        outputs.playlists(Path("lists"), CLASSES, [Path("a")]),
    ):
        pytest.fail("it listened")
    assert [path.name for path in Path("lists").iterdir()] == ["_.m3u8"]


@pytest.mark.parametrize("bad", ["a\nb.ogg", "c\r/d.ogg"])
def test_a_name_that_no_playlist_can_hold_is_told_before_any_song_is_heard(here, bad):
    with (
        pytest.raises(UserError, match="found a line break in the name"),
        outputs.playlists(Path("lists"), CLASSES, [Path("a"), Path(bad)]),
    ):
        pytest.fail("it listened")


def test_pictures_with_one_name_are_kept_apart(here, monkeypatch):
    drawn = []
    monkeypatch.setattr(outputs, "draw", lambda path, song: drawn.append((str(path), str(song.path))))
    paths = ["m/x/1.ogg", "m/y/1.ogg", "m/x_1.ogg", "m/y_1.ogg", "m/Y/1.ogg", f"{here}/m/1.wav"]
    with outputs.pictures(Path("pics"), [Path(path) for path in paths]) as take:
        for path in paths:
            take(song(path))
    names = ["x_1.ogg", "y_1.ogg", "x_1.ogg (2)", "y_1.ogg (2)", "Y_1.ogg (3)", "1.wav"]
    assert drawn == [(f"pics/{name}.png", path) for name, path in zip(names, paths, strict=True)]


def test_a_picture_shows_the_songs_seconds_and_its_verdict(here, monkeypatch):
    given = []
    monkeypatch.setattr(outputs, "timeline", lambda *arguments: given.append(arguments))
    one, other = song("x/a.mp3"), song("b.ogg", "unknown")
    outputs.draw(Path("a.png"), one)
    outputs.draw(Path("b.png"), other)
    assert given == [
        (Path("a.png"), "a.mp3: .. 0.70", one.starts, one.seconds, CLASSES),
        (Path("b.png"), "b.ogg: unknown (.. 0.70)", other.starts, other.seconds, CLASSES),
    ]


def test_pictures_leave_the_other_files_of_a_folder_alone(here):
    Path("my.pics").mkdir()
    Path("my.pics/mine").write_text("mine")
    for place, paths in ((Path("my.pics"), ["a/1.ogg", "b/1.ogg"]), (Path("one.png"), ["a/1.ogg"])):
        with outputs.pictures(place, [Path(path) for path in paths]) as take:
            for path in paths:
                take(song(path))
    assert {path.name for path in Path("my.pics").iterdir()} == {"mine", "a_1.ogg.png", "b_1.ogg.png"}
    for path in (Path("my.pics/a_1.ogg.png"), Path("one.png")):
        assert path.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("place", "paths", "says"),
    [
        ("a.png", ["1", "2"], "--plot: found a.png for 2 songs, expected FILE.png for one song, or a folder"),
        ("a.pdf", ["1"], "--plot: found a.pdf for 1 songs"),
        ("file", ["1", "2"], "file: found a file, expected a folder"),
        ("full", ["1", "2"], "full/1.png: found a folder, expected a file"),
    ],
)
def test_pictures_go_nowhere_else(here, place, paths, says):
    Path("file").touch()
    Path("full/1.png").mkdir(parents=True)
    with pytest.raises(UserError, match=f"^{says}"), outputs.pictures(Path(place), [Path(path) for path in paths]):
        pytest.fail("it listened")
