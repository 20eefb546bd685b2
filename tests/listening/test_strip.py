"""strip: a letter for each stretch of time, and how long that is."""

from pathlib import Path

import numpy as np
import pytest

from stages.listening.listener import Song
from stages.listening.strip import describe, initials, strip


def song(n, hop=1.0, genre="blues", classes=("blues", "rock")):
    whole = dict(zip(classes, [0.75, 0.25], strict=True))
    return Song(Path("a\n.wav"), genre, whole, np.arange(n) * hop, np.tile([0.75, 0.25], (n, 1)))


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
        probabilities=dict.fromkeys(names, 0.002), seconds=np.eye(500)[[3, 7]], starts=np.arange(2.0)
    )
    assert describe(heard, every_second=False).endswith("\n  dh  0:02, 1 s a letter  d=c003 h=c007")
    assert describe(heard._replace(seconds=np.eye(500)[:60], starts=np.arange(60.0)), False).endswith(
        "j=c009 and 50 more"
    )


def test_every_second_has_a_line():
    lines = describe(song(3, 0.5), every_second=True).splitlines()[2:]
    assert lines[0].split() == ["start", "blues", "rock"]
    assert [line.split() for line in lines[1:]] == [[f"{start:.2f}", "0.750", "0.250"] for start in (0, 0.5, 1)]


def test_long_songs_are_summed_up():
    seconds = np.tile([0.9, 0.1], (3600, 1))
    seconds[1800:] = [0.2, 0.8]
    assert strip(seconds, ["b", "c"]) == "b" * 30 + "c" * 30


def test_a_stretch_is_summed_up_as_a_song_is_by_the_product_of_what_its_seconds_say():
    """A second that is sure outweighs two that are not, in the midst of the stretch."""
    stretch = [[0.75, 0.25], [0.01, 0.99], [0.75, 0.25]]  # the mean of their probabilities is above 0.5
    assert strip(np.array(stretch * 60), ["b", "c"]) == "c" * 60


def test_initials_are_first_letters_where_no_two_share_one():
    assert initials(["blues", "classical"]) == ["b", "c"]
    assert initials(["rock", "reggae"]) == ["a", "b"]
    assert initials([str(i) for i in range(70)])[60:] == ["8", "9", *"." * 8]
