"""Files are written whole or not at all; errors are one line."""

import resource
import subprocess
import sys

import pytest

from stages.files import UserError, read_json, replacing, write_bytes, write_json


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


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    folder = tmp_path / "folder"
    for name in ("old", "new"):
        with replacing(folder) as temporary:
            write_bytes(temporary / name, b"x")
    assert [p.name for p in folder.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


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
