"""strip: a letter for each stretch of time, and how long that is."""

from pathlib import Path

import numpy as np
import pytest

from stages.listening.listener import Song
from stages.listening.strip import describe, initials, strip


def song(n, hop=1.0, genre="blues", classes=("blues", "rock")):
    whole = dict(zip(classes, [0.75, 0.25], strict=True))
    seconds, silent = np.tile([0.75, 0.25], (n, 1)), np.zeros(n, bool)
    return Song(Path("a\n.wav"), genre, whole, np.arange(n) * hop, seconds, silent)


def silence(song, *windows):
    """Return the song with windows that are silent."""
    seconds, silent = song.seconds.copy(), song.silent.copy()
    for window in windows:
        seconds[window], silent[window] = np.nan, True
    return song._replace(seconds=seconds, silent=silent)


@pytest.mark.parametrize(
    ("n", "hop", "says"),
    [
        (1, 1.0, "b  0:01, 1 s a letter"),
        (8, 1.0, "bbbbbbbb  0:08, 1 s a letter"),
        (15, 0.5, "b" * 15 + "  0:08, 0.5 s a letter"),
        (200, 1.0, "b" * 60 + "  3:20, 3.33 s a letter"),
        (240, 0.25, "b" * 60 + "  1:00, 1 s a letter"),
    ],
)
def test_it_says_how_many_seconds_a_letter_stands_for(n, hop, says):
    assert describe(song(n, hop), every_second=False) == f"a\\n.wav: blues 0.75\n  {says}  b=blues r=rock"


def test_an_unknown_genre_is_told_with_the_likeliest_class():
    assert describe(song(1, genre="unknown"), every_second=False).startswith("a\\n.wav: unknown (blues 0.75)\n")


def test_a_file_that_breaks_off_is_told():
    cut = song(1)._replace(problem="breaks off after 1.0 s of 3.0 s")
    told = "a\\n.wav: blues 0.75 (but the file breaks off after 1.0 s of 3.0 s)\n"
    assert describe(cut, every_second=False).startswith(told)


def test_of_many_classes_those_that_are_heard_are_told():
    names = [f"c{i:03}" for i in range(500)]
    heard = song(1)._replace(
        probabilities=dict.fromkeys(names, 0.002),
        seconds=np.eye(500)[[3, 7]],
        starts=np.arange(2.0),
        silent=np.zeros(2, bool),
    )
    assert describe(heard, every_second=False).endswith("\n  dh  0:02, 1 s a letter  d=c003 h=c007")
    more = heard._replace(seconds=np.eye(500)[:60], starts=np.arange(60.0), silent=np.zeros(60, bool))
    assert describe(more, every_second=False).endswith("j=c009 and 50 more")


def test_every_second_has_a_line():
    lines = describe(song(3, 0.5), every_second=True).splitlines()[2:]
    assert lines[0].split() == ["start", "blues", "rock"]
    assert [line.split() for line in lines[1:]] == [[f"{start:.2f}", "0.750", "0.250"] for start in (0, 0.5, 1)]


def test_a_silent_second_has_a_sign_of_its_own_and_no_numbers():
    quiet = silence(song(3, 0.5), 1)
    head, drawn, _, *lines = describe(quiet, every_second=True).splitlines()
    assert head == "a\\n.wav: blues 0.75"
    assert drawn == "  b-b  0:02, 0.5 s a letter  b=blues r=rock -=silent"
    assert [line.split() for line in lines] == [
        ["0.00", "0.750", "0.250"],
        ["0.50", "silent"],
        ["1.00", "0.750", "0.250"],
    ]


@pytest.mark.parametrize(
    ("n", "hop", "silent", "says"),
    [
        (60, 1.0, range(30), ""),
        (60, 1.0, range(31), " (0:31 of 1:00 is silent)"),
        (119, 0.5, range(60), ""),
        (119, 0.5, range(61), " (0:30 of 1:00 is silent)"),
        (3, 10.0, range(1, 3), " (0:11 of 0:21 is silent)"),
        (3, 10.0, range(1), ""),
    ],
)
def test_it_says_if_most_of_a_song_is_silent(n, hop, silent, says):
    """A window stands for the time until the next one starts, the last one for its second."""
    quiet = silence(song(n, hop), *silent)._replace(problem="breaks off")
    assert (
        describe(quiet, every_second=False).splitlines()[0] == f"a\\n.wav: blues 0.75{says} (but the file breaks off)"
    )


def test_long_songs_are_summed_up():
    seconds = np.tile([0.9, 0.1], (3600, 1))
    seconds[1800:] = [0.2, 0.8]
    assert strip(seconds, np.zeros(3600, bool), ["b", "c"]) == "b" * 30 + "c" * 30


def test_a_stretch_is_silent_if_all_its_seconds_are_and_else_they_have_no_vote():
    seconds, silent = np.tile([0.8, 0.2], (180, 1)), np.zeros(180, bool)
    seconds[:5], silent[:5] = [0, 1], True  # what a model makes of silence must not matter
    seconds[5] = [0.4, 0.6]
    assert strip(seconds, silent, ["b", "c"]) == "-c" + "b" * 58


def test_a_stretch_is_summed_up_as_a_song_is_by_the_product_of_what_its_seconds_say():
    """A second that is sure outweighs two that are not, in the midst of the stretch."""
    stretch = [[0.75, 0.25], [0.01, 0.99], [0.75, 0.25]]  # the mean of their probabilities is above 0.5
    assert strip(np.array(stretch * 60), np.zeros(180, bool), ["b", "c"]) == "c" * 60


def test_initials_are_first_letters_where_no_two_share_one():
    assert initials(["blues", "classical"]) == ["b", "c"]
    assert initials(["rock", "reggae"]) == ["a", "b"]
    assert initials([str(i) for i in range(70)])[60:] == ["8", "9", *"." * 8]
