"""The pinned lists hold all that pyproject.toml asks for, once for each Python, and a hash of everything but torch."""

import ast
import re
import sys
import tomllib

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WANTED = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
(TORCH,) = tomllib.loads((ROOT / ".ci" / "lock.toml").read_text(encoding="utf-8"))["dependency-metadata"]
HASH = r"--hash=sha256:[0-9a-f]{64}\b"


def pins(file):
    """Return a list's requirements and how many hashes each has."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / file).read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(Requirement(line.split("--hash")[0].strip()), len(re.findall(HASH, line))) for line in lines if line]


@pytest.mark.parametrize("file", ["requirements.txt", "bench/requirements.txt", ".ci/uv.txt"])
def test_everything_but_torch_has_a_hash(file):
    assert pins(file)
    assert [pin.name for pin, hashes in pins(file) if not hashes or pin.name == "torch"] == []


def test_torch_alone_has_none():
    wanted = next(each for each in WANTED if each.startswith("torch"))
    assert pins("requirements-torch.txt") == [(Requirement(wanted), 0)]
    assert wanted == f"torch=={TORCH['version']}"


def test_the_setuptools_that_installs_this_is_the_pinned_one():
    (pinned,) = [str(pin) for pin, _ in pins("requirements.txt") if pin.name == "setuptools"]
    assert PROJECT["build-system"]["requires"] == [pinned]


def test_uv_is_pinned_as_pyproject_says():
    assert [str(pin) for pin, _ in pins(".ci/uv.txt")] == EXTRAS["install"]


def test_uv_reads_nothing_of_this_projects_that_would_leave_cuda_packages_out():
    assert "uv" not in PROJECT["tool"]
    assert not (ROOT / "uv.toml").exists()


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("extras", [[], ["export"], ["cluster"], ["test"], ["test", "bench"]], ids="+".join)
def test_what_pyproject_asks_for_is_pinned(python, extras):
    file = "bench/requirements.txt" if "bench" in extras else "requirements.txt"
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    pinned = {}
    for pin, _ in pins(file) + pins("requirements-torch.txt"):
        if pin.marker is None or pin.marker.evaluate(here):
            (version,) = pin.specifier
            assert version.operator == "=="
            assert pinned.setdefault(canonicalize_name(pin.name), version.version) == version.version
    wanted = [Requirement(each) for each in sum((EXTRAS[extra] for extra in extras), WANTED)]
    wanted += [Requirement(each) for each in TORCH["requires-dist"]]
    assert [str(each) for each in wanted if pinned[canonicalize_name(each.name)] not in each.specifier] == []


NAMES = {
    "PIL": "pillow",
    "markdown_it": "markdown-it-py",
    "sklearn": "scikit-learn",
    "xdist": "pytest-xdist",
    "yaml": "pyyaml",
    "zc": "zc.lockfile",
}
OURS = {path.stem for top in (ROOT, ROOT / "tests") for path in top.iterdir() if path.suffix in ("", ".py")} | {
    "pip"  # which a venv brings
}
READERS = {  # what of pyproject.toml may be imported where; of two that fit, the latter
    "stages/": ["export", "cluster"],
    "bench/": ["test", "bench"],
    "tests/": ["test"],
    "tests/golden/": ["bench"],
    "tests/mutants.py": ["mutants"],
}
COMMANDS = {"ruff", "uv"}
OF_DVC = {"ruamel-yaml-clib"}  # which reads YAML with it
OF_TORCH = {"triton"}  # which its build for CUDA brings
OF_PEERS = {"eyed3", "hmmlearn", "imbalanced-learn", "plotly", "pydub"}  # pyAudioAnalysis imports them


def imports(path):
    """Return the packages of others that a file imports, as they are called where they are installed from."""
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    modules = [
        name
        for node in tree
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    ]
    roots = {name.split(".")[0] for name in modules} - sys.stdlib_module_names - OURS - OF_TORCH
    return {canonicalize_name(NAMES.get(root, root)) for root in roots}


def declared(extras):
    """Return what pyproject.toml asks for, with these extras."""
    return {canonicalize_name(Requirement(each).name) for each in sum((EXTRAS[extra] for extra in extras), WANTED)}


FILES = [
    path.relative_to(ROOT).as_posix() for top in ("stages", "bench", "tests") for path in (ROOT / top).rglob("*.py")
]


def test_what_is_imported_is_declared():
    undeclared = {}
    for file in FILES:
        extras = [extras for place, extras in READERS.items() if file.startswith(place)][-1]
        if unknown := imports(ROOT / file) - declared(extras):
            undeclared[file] = unknown
    assert undeclared == {}


def test_what_is_declared_is_imported():
    used = {file: imports(ROOT / file) for file in FILES}
    by_stages = set().union(*(names for file, names in used.items() if file.startswith("stages/")))
    assert declared([]) - by_stages == OF_DVC
    assert declared(EXTRAS) - set().union(*used.values()) == COMMANDS | OF_DVC | OF_PEERS


def test_the_measurements_use_the_same_versions():
    assert {str(pin) for pin, _ in pins("requirements.txt")} <= {str(pin) for pin, _ in pins("bench/requirements.txt")}
