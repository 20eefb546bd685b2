"""Files are written whole or not at all, and only where nothing of another kind is lost."""

import contextlib
import csv
import functools
import os
import resource
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from dvc.fs import localfs
from dvc.ignore import DvcIgnoreFilter

from stages.common.files import UserError, read_csv, read_json
from stages.common.writing import (
    clear,
    replacing,
    replacing_folder,
    spreadsheet_safe,
    write_bytes,
    write_csv,
    write_json,
)


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "deep" / "numbers.json"
    write_json(path, {"b": 1, "a": 0.5})
    assert path.read_text() == '{\n  "a": 0.5,\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, float("nan"))
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"a": 0.5, "b": 1}
    assert [p.name for p in path.parent.iterdir()] == ["numbers.json"]


@pytest.mark.parametrize(("named", "told"), [("other", "other"), ("temporary", "path"), (None, "path")])
def test_an_error_names_the_file_that_people_know(tmp_path, named, told):
    path, other = tmp_path / "numbers.json", tmp_path / "other.json"
    with pytest.raises(PermissionError) as refusal, replacing(path) as temporary:
        names = {"other": [str(other)], "temporary": [str(temporary)], None: []}
        raise PermissionError(13, "Permission denied", *names[named])
    assert refusal.value.filename == str({"other": other, "path": path}[told])
    assert refusal.value.strerror == "Permission denied"


def test_what_a_killed_process_left_is_cleared_where_only_stages_write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("data/.prepared.tmp-7-0", "data/model", "data/tmp", "metrics/plots"):
        Path(folder).mkdir(parents=True)
    kept = ("data/tmp/lock", "data/model/.listen.html.tmp-7-0", "metrics/plots/f1.json", "data/.gitignore")
    for path in (*kept, "data/.prepared.tmp-7-0/half", "metrics/.a.json.tmp-7-1", "metrics/plots/.f1.json.tmp-7-2"):
        Path(path).touch()
    clear()
    assert {str(path) for path in Path().rglob("*") if path.is_file()} == set(kept)


@pytest.mark.parametrize("place", ["a[1].json", "metrics/a.json", "data/b.json", "data/folder"])
def test_what_is_being_written_lies_beside_where_neither_git_nor_dvc_sees_it(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    path = Path(place)
    with replacing_folder(path) if place.endswith("folder") else replacing(path) as temporary:
        assert temporary.parent == path.parent.absolute()
        ignored = subprocess.run(["git", "check-ignore", path.with_name(temporary.name)], cwd=ROOT, check=False)
        assert ignored.returncode == 0
        assert DvcIgnoreFilter(localfs, str(ROOT)).is_ignored_file(str(ROOT / path.with_name(temporary.name)))
        temporary.touch()
        assert temporary.name.startswith(".")
    assert [path.name for path in path.parent.iterdir()] == [path.name]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    folder = tmp_path / "folder"
    for name in ("old", "new"):
        with replacing_folder(folder) as temporary:
            write_bytes(temporary / name, b"x")
    assert [p.name for p in folder.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_folder_that_cannot_be_replaced_comes_back(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").touch()

    def fail(path, target):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="Input/output error") as refusal, replacing_folder(tmp_path / "folder"):
        pass
    assert refusal.value.filename == str(tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "kept"]


def test_who_has_read_enough_of_a_stream_is_not_troubled(tmp_path):
    code = (
        "from pathlib import Path\nfrom stages.common.running import run_command\n"
        "from stages.common.writing import write_bytes\n"
        "run_command(lambda: write_bytes(Path('/dev/stdout'), bytes(10_000_000)))"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=tmp_path, **pipes) as writer:
        assert writer.stdout.read(1) == b"\0"
        writer.stdout.close()
        assert writer.stderr.read() == b""
        assert writer.wait() == 1


def make(path, what):
    """Put something at `path` that is not nothing."""
    if what == "folder":
        path.mkdir()
        (path / "kept").write_text("kept")
    elif what == "file":
        path.write_text("kept")
    elif what == "link to a file":
        path.with_name("target").write_text("kept")
        path.symlink_to("target")
    elif what == "link to a folder":
        path.with_name("target").mkdir()
        path.symlink_to("target", target_is_directory=True)
    elif what == "link to nothing":
        path.symlink_to("nowhere")
    elif what == "loop of links":
        path.symlink_to(path.name)
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "socket":
        with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)  # a socket's path may have a hundred characters
    elif what == "device":
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))  # as /dev/null


@pytest.mark.parametrize("opened", ["before", "while the file is being written"])
@pytest.mark.parametrize(
    ("replace", "there", "found"),
    [
        (replacing, "folder", "folder"),
        (replacing, "link to a folder", "folder"),
        (replacing, "socket", "socket"),
        (replacing_folder, "file", "file"),
        (replacing_folder, "link to a file", "file"),
        *((replacing_folder, what, what) for what in ("pipe", "socket", "device")),
    ],
)
def test_nothing_of_another_kind_is_replaced(tmp_path, replace, there, found, opened):
    path = tmp_path / "out"
    wanted = "file" if replace is replacing else "folder"

    def look():
        return {(p.name, p.lstat().st_mode, p.read_text() if p.is_file() else "") for p in tmp_path.rglob("*")}

    if opened == "before":
        make_or_skip(path, there)
        before = look()
    with pytest.raises(UserError, match=rf"out: found a {found}, expected a {wanted} or nothing there; "):  # noqa: SIM117
        with replace(path) as temporary:
            assert opened != "before", "it must be refused before any work is done"
            make_or_skip(path, there)
            before = look() - {(p.name, p.lstat().st_mode, "") for p in [temporary] if p.exists()}
            if replace is replacing:
                temporary.write_text("new")
    assert look() == before


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "disk" / "model").mkdir(parents=True)
    (tmp_path / "model").symlink_to("disk/model", target_is_directory=True)
    (tmp_path / "a.json").symlink_to("disk/a.json")  # leads to nothing yet
    with replacing_folder(tmp_path / "model") as folder:
        (folder / "new").write_text("x")
    for content in (b"1", b"2"):
        write_bytes(tmp_path / "a.json", content)
        assert (tmp_path / "disk" / "a.json").read_bytes() == content
    assert (tmp_path / "disk" / "model" / "new").read_text() == "x"
    assert (tmp_path / "model").is_symlink()
    assert (tmp_path / "a.json").is_symlink()
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == ["a.json", "model"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links") as refusal:
        write_bytes(tmp_path / "loop", b"x")
    assert refusal.value.filename == str(tmp_path / "loop")


def test_a_stream_is_written_to(tmp_path):
    """Of /dev/stdout nothing is replaced, be it a pipe, a device or a file behind it."""
    code = (
        "import sys; from pathlib import Path; from stages.common.writing import write_bytes\n"
        "print('first'); write_bytes(Path(sys.argv[1]), b'content')"
    )
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    run = functools.partial(subprocess.run, env=environment, cwd=tmp_path, check=True)
    for name in filter(os.path.exists, ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")):
        assert run([*command, name], capture_output=True).stdout == b"first\ncontent"
        with (tmp_path / "a").open("wb") as file:
            run([*command, name], stdout=file)
        assert (tmp_path / "a").read_bytes() == b"first\ncontent"
    null = Path("/dev/null")
    before = null.stat().st_rdev
    assert run([*command, "/dev/null"], capture_output=True).stdout == b"first\n"
    assert null.stat().st_rdev == before
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as cat:
        run([*command, "pipe"], capture_output=True)
        assert cat.stdout.read() == b"content"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "pipe"]


def make_or_skip(path, what):
    try:
        make(path, what)
    except PermissionError:
        pytest.skip(f"this user may not make a {what}")


def test_a_full_disk_is_told_in_one_line_and_loses_nothing(tmp_path):
    """A limit on the size of files makes the same call fail that a full disk does."""
    (tmp_path / "kept.bin").write_bytes(b"kept")
    code = (
        "from pathlib import Path\nfrom stages.common.running import run_command\n"
        "from stages.common.writing import write_bytes\n"
        f"run_command(lambda: write_bytes(Path({str(tmp_path / 'kept.bin')!r}), bytes(100_000)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path / 'kept.bin'}: File too large; free some space and run this again\n"
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("kept.bin", b"kept")]


NAMES = ["a,b", 'a"b', "a\nb", "a\rb", "a\r\nb", "a|b", "$a$", " a ", "ü", "日本", "'", "=1+1", "best", "", "caf\udce9"]


def test_what_starts_a_formula_gets_an_apostrophe_and_nothing_else_does():
    kept = {chr(code) for code in range(128)} - set("=+-@\t\r")
    assert {first for first in map(chr, range(128)) if spreadsheet_safe(f"{first}1+1") == f"'{first}1+1"} == set(
        "=+-@\t\r"
    )
    for name in ("", "a=1", "songs/=1.mp3", *(f"{first}1+1" for first in kept)):
        assert spreadsheet_safe(name) == name


def test_any_name_comes_back_from_csv_and_json(tmp_path):
    write_csv(tmp_path / "a.csv", NAMES, [[*NAMES[:-1], 1.5], NAMES])
    rows = list(read_csv(tmp_path / "a.csv", dict.fromkeys(NAMES, str)))
    assert rows == [[*NAMES[:-1], "1.5"], NAMES]
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        assert list(csv.reader(file))[2] == NAMES
    write_json(tmp_path / "a.json", dict.fromkeys(NAMES, 1))
    assert read_json(tmp_path / "a.json") == dict.fromkeys(NAMES, 1)
