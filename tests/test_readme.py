"""The guides say what was measured and draw the pipeline as it is; the files, commands and messages in them exist."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from bench import guides
from stages import cli
from stages.common.files import UserError
from stages.common.params import KEYS, load_params

DOCS = sorted(path.relative_to(ROOT) for path in ROOT.glob("docs/*.md"))
GUIDES = [Path("README.md"), Path("CONTRIBUTING.md"), Path("bench/README.md"), *DOCS]
TEXTS = {guide: (ROOT / guide).read_text(encoding="utf-8") for guide in GUIDES}
BLOCKS = [(guide, name) for guide, blocks in guides.GUIDES.items() for name in blocks]
LIVE = ("predict", "dag")  # come from running something, not from committed figures
MOST_WORDS = 1300  # in README.md
THE_READERS = ("data/tmp", "data/mine", "data/audio")  # the reader's own folders


def block(text: str, name: str) -> str:
    return re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)[1]


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """The guides and what they report as committed: a run of one's own changes metrics/, the guides only when asked."""
    folder = tmp_path_factory.mktemp("committed")
    wanted = sorted({path.parts[0] for path in guides.GUIDES} | {"metrics", "bench", "params.yaml"})
    archive = subprocess.run(["git", "archive", "HEAD", *wanted], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder


@pytest.mark.parametrize(("guide", "name"), [(guide, name) for guide, name in BLOCKS if name not in LIVE])
def test_figures_are_those_of_the_committed_results(committed, monkeypatch, guide, name):
    monkeypatch.chdir(committed)
    remedy = f"{guide} shows other results than those committed: run `make readme` and commit it"
    assert block(guide.read_text(encoding="utf-8"), name) == guides.GUIDES[guide][name](), remedy


def test_what_the_guides_conclude_from_the_figures_holds(committed):
    """The network is undertrained, a support vector machine beats it, and the recipes named do better."""
    last = load_params(committed / "params.yaml").epochs - 1
    for result in json.loads((committed / "metrics/evaluate.json").read_text()).values():
        assert result["baselines"]["svm_rbf"]["f1_macro"] > result["f1_macro"]
        assert 0.9 * last < result["runs"]["best_epoch_mean"] <= last
    recipes = json.loads((committed / "bench/results/recipes.json").read_text())
    default = recipes["learning rates"]["lr 0.002"]["f1_macro"]
    for better in (recipes["learning rates"]["lr 0.01"], recipes["optimizers"]["Adam"]):
        assert all(score["mean"] > default[name]["mean"] for name, score in better["f1_macro"].items())


def test_what_the_guides_conclude_of_the_gpu_holds(committed):
    """One run on MFCCs is no faster than on one core, on melgrams five times; five take less than two alone."""
    found = json.loads((committed / "bench/results/gpu-nvidia-h200.json").read_text())["representations"]
    one, five, cpu = (
        {name: row["train_seconds"][f"ours, {who}"] for name, row in found.items()}
        for who in ("1 at once", "5 at once", "CPU")
    )
    assert 0.9 < cpu["mfccs"] / one["mfccs"] < 1.1
    assert cpu["melgrams"] > 5 * one["melgrams"]
    assert all(five[name] < 2 * one[name] for name in found)
    assert all(row["agreement"]["same_bytes_twice"] for row in found.values())


def test_the_picture_of_the_pipeline_is_dvcs():
    def edges(drawn):
        names = dict(re.findall(r'(node\d+)\["(.+?)"\]', drawn))
        return {(names[a], names[b]) for a, b in re.findall(r"(node\d+)-->(node\d+)", drawn)}

    dvc = Path(sys.executable).with_name("dvc")
    drawn = subprocess.run([dvc, "dag", "--mermaid"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert edges(block(TEXTS[Path("README.md")], "dag")) == edges(drawn)
    assert ("select", "evaluate") in edges(drawn)


def test_every_block_has_its_marks_and_every_mark_its_block():
    marked = [(guide, name) for guide, text in TEXTS.items() for name in re.findall(r"<!-- (\w+) -->", text)]
    assert sorted(marked) == sorted(BLOCKS)
    for guide, name in BLOCKS:
        assert guides.fill(TEXTS[guide], name, block(TEXTS[guide], name)) == TEXTS[guide]


def test_a_missing_block_is_an_error():
    assert guides.fill("a\n<!-- b -->\nold\n<!-- /b -->\n", "b", "new\n") == "a\n<!-- b -->\nnew\n<!-- /b -->\n"
    with pytest.raises(UserError, match="expected one block"):
        guides.fill("nothing", "b", "new")


def test_the_readme_is_short():
    """Counted as `wc -w` does: everything between white space, in code, tables and blocks too."""
    assert len(TEXTS[Path("README.md")].split()) <= MOST_WORDS


def outputs() -> Iterator[str]:
    """Yield every path that a stage makes."""
    for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values():
        for entry in (*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])):
            yield entry if isinstance(entry, str) else next(iter(entry))


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_files_it_names_exist_or_are_made(guide):
    named = re.findall(r"`((?:stages|data|metrics|tests|bench|docs|\.github)/[\w./]*)`", TEXTS[guide])
    made = [*outputs(), *THE_READERS]

    def is_there(name: str) -> bool:
        return (ROOT / name).exists() or any(name.startswith(out) or out.startswith(name) for out in made)

    assert named
    assert [name for name in named if not is_there(name)] == []


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_its_links_lead_somewhere(guide):
    links = re.findall(r"\]\((?!https://)(.*?)(?:#(.*?))?\)", TEXTS[guide])
    for path, anchor in links:
        target = (ROOT / guide).parent / path if path else ROOT / guide
        assert target.exists(), path
        if anchor:
            titles = re.findall(r"^#+ (.+)", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


def test_every_guide_is_reached_from_the_readme():
    linked = re.findall(r"\]\((.+?)[#)]", TEXTS[Path("README.md")])
    assert {str(guide) for guide in GUIDES} - {"README.md"} <= set(linked)


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_commands_it_names_exist(guide):
    text = TEXTS[guide]
    for module in re.findall(r"python -m ((?:stages|bench)[\w.]+)", text):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists(), module
    for command in re.findall(r"(?:^|`)genre (\w+)", text, re.MULTILINE):
        assert callable(getattr(cli, command)), command
    targets = re.findall(r"^(\w+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for typed in re.findall(r"(?:^|`)make(?: PYTHON=\S+)?((?: [a-z]+)+)", text, re.MULTILINE):
        assert set(typed.split()) <= set(targets), typed
    for key in re.findall(r"-S '?\+?([\w.]+)=", text):
        assert set(key.split(".")[:1]) <= KEYS, key


@cache
def string_templates() -> list[str]:
    """Return every string of the program, with … for what it fills in, and the lines of the Makefile."""
    templates = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    for path in (ROOT / "stages").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                templates.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                templates.append("".join(parts))
    return templates


def quoted_messages() -> list[str]:
    """Return what stands as code in the first column of the tables of docs/errors.md."""
    rows = re.findall(r"^\| (.+?) \| ", TEXTS[Path("docs/errors.md")], re.MULTILINE)
    quoted = [code.strip() for row in rows for _, code in re.findall(r"(`+)(.+?)\1(?!`)", row)]
    assert len(quoted) == sum("`" in row for row in rows) > 15
    return quoted


@pytest.mark.parametrize("message", quoted_messages())
def test_messages_it_quotes_exist(message):
    """Its words, between one … and the next, stand in this order in one string of the program."""
    words = re.compile(".*".join(map(re.escape, message.strip("…").split("…"))), re.DOTALL)
    assert any(words.search(template) for template in string_templates())


def test_headings_that_messages_send_to_exist():
    sent = [title for template in string_templates() for title in re.findall(r"see '([^']+)' in the README", template)]
    titles = re.findall(r"^## (.+)", TEXTS[Path("README.md")], re.MULTILINE)
    assert sent
    assert {title.lower() for title in sent} <= {title.lower() for title in titles}
