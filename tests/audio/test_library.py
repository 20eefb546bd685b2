"""songs: what the folders or a table say, whoever wrote the table, and one line about what is wrong with it."""

import codecs
import re
from pathlib import Path
from unicodedata import normalize

import pytest

from stages.audio.library import Song, check_classes, copies_of, find_songs, read_table
from stages.common.files import UserError


@pytest.fixture
def folder(tmp_path):
    for name in ("jazz/b.mp3", "jazz/album/a.opus", "folk/c.WAV", "stray.flac", "jazz/cover.jpg", "jazz/.hidden.mp3"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def table(folder: Path, text: str) -> Path:
    path = folder / "tracks.csv"
    path.write_bytes(text.encode())
    return path


def test_folders_say_the_class(folder):
    library = find_songs(folder)
    files = {"folk/c.WAV": "folk", "jazz/album/a.opus": "jazz", "jazz/b.mp3": "jazz"}
    assert library.songs == [Song(file, label, "", "") for file, label in files.items()]
    assert (library.unlisted, library.others) == ([folder / "stray.flac"], [folder / "jazz" / "cover.jpg"])
    assert library.left_out() == [
        f"1 song in no class's folder: {folder / 'stray.flac'}",
        "1 file that is not audio (jpg 1)",
    ]


def test_a_table_says_all_and_leaves_out_what_it_does_not_name(folder):
    table(
        folder, "class,part,file\nb,val,./stray.flac\na,test,jazz//b.mp3\nb,train,gone.mp3\n\na,train,jazz/cover.jpg\n"
    )
    library = find_songs(folder)
    assert library.songs == [
        Song("gone.mp3", "b", "", "train"), Song("jazz/b.mp3", "a", "", "test"),
        Song("jazz/cover.jpg", "a", "", "train"), Song("stray.flac", "b", "", "val"),
    ]  # fmt: skip
    assert library.unlisted == [folder / "folk" / "c.WAV", folder / "jazz" / "album" / "a.opus"]
    assert library.why == f"without a row in {folder / 'tracks.csv'}"
    assert library.others == []


def test_a_table_as_a_spreadsheet_writes_it(tmp_path):
    """A byte order mark, carriage returns, quotes, blanks."""
    text = 'file, class ,group\r\n"a, ""b"".mp3", soul ,"x, y"\r\n c.mp3,"r & b", \r\n'
    path = tmp_path / "tracks.csv"
    path.write_bytes(codecs.BOM_UTF8 + text.encode())
    assert read_table(path, []) == [Song('a, "b".mp3', "soul", "x, y"), Song("c.mp3", "r & b")]


def test_an_umlaut_is_one_however_it_is_written(tmp_path):
    composed, decomposed = (normalize(form, "Mädchen/Größe.mp3") for form in ("NFC", "NFD"))
    assert composed != decomposed
    for written in (composed, decomposed):
        for stored in (composed, decomposed):
            path = table(tmp_path, f"file,class,group\n{written},{normalize('NFD', 'Größe')},{written}\n")
            assert read_table(path, [stored]) == [Song(stored, normalize("NFC", "Größe"), composed)]
    both = table(tmp_path, f"file,class\n{decomposed},a\n{composed},b\n")  # two files on the disk
    assert read_table(both, [composed, decomposed]) == [Song(decomposed, "a"), Song(composed, "b")]
    with pytest.raises(UserError, match=r"line 3: found .* twice"):
        read_table(both, [decomposed])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "",
            "found the columns , expected file and class and, if wanted, group and part, with commas or semicolons",
        ),
        ("file\na", "found the columns file, expected"),
        ("file|class\na|b", "found the columns file|class, expected"),
        ("file,class,artist\na,b,c", "found the columns file, class, artist, expected"),
        ("file,class,class\na,b,c", "found the columns file, class, class, expected"),
        ('file,class\n"a,b', "is not CSV in UTF-8 (unexpected end of data); save it as such"),
        ("file,class\na", "line 2: found 1 cells, expected 2: file, class; fix or remove them"),
        ("file,class\na.mp3,b\n,b", "line 3: found the file '.', expected one below the table's folder"),
        ("file,class\n/a.mp3,b", "line 2: found the file '/a.mp3', expected one below"),
        ("file,class\nx/../../a.mp3,b", r"line 2: found the file 'x/../../a.mp3', expected one below"),
        ("file,class\na\0.mp3,b", r"line 2: found the file 'a\x00.mp3', expected one below"),
        ("file,class\na.mp3, ", "line 2: found no class of a.mp3"),
        ("file,class\na.mp3,b\n./a.mp3,c", "line 3: found a.mp3 twice"),
        ("file,class,part\na.mp3,b,training", "line 2: found the part 'training', expected one of train, val, test"),
        ("file,class,part\na.mp3,b,train\nb.mp3,b,test", "found no song of the part val, expected some of train, val"),
        (
            "file,class,group,part\na,b,x,train\nc,b,x,test",
            "line 3: found x in test, expected all of this group",
        ),
        ("file,class\n" + "a\n" * 17, "line 11: found 1 cells, expected 2: file, class; and 7 more; fix"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_line(tmp_path, text, says):
    path = table(tmp_path, text)
    with pytest.raises(UserError, match=rf"^{path}: (.*; )?{re.escape(says)}") as refusal:
        find_songs(tmp_path)
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).count("line") <= 10


def test_a_table_that_is_no_unicode_is_told(tmp_path):
    path = tmp_path / "tracks.csv"
    path.write_bytes("file,class\nMädchen.mp3,pop\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"is not CSV in UTF-8 \('utf-8' codec can't decode byte 0xe4"):
        find_songs(tmp_path)


def test_no_folder_and_one_class_are_told(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such folder; expected .*nowhere/CLASS/SONG"):
        find_songs(tmp_path / "nowhere")
    for songs, found in (([], "no song in a class"), ([Song("a", "pop"), Song("b", "pop")], "songs of pop")):
        with pytest.raises(UserError, match=f"found {found}, expected at least two classes"):
            check_classes(tmp_path, songs)
    check_classes(tmp_path, [Song("a", "pop"), Song("b", "rock")])


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_table_with_semicolons_is_read(tmp_path, quote):
    """As spreadsheets write it where the comma is the decimal point; a name may then hold a comma."""
    rows = [("file", "class"), ("a, b.mp3", "jazz"), ("c.mp3", "soul")]
    lines = [";".join(f"{quote}{cell}{quote}" for cell in row) for row in rows]
    (tmp_path / "tracks.csv").write_text("\r\n".join([*lines, ""]), newline="")
    assert [song[:2] for song in read_table(tmp_path / "tracks.csv", [])] == rows[1:]


def test_copies_are_found_by_their_sound_and_refused_in_two_classes_or_parts(tmp_path):
    sounds = {"a.mp3": "one", "b.mp3": "two", "c.wav": "one", "d.mp3": "other", "e.mp3": "one"}
    songs = [Song(name, "jazz") for name in (*sounds, "unusable.mp3")]
    assert copies_of(tmp_path, songs, sounds) == {"c.wav": "a.mp3", "e.mp3": "a.mp3"}
    for other, says in (
        (Song("c.wav", "soul"), r"a.mp3 \(jazz\) and c.wav \(soul\)"),
        (Song("c.wav", "jazz", "", "test"), r"a.mp3 \(jazz\) and c.wav \(jazz test\)"),
    ):
        with pytest.raises(UserError, match=rf"^{tmp_path}: found one recording twice, {says}; keep one of them$"):
            copies_of(tmp_path, [songs[0], songs[1], other], sounds)
