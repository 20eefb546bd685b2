"""report: the committed pages are of the committed metrics."""

import re
import subprocess
from pathlib import Path

from conftest import ROOT

from stages import report
from stages.common.files import EVALUATED
from stages.common.records import read_by_name
from stages.common.results import Judgement
from stages.reporting import tables


def test_the_committed_pages_are_of_the_committed_metrics(tmp_path, monkeypatch):
    archive = subprocess.run(["git", "archive", "HEAD", "metrics"], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", tmp_path], input=archive.stdout, check=True)
    monkeypatch.chdir(tmp_path)
    judged = read_by_name(Judgement, EVALUATED)
    page = report.REPORT.read_text()
    for table in (tables.headline(judged), tables.baselines_table(judged), tables.devices_table()):
        assert "\n".join(table) in page, "commit all that `dvc repro` wrote to metrics/, or none of it"
    pictured = re.findall(r"!\[.+?\]\((.+?)\)", page)
    assert len(pictured) == 6
    for name in pictured:
        assert (Path("metrics") / name).read_bytes()[:4] == b"\x89PNG"
    card = report.MODEL_CARD.read_text()
    for result in judged.values():
        assert tables.with_interval(result, "f1_macro", result) in card
