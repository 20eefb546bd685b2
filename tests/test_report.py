"""report: the committed pages are of the committed metrics."""

import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

from stages import report
from stages.common.files import EVALUATED
from stages.common.records import Description, History, Source, read_by_name
from stages.common.results import Judgement, Selection
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


@pytest.mark.parametrize(
    ("dataset", "audio"),
    [("data/features", {"audio": {"sample_rate": 22050}}), ("data/demo", {}), ("data/mine", {})],
)
def test_the_parameters_are_those_that_the_results_rest_on(dataset, audio):
    """The sampling rate is one where it made the data set."""
    source = Source.model_construct(dataset=dataset, sample_rate=22050)
    found = report.params_of(
        Description.model_construct(params={"split_seed": 3, "dataset": dataset}, source=source),
        History.model_construct(params={"lr": 0.5}),
        Selection.model_construct(model="all"),
    )
    expected = {"dataset": dataset, "split_seed": 3, "lr": 0.5, "model": "all"} | audio
    assert list(found.items()) == list(expected.items())
