"""The house: which room may import which, that DVC knows what every stage imports, and that rooms stay small."""

import ast
from pathlib import Path
from typing import get_args

import pytest
import yaml
from conftest import ROOT

from stages.audio.front_end import FRONT_ENDS
from stages.audio.library import COLUMNS
from stages.baselines import BASELINE_NAMES
from stages.check import COMMON_OPTIMIZERS
from stages.common.params import Audio, Params, Split
from stages.common.records import DEVICES, MODELS, NETWORKS, PARTS, UNITS, Drawn
from stages.common.results import PARTS_OF_TIME

STAGES = ROOT / "stages"
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in STAGES.rglob("*.py"))
FLOORS = {"common": 0} | dict.fromkeys(("arrays", "audio", "corpus", "models"), 1)
FLOORS |= dict.fromkeys(("training", "listening", "reporting", "upkeep"), 2) | {"": 3}
LARGEST, LONGEST, MOST_PARAMETERS = 250, 45, 5


def room(module):
    """Return the room a module is in; "" of a stage and the command line."""
    return Path(module).parts[1] if len(Path(module).parts) > 2 else ""


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
    own = room(module)
    floor = FLOORS[own]
    assert {other for other in imports(module) if room(other) != own and FLOORS[room(other)] >= floor} == set()


def needed(module):
    """Return all modules of the project that a module needs, itself included."""
    found, new = set(), {module}
    while new:
        found |= new
        new = {other for each in new for other in imports(each)} - found
    return found


@pytest.mark.parametrize(
    "module", [module for module in MODULES if room(module) in ("arrays", "audio", "models", "training")]
)
def test_learning_reads_no_parameters(module):
    assert "stages/common/params.py" not in needed(module)


PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def module_of(stage):
    return f"stages/{stage['cmd'].split()[2].removeprefix('stages.')}.py"


@pytest.mark.parametrize("name", PIPELINE)
def test_what_a_stage_imports_lies_in_its_folders(name):
    """And a folder of which it needs nothing is none of them."""
    stage = PIPELINE[name]
    door = module_of(stage)
    rooms = {f"stages/{room(module)}" for module in needed(door) - {door}}
    assert {dep for dep in stage["deps"] if dep.startswith("stages/")} == {door} | rooms
    assert len(stage.get("plots", [])) <= 5, name


def test_the_modules_are_the_stages_and_the_command_line():
    stages = set(map(module_of, PIPELINE.values()))
    others = {f"stages/{name}.py" for name in ("__init__", "cli", "stages")}
    assert {module for module in MODULES if not room(module)} == stages | others


def test_the_pipeline_is_readable():
    code = [dep for stage in PIPELINE.values() for dep in stage["deps"] if "stages/" in dep]
    assert len(code) <= 40
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 130


def literals(model, key):
    """Return what a parameter may be."""
    return get_args(model.model_fields[key].annotation)


HOMES = {  # the module that says what there is, what there is, and how many of them together are a list of it
    "networks": ("stages/common/records.py", NETWORKS, 2),
    "models": ("stages/common/records.py", MODELS, 3),
    "devices": ("stages/common/records.py", DEVICES, 2),
    "parts": ("stages/common/records.py", PARTS, 3),
    "units": ("stages/common/records.py", UNITS, 3),
    "parts of time": ("stages/common/results.py", PARTS_OF_TIME, 2),
    "optimizers": ("stages/check.py", COMMON_OPTIMIZERS, 2),
    "baselines": ("stages/baselines.py", BASELINE_NAMES, 2),
    "representations": ("stages/audio/front_end.py", FRONT_ENDS, 2),
    "columns of songs": ("stages/audio/library.py", COLUMNS, 3),
    "schedules": ("stages/common/params.py", literals(Params, "schedule"), 2),
    "class weights": ("stages/common/params.py", literals(Params, "class_weights"), 2),
    "snapshots": ("stages/common/params.py", literals(Params, "snapshots"), 2),
    "errors": ("stages/common/params.py", literals(Audio, "on_error"), 2),
}


def strings(nodes):
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@pytest.fixture(scope="module")
def written():
    """Every dictionary and every list of strings in the code: its file and line, whether it is one, its strings."""
    found = []
    for file in [*MODULES, *(path.relative_to(ROOT).as_posix() for path in (ROOT / "bench").glob("*.py"))]:
        for node in ast.walk(ast.parse((ROOT / file).read_text())):
            if isinstance(node, ast.Dict):
                found.append((f"{file}:{node.lineno}", True, strings(node.keys)))
            elif isinstance(node, ast.Tuple | ast.List | ast.Set):
                found.append((file, False, strings(node.elts)))
    return found


@pytest.mark.parametrize("home", HOMES)
def test_every_list_is_begun_once(home, written):
    """What is looked up by its members names them all, so that none is taken for another."""
    place, members, several = HOMES[home]
    begun = [each for each in written if len(each[2] & set(members)) >= several]
    lists = [where for where, by_name, _ in begun if not by_name]
    lookups = [
        where for where, by_name, own in begun if by_name and not own >= set(members) - {"total"}
    ]  # of the parts
    assert lookups == []
    assert lists == ([] if isinstance(members, dict) else [place])


def test_records_of_parts_have_them_all():
    assert tuple(Split.model_fields) == PARTS
    assert tuple(Drawn.model_fields) == ("seed", *PARTS)


def test_no_room_is_too_large_and_no_function_too_long():
    for module in MODULES:
        assert len((ROOT / module).read_text().splitlines()) <= LARGEST, module
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
