"""The README says what was measured and draws the pipeline as it is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from stages import readme
from stages.files import UserError

TEXT = (ROOT / "README.md").read_text()


def block(text, name):
    return re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)[1]


def test_figures_are_those_of_the_committed_metrics(tmp_path, monkeypatch):
    """As committed: a run of one's own changes metrics/, and the README only when asked."""
    archive = subprocess.run(
        ["git", "archive", "HEAD", "README.md", "metrics", "bench"], cwd=ROOT, capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", tmp_path], input=archive.stdout, check=True)
    monkeypatch.chdir(tmp_path)
    text = Path("README.md").read_text()
    assert block(text, "results") == readme.results()
    assert block(text, "recipes") == readme.recipes()
    assert block(text, "speed") == readme.speed()
    assert block(text, "features") == readme.features()


def test_the_picture_of_the_pipeline_is_dvcs():
    def edges(drawn):
        names = dict(re.findall(r'(node\d+)\["(.+?)"\]', drawn))
        return {(names[a], names[b]) for a, b in re.findall(r"(node\d+)-->(node\d+)", drawn)}

    dvc = Path(sys.executable).with_name("dvc")
    drawn = subprocess.run([dvc, "dag", "--mermaid"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert edges(block(TEXT, "dag")) == edges(drawn)
    assert ("select", "evaluate") in edges(drawn)


def test_files_it_names_exist():
    made = ("data/demo", "data/model", "data/mine", "data/audio", "data/features")
    named = re.findall(r"`((?:stages|data|metrics|tests|bench)/[\w./]*)`", TEXT)
    named += re.findall(r"\]\(((?:metrics|stages)/.+?)\)", TEXT)
    assert len(named) > 9
    assert [name for name in named if not name.startswith(made) and not (ROOT / name).exists()] == []


def test_a_missing_block_is_an_error():
    assert readme.fill("a\n<!-- b -->\nold\n<!-- /b -->\n", "b", "new\n") == "a\n<!-- b -->\nnew\n<!-- /b -->\n"
    with pytest.raises(UserError, match="expected one block"):
        readme.fill("nothing", "b", "new")
