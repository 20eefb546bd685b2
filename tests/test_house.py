"""The house: which room may import which, that DVC knows what every stage imports, and that rooms stay small."""

import ast
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

STAGES = ROOT / "stages"
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in STAGES.rglob("*.py"))
ROOMS = ("learning", "audio", "reporting")
GROUND = tuple(
    f"stages/{name}.py"
    for name in (
        "arrays",
        "files",
        "fingerprints",
        "params",
        "records",
        "results",
        "running",
        "tasks",
        "tensors",
        "writing",
    )
)
LARGEST, LONGEST, MOST_PARAMETERS = 250, 45, 5


def room(module):
    """Return the room a module is in: one of ROOMS, "ground" or "door"."""
    folder = Path(module).parts[1]
    return folder if folder in ROOMS else "ground" if module in GROUND else "door"


def imports(module):
    """Return the project's modules that a module imports, on its own or in a function; not for type hints alone."""
    tree = ast.parse((ROOT / module).read_text())
    hints = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in hints and (node.module or "").startswith("stages"):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = {f"{name.replace('.', '/')}.py" for name in names}
    return files & set(MODULES) - {module}


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module):
    allowed = {"door": ("door", *ROOMS, "ground"), "reporting": ("reporting", "learning", "ground")}
    allowed |= {"learning": ("learning", "ground"), "audio": ("audio", "ground"), "ground": ("ground",)}
    assert {other for other in imports(module) if room(other) not in allowed[room(module)]} == set()


def needed(module):
    """Return all modules of the project that a module needs, itself included."""
    found, new = set(), {module}
    while new:
        found |= new
        new = {other for each in new for other in imports(each)} - found
    return found


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) == "learning"])
def test_learning_reads_no_parameters(module):
    assert "stages/params.py" not in needed(module)


@pytest.mark.parametrize("pipeline", ["dvc.yaml", "data/dvc.yaml"])
def test_dvc_knows_exactly_what_every_stage_imports(pipeline):
    for name, stage in yaml.safe_load((ROOT / pipeline).read_text())["stages"].items():
        door = f"stages/{stage['cmd'].split()[2].removeprefix('stages.')}.py"
        assert {dep for dep in stage["deps"] if dep.startswith("stages/")} == needed(door), name
        assert len(stage.get("plots", [])) <= 5, name


def test_no_room_is_too_large_and_no_function_too_long():
    large = {module: n for module in MODULES if (n := len((ROOT / module).read_text().splitlines())) > LARGEST}
    assert set(large) == {"stages/audio/composer.py"}
    for module in MODULES:
        if module in large:
            continue
        for node in ast.walk(ast.parse((ROOT / module).read_text())):
            if isinstance(node, ast.FunctionDef):
                where = f"{module}: {node.name}"
                assert node.end_lineno - node.lineno < LONGEST, where
                parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                own = [each for each in parameters if each.arg not in ("self", "cls")]
                assert len(own) <= MOST_PARAMETERS, where


@pytest.mark.parametrize("module", [module for module in MODULES if not module.endswith("__init__.py")])
def test_every_module_has_its_file_of_tests(module):
    path = Path(module)
    assert (ROOT / "tests" / Path(*path.parts[1:-1]) / f"test_{path.name}").exists()
