"""Files are written whole or not at all; errors are one line."""

import os
import resource
import socket
import stat
import subprocess
import sys

import numpy as np
import pytest

from stages.files import (
    UserError,
    read_json,
    replacing,
    replacing_folder,
    run_stage,
    write_array,
    write_bytes,
    write_json,
)


def test_a_failed_write_leaves_what_was_there(tmp_path):
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


def test_a_folder_that_a_killed_process_left_is_no_obstacle(tmp_path):
    left = tmp_path / f".folder.{os.getpid()}.new"
    left.mkdir()
    (left / "half").write_text("half")
    with replacing_folder(tmp_path / "folder") as temporary:
        write_bytes(temporary / "whole", b"x")
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["whole"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    folder = tmp_path / "folder"
    for name in ("old", "new"):
        with replacing_folder(folder) as temporary:
            write_bytes(temporary / name, b"x")
    assert [p.name for p in folder.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


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
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    elif what == "device":
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))  # as /dev/null


LINKS = ("link to a file", "link to a folder", "link to nothing", "loop of links")


@pytest.mark.parametrize("opened", ["before", "while the file is being written"])
@pytest.mark.parametrize(
    ("replace", "there", "found"),
    [
        (replacing, "folder", "folder"),
        (replacing_folder, "file", "file"),
        *((replace, what, "symbolic link") for replace in (replacing, replacing_folder) for what in LINKS),
        *((replace, what, what) for replace in (replacing, replacing_folder) for what in ("pipe", "socket", "device")),
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


def make_or_skip(path, what):
    try:
        make(path, what)
    except PermissionError:
        pytest.skip(f"this user may not make a {what}")


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (UserError("lr: found abc"), "error: lr: found abc")]
)
def test_a_stage_ends_in_one_line(error, code):
    def stage():
        raise error

    with pytest.raises(SystemExit) as end:
        run_stage(stage)
    assert end.value.code == code


def test_no_pickle_is_ever_written(tmp_path):
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_array(tmp_path / "a.npy", np.array([{}]))
    assert list(tmp_path.iterdir()) == []


def test_unreadable_json_is_named(tmp_path):
    with pytest.raises(UserError, match=r"a.json: not found; `dvc repro` makes it"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match=r"a.json: no JSON"):
        read_json(tmp_path / "a.json")


def test_a_full_disk_is_told_in_one_line_and_loses_nothing(tmp_path):
    """A limit on the size of files makes the same call fail that a full disk does."""
    (tmp_path / "kept.bin").write_bytes(b"kept")
    code = (
        "from pathlib import Path; from stages.files import run_stage, write_bytes;"
        f"run_stage(lambda: write_bytes(Path({str(tmp_path / 'kept.bin')!r}), bytes(100_000)))"
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
