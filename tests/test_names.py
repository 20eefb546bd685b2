"""Names that people give, of representations and classes: as they wrote them in every file, page and picture.

The pages are read by another program's Markdown, markdown-it, and the tables by Python's csv.
"""

import csv
import json
import re
import sys

import pytest
from conftest import make_arrays, save_arrays, write_params
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from repository import Repository

from stages import baselines, compare, evaluate, prepare, report, select, train
from stages.common.files import CONFUSION, CURVES, EVALUATED, F1, SELECTED, read_json, timing_path
from stages.common.results import Timing
from stages.models.songs import MOST_MISTAKES
from stages.reporting.tables import table, text

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MARKUP = [
    "|",
    "\\",
    "`",
    "<",
    ">",
    "*",
    "_",
    "~~",
    "$",
    "[x](y)",
    "![",
    "]",
    "&amp;",
    "<br>",
    "#",
    "- ",
    "1. ",
    "=",
    ":",
]
NEWLINES = ["\n", "\r", "\r\n"]
CLASSES = ["a, b", 'a "quoted" one', "two\nlines", "back\rhere", "a|b|c", "`code`", "<b>*bold* _it_</b>", r"$\frac{$ 5"]
CLASSES += ["[x](y)", "~~gone~~ &lt; \\|", "=1+1", "best", "2"]
REPRESENTATIONS = ["best", "cpu", "threads", "a.b|c", "# `x`\n*y* $[l](u)<i>"]


def rendered(inline):
    """Return what a reader sees of a line of Markdown; whatever is not plain text is told by its kind."""
    shown = {"text": lambda token: token.content, "html_inline": lambda token: {"<br>": "\n"}[token.content]}
    return "".join(shown.get(token.type, lambda token: f"({token.type})")(token) for token in inline.children)


def tables_of(markdown):
    """Return the tables of a page, each a list of rows of cells."""
    tables, before = [], None
    for token in MARKDOWN.parse(markdown):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif before in ("th_open", "td_open"):
            tables[-1][-1].append(rendered(token))
        before = token.type
    return tables


def one_kind_of_newline(name):
    return re.sub("\r\n?", "\n", name)


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*MARKUP, *NEWLINES, "a", "é", " "]), max_size=8).map("".join))
@example("a_b __c__ _d_")
def test_any_name_is_read_from_markdown_as_it_was_written(name):
    expected = one_kind_of_newline(name).strip(" ")
    ((head, row),) = tables_of("\n".join(table([text(name), "x"], [["x", text(name)]])))
    assert [head[0].strip(" "), row[1].strip(" ")] == [expected, expected]
    paragraph = MARKDOWN.parse(f"- model {text(name)}: x")
    assert [token.type for token in paragraph][2:4] == ["paragraph_open", "inline"]
    assert rendered(paragraph[3]) == f"model {one_kind_of_newline(name)}: x"


@pytest.fixture(scope="module")
def figures():
    """What the chain drew, as Matplotlib has it: to write it as pictures would take longer than all else here."""
    return []


@pytest.fixture(scope="module")
def chain(tmp_path_factory, figures):
    """A folder in which the whole chain has run on such names, and the pages were written."""

    def keep(figure, path):
        figures.append(figure)
        path.touch()
        return set()

    folder = tmp_path_factory.mktemp("names")
    X, labels, groups = make_arrays(n=12 * len(CLASSES), classes=CLASSES)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_params(representations=REPRESENTATIONS)
        for name in REPRESENTATIONS:
            save_arrays(folder / "data" / "mine" / name, X, labels, groups)
        patch.setattr("stages.common.tasks.cores", lambda: 1)
        patch.setattr("stages.common.drawing.save", keep)
        for stage, *arguments in (
            (prepare,),
            (baselines,),
            (train, "cpu"),
            (train, "gpu"),
            (select,),
            (evaluate,),
            (compare,),
            (report,),
        ):
            patch.setattr(sys, "argv", ["", *arguments])
            stage.main()
    return folder


def test_no_name_stands_beside_a_key_of_ours(chain, monkeypatch):
    monkeypatch.chdir(chain)
    assert read_json(EVALUATED).keys() == set(REPRESENTATIONS)
    assert read_json(SELECTED).keys() == {"best", "model", "representations"}
    assert read_json(SELECTED)["representations"].keys() == set(REPRESENTATIONS)
    timing = Timing.read(timing_path("cpu"))
    assert timing.representations.keys() == set(REPRESENTATIONS)
    assert timing.hardware.versions.keys() >= {"torch"}


def test_records_and_tables_hold_the_very_names(chain, monkeypatch):
    monkeypatch.chdir(chain)
    assert {path.stem for path in CONFUSION.iterdir()} == set(REPRESENTATIONS)
    assert {path.stem for path in CURVES.iterdir()} == {f"{name}_cpu" for name in REPRESENTATIONS}
    for name in REPRESENTATIONS:
        with (CONFUSION / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert {row["actual"] for row in rows} == {row["predicted"] for row in rows} == set(CLASSES)
        assert read_json(EVALUATED)[name]["f1"].keys() == set(CLASSES)
        assert [record["class"] for record in read_json(F1) if record["representation"] == name] == sorted(CLASSES)


def test_pages_show_the_very_names(chain):
    names = sorted(map(one_kind_of_newline, REPRESENTATIONS))
    scores, simpler, mistaken, seconds = tables_of((chain / "metrics" / "report.md").read_text(encoding="utf-8"))
    for rows, times in ((scores, 2), (simpler, 6), (mistaken, MOST_MISTAKES), (seconds, 1)):
        assert [row[0] for row in rows[1:]] == [name for name in names for _ in range(times)]
        assert len({len(row) for row in rows}) == 1
    classes = set(map(one_kind_of_newline, CLASSES))
    assert {name for row in mistaken[1:] for name in row[2:4]} <= classes
    card = (chain / "metrics" / "model_card.md").read_text(encoding="utf-8")
    models, *counts = tables_of(card)
    assert [row[0] for row in models[1:]] == names
    assert [each[0] for each in counts] == [
        [what, *map(one_kind_of_newline, sorted(CLASSES))] for what in ("samples", "songs")
    ]
    lines = [rendered(token) for token in MARKDOWN.parse(card) if token.type == "inline"]
    listed = ", ".join([*map(one_kind_of_newline, sorted(CLASSES)[:10]), "and 3 more"])
    assert f"Models that name the genre of one second of music: {listed}." in lines
    for name in names:
        assert f"model {name}: unknown" in lines  # the front end


def test_pictures_show_each_name_in_a_line(chain, figures):
    def in_a_line(name):
        return name.replace("\n", r"\n").replace("\r", r"\r")

    classes, names = {*map(in_a_line, CLASSES)}, sorted(map(in_a_line, REPRESENTATIONS))
    *panels, seconds = [axes for figure in figures for axes in figure.axes]
    assert [axes.get_title() for axes in panels] == 5 * names
    named = [{text.get_text() for text in axes.get_yticklabels()} for axes in panels]
    assert named.count(classes) == 2 * len(names), "the confusion and the F1 of each"
    bars = [text.get_text() for text in seconds.get_yticklabels()]
    assert [bar.partition(", cpu: ")[0] for bar in bars] == [name for name in names for _ in range(2)]


def test_metrics_diff_shows_the_very_names(tmp_path):
    """DVC joins keys by dots, and a dot in a name stays one."""
    repository = Repository(tmp_path / "clone")
    repository.folder.mkdir()
    (repository.folder / "dvc.yaml").write_text("metrics: [a.json]\n")
    metrics = repository.folder / "a.json"
    repository.run("git", "init", "--quiet")
    repository.dvc("init", "--quiet")
    metrics.write_text(json.dumps({name: {"f1": {"x.y": 1}} for name in REPRESENTATIONS}))
    repository.commit()
    metrics.write_text(json.dumps({name: {"f1": {"x.y": 2}} for name in REPRESENTATIONS}))
    differs = json.loads(repository.dvc("metrics", "diff", "--json"))["a.json"]
    assert differs == {f"{name}.f1.x.y": {"old": 1, "new": 2, "diff": 1} for name in REPRESENTATIONS}
