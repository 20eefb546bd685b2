"""genre: every command reaches its room, and a wrong command line ends in one line that says where the help is."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from stages import cli
from stages.common.files import UserError

WORK = {  # what a command calls
    "splits": "stages.reporting.splits.print_splits",
    "export": "stages.listening.onnx.export",
    "page": "stages.listening.page.build.write_page",
    "fix": "stages.upkeep.fix.fix",
}


@pytest.mark.parametrize("command", WORK)
def test_a_command_does_its_work(monkeypatch, command):
    done = []
    monkeypatch.setattr(WORK[command], lambda: done.append(command))
    cli.run([command])
    assert done == [command]


def test_predict_is_handed_its_options(monkeypatch):
    monkeypatch.setattr("stages.listening.predict.predict", lambda arguments: seen.append(arguments))
    seen = []
    cli.run(["predict", "a.wav", "b", "--hop", "0.5", "--plot", "c.png"])
    assert (seen[0].songs, seen[0].hop, seen[0].plot) == ([Path("a.wav"), Path("b")], 0.5, Path("c.png"))
    assert (seen[0].unknown, seen[0].smooth, seen[0].seconds) == (0, 0, False)
    assert (seen[0].csv, seen[0].representation) == (None, None)


def test_judge_is_handed_its_options(monkeypatch):
    monkeypatch.setattr("stages.listening.judge.judge", lambda arguments: seen.append(arguments))
    seen = []
    cli.run(["judge", "songs", "--csv", "a.csv"])
    assert (seen[0].folder, seen[0].csv, seen[0].json, seen[0].representation) == (
        Path("songs"), Path("a.csv"), None, None
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "required: COMMAND; see genre --help"),
        (["sing"], "invalid choice: 'sing' .*; see genre --help"),
        (["predict"], "required: songs; see genre predict --help"),
        (["judge"], "required: folder; see genre judge --help"),
        (["predict", "a.wav", "--hop", "fast"], "--hop: invalid float value: 'fast'; see genre predict --help"),
        (["page", "data"], "unrecognized arguments: data; see genre --help"),
    ],
)
def test_a_wrong_command_line(words, says):
    with pytest.raises(UserError, match=says):
        cli.run(words)


def test_it_is_installed_beside_python_and_starts_without_what_it_does_not_need(tmp_path):
    """`make` installs it; help and refusals come at once."""
    genre = Path(sys.executable).with_name("genre")
    told = subprocess.run([genre, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    for command in ("predict", "judge", *WORK):
        assert f"\n    {command} " in told
    refused = subprocess.run([genre, "sing"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: argument COMMAND: invalid choice: 'sing'")
    code = "import sys, stages.cli; sys.exit(bool({'torch', 'numpy', 'scipy', 'pydantic'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
