"""Songs and groups: what belongs together, what is refused, and what songs are called."""

import numpy as np
import pytest
from conftest import make_arrays, save_arrays
from memory import runs_within

from stages.arrays.dataset import load_dataset
from stages.arrays.songs import Songs, Units, check_apart, check_whole, lines_of_songs, names_of, read_units
from stages.common.files import UserError

CLASSES = ["blues", "pop", "rock"]
SONGS = np.arange(120) // 4
ARTISTS = SONGS % 3 + 3 * (SONGS // 6)


def read(folder, unit="track", **arrays):
    """Return what is read of units of 30 songs of four samples each."""
    X, labels, _ = make_arrays()
    save_arrays(folder / "mfccs", X, labels)
    for name, array in arrays.items():
        np.save(folder / "mfccs" / f"{name}.npy", array)
    (found,) = load_dataset(folder).representations.values()
    return read_units(found, unit, CLASSES, SONGS % 3)


@pytest.mark.parametrize(
    ("arrays", "unit", "kind", "units", "songs"),
    [
        ({}, "track", "block", None, None),
        ({"groups": SONGS}, "track", "track", SONGS, SONGS),
        ({"groups": ARTISTS}, "group", "group", ARTISTS, None),
        ({"tracks": SONGS}, "group", "track", SONGS, SONGS),
        ({"groups": ARTISTS, "tracks": SONGS}, "track", "group", ARTISTS, SONGS),
        ({"groups": SONGS[::-1].copy(), "tracks": SONGS}, "group", "track", SONGS, SONGS),
    ],
)
def test_what_a_unit_is(tmp_path, arrays, unit, kind, units, songs):
    found = read(tmp_path, unit, **arrays)
    assert found.kind == kind
    for mine, theirs in ((found.numbers, units), (found.songs.numbers if found.songs else None, songs)):
        assert (mine is None) == (theirs is None)
        if theirs is not None:
            np.testing.assert_array_equal(mine, np.unique(theirs, return_inverse=True)[1])
    assert (found.songs_apart is None) == (kind != "group" or songs is None)


def test_a_song_in_two_classes_is_refused_without_groups_too(tmp_path):
    names = np.array([f"song\n{number:02}" for number in SONGS])
    names[5] = names[0]
    with pytest.raises(UserError) as refusal:
        read(tmp_path, tracks=names)
    assert str(refusal.value) == (
        r"tracks.npy: song song\n00 is in the classes 'blues' and 'pop', expected one; correct tracks.npy or labels.npy"
    )
    read(tmp_path, tracks=np.array([f"song {number:02}" for number in SONGS]))
    check_whole(Songs(range(30), SONGS), SONGS % 3, "classes", CLASSES)


def test_parts_are_told_in_their_order():
    parts = np.repeat(np.array([2, 0, 1], np.int8), 40)
    check_apart("a", Units("group", SONGS, None), parts, None)  # whose files nobody has to read
    parts[3] = 1
    files = load_of(SONGS * 10)
    with pytest.raises(
        UserError, match=r"^a: group 0 is in val and in test, which inflates every score, expected it in"
    ):
        check_apart("a", Units("group", SONGS, None), parts, files)


def load_of(entries):
    """Return what stands for a file of these entries."""

    class File(list):
        def blocks(self):
            yield 0, np.array(self)

    return [File(entries)]


def test_lines_of_songs(tmp_path):
    songs = Songs(["a", "b", "c"], np.array([2, 0, 0, 1, 2, 0]))
    labels, parts = np.array([1, 0, 0, 2, 1, 0]), np.array([0, 2, 2, 1, 0, 2], np.int8)
    found = lines_of_songs(tmp_path, CLASSES, labels, parts, Units("track", songs.numbers, songs))
    assert list(found) == [("a", "blues", "test", 3), ("b", "rock", "val", 1), ("c", "pop", "train", 2)]
    assert list(lines_of_songs(tmp_path, CLASSES, labels, parts, Units("group", labels, None))) == []


def test_a_number_is_a_line_of_the_table_if_there_is_one(tmp_path):
    numbers = np.array([0, 2, 3])
    assert list(names_of(tmp_path, numbers)) == ["0", "2", "3"]
    rows = ['class,"file"', 'x,"a, b.mp3"', "x,no", 'y,"c\n""d"".mp3"']
    (tmp_path / "tracks.csv").write_bytes("\n".join([*rows, ""]).encode() + b"z,caf\xe9.mp3\n")
    assert list(names_of(tmp_path, numbers)) == ["a, b.mp3", 'c\n"d".mp3', "caf\udce9.mp3"]
    assert list(names_of(tmp_path, ["x", "y"])) == ["x", "y"]
    for wrong, missing in (([-1, 0], -1), ([0, 4], 4)):
        with pytest.raises(UserError, match=rf"tracks.csv: found no line {missing}, expected one for each song"):
            list(names_of(tmp_path, np.array(wrong)))
    for broken in (b"file\n\0\n", b"name\na\n", b""):
        (tmp_path / "tracks.csv").write_bytes(broken)
        with pytest.raises(UserError, match=r"tracks.csv: (not a table with the column file|found no line [02],)"):
            list(names_of(tmp_path, numbers))


def test_what_is_refused_is_found_in_little_memory():
    """Three million samples: not 8 bytes for each."""
    setup = """
import numpy as np
from stages.common.units import torn
units = (np.arange(3_000_000) // 30).astype(np.int32)
labels = (units % 4).astype(np.int8)
"""
    runs_within(18, setup, "assert torn(units, labels, 100_000) is None")
