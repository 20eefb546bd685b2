"""Which files are sounds: all that FFmpeg reads, and no others; the rest is counted."""

import os
import tempfile
from pathlib import Path

import pytest
from audio.written import KINDS

from stages.audio.sounds import count_others, find_sounds, sound_suffixes

USUAL = (
    "3gp aac ac3 aif aifc aiff ape au bwf caf dsf flac m4a m4b m4r mka mkv mov mp2 mp3 mp4 mpa mpc mpeg mpg mpga oga "
    "ogg opus ra rf64 snd spx tta voc w64 wav wave weba webm wma wv"
)


def test_the_usual_suffixes_are_sounds_and_others_are_not(tmp_path):
    assert {f".{suffix}" for suffix in USUAL.split()} <= sound_suffixes()
    others = "m3u m3u8 pls ffconcat cue sdp jpg png heic avif raw txt csv pdf srt ass mks ism mpd nfo log zip mid"
    assert sound_suffixes().isdisjoint(f".{suffix}" for suffix in others.split())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_decoded_is_found(tmp_path, kind):
    (tmp_path / kind).touch()
    assert find_sounds(tmp_path) == ([tmp_path / kind], [])


def test_what_is_no_sound_is_counted_and_what_is_hidden_is_not_worth_a_word(tmp_path):
    names = ("b/x.m3u", "a.M3U", "c.jpg", "README", "b/song.Opus", "d.raw")
    for name in (*names, "b/.DS_Store", "._a.mp3", ".git/a.wav", "b/tracks.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    sounds, others = find_sounds(tmp_path)
    assert sounds == [tmp_path / "b" / "song.Opus"]
    assert others == [tmp_path / name for name in ("README", "a.M3U", "b/x.m3u", "c.jpg", "d.raw")]
    assert count_others(others) == "5 files that are not audio (m3u 2, no suffix 1, jpg 1, raw 1)"
    assert count_others(others[3:4]) == "1 file that is not audio (jpg 1)"
    assert ".raw" not in sound_suffixes()


def test_a_link_to_a_folder_is_told_and_not_followed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a message has room for so many characters
    songs = Path("songs")
    (songs / "rock").mkdir(parents=True)
    (songs / "rock" / "a.wav").touch()
    for name in ("around", "live.wav", ".hidden"):
        (songs / name).symlink_to(tmp_path)
    (songs / "linked.wav").symlink_to("rock/a.wav")
    sounds, others = find_sounds(songs)
    assert sounds == [songs / name for name in ("linked.wav", "rock/a.wav")]
    assert others == [songs / name for name in ("around", "live.wav")]
    assert count_others(others) == (
        "2 files that are not audio (linked folder songs/around 1, linked folder songs/live.wav 1)"
    )
    Path("linked").symlink_to(songs / "rock")  # as a song or a library is named on a command line
    assert find_sounds(Path("linked")) == ([Path("linked/a.wav")], [])


def test_a_folder_that_may_not_be_read_is_named():
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "locked").mkdir()
        (folder / "b.wav").touch()
        (folder / "locked" / "a.MP3").touch()
        assert find_sounds(folder) == ([folder / "b.wav", folder / "locked" / "a.MP3"], [])
        folder.chmod(0o755)
        (folder / "locked").chmod(0)
        user = os.geteuid()
        try:
            if user == 0:
                os.seteuid(65534)  # root may read everything
            with pytest.raises(PermissionError) as refusal:
                find_sounds(folder)
        finally:
            os.seteuid(user)
            (folder / "locked").chmod(0o755)
        assert refusal.value.filename == str(folder / "locked")
