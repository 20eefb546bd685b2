"""Files: what is read is a file, and what is damaged is named in one line."""

import os

import pytest

from stages.common.files import UserError, digest, few_of, is_there, kind, open_regular, read_csv, read_json, shown


def test_only_files_are_read(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    for name, says in {
        "folder": "found a folder, expected a file",
        "pipe": "found a pipe, expected a file",
        "zero": "found a device, expected a file",
        "loop": "Too many levels of symbolic links",
    }.items():
        with pytest.raises(OSError, match=says) as refusal:
            open_regular(tmp_path / name)
        assert refusal.value.filename in (tmp_path / name, str(tmp_path / name))
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"x"
    kinds = {name: kind(tmp_path / name) for name in ("folder", "pipe", "zero", "link", "nowhere", "file/x")}
    assert kinds == {"folder": "folder", "pipe": "pipe", "zero": "device", "link": "file"} | dict.fromkeys(
        ("nowhere", "file/x")
    )


def test_a_digest_is_that_of_sha256sum(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000, b"NaN", b"[Infinity]", b"1" * 5000])
def test_unreadable_json_is_named(tmp_path, content):
    with pytest.raises(UserError, match=r"a.json: not found; `dvc repro` makes it"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a.json: not JSON .*; remove it and run `dvc repro`$"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("run,f1\n0,x\n", "could not convert string to float: 'x'"),
        ("run,f1\n0\n", "shorter"),
        ("f1,run\n0,1\n", "found the columns f1, run, expected run, f1"),
        ("run,loss\n0,1\n", "found the columns run, loss, expected run, f1"),
        ("", "found the columns , expected run, f1"),
        ('run,f1\n"0', "unexpected end of data"),
        ("run,f1\n2.5,1\n", "invalid literal for int"),
    ],
)
def test_an_unreadable_table_is_named(tmp_path, content, says):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(UserError, match=rf"a\.csv: not a valid table \(.*{says}.*\); remove it and run `dvc repro`$"):
        list(read_csv(tmp_path / "a.csv", {"run": int, "f1": float}))


def test_a_link_that_leads_nowhere_is_there(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to("x")
    found = {name: is_there(tmp_path / name) for name in ("file", "nowhere", "x", "file/x")}
    assert found == {"file": True, "nowhere": True, "x": False, "file/x": False}


def test_what_is_shown_is_one_short_line():
    assert shown("ü 日本") == "ü 日本"
    assert shown("a\nb\x1b[31m\udce9") == r"a\nb\x1b[31m\udce9"
    assert shown("x" * 201) == "x" * 199 + "…"
    assert shown({"a": 1}) == "{'a': 1}"


def test_of_many_the_first_are_named():
    assert few_of([]) == ""
    assert few_of(range(10), "; ") == "0; 1; 2; 3; 4; 5; 6; 7; 8; 9"
    assert few_of(range(11)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 1 more"
    assert few_of({"a\nb": 1, "c": 2}, "; ", most=1) == r"a\nb; and 1 more"
    assert few_of(["x" * 401, "y"]) == "x" * 399 + "…, y"
