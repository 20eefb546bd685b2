"""Mutation testing: change the code in small ways, one at a time, and see whether the tests notice.

`make mutants` draws some 300 of the changes that cosmic-ray can make to the modules below. Against each it runs the
tests of the changed module and, if these pass, the wiring's, which run the whole pipeline. That takes about an hour on
two cores. Everything happens in temporary copies; the checkout itself is only read. Left out are changes that no test
can see: in annotations, the `strict` of a zip, under `if __name__ == "__main__"`, and identity for a comparison.

A mutant that survives asks for a test. If it changes nothing that matters, tests/mutants.txt says why: the three lines
that are printed here, then one line with the reason. The exit code is 1 if too few mutants were killed.
"""

import argparse
import ast
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from difflib import unified_diff
from itertools import groupby, islice, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from tqdm import tqdm

DOORS = ("check", "prepare", "baselines", "train", "select", "evaluate", "compare", "features", "demo")
SHARED = ("common/files", "common/params", "common/records", "common/units")
MODULES = tuple(f"stages/{name}.py" for name in ("arrays/*", "models/*", "training/*", *DOORS, *SHARED))
# The tests of MODULE are test_MODULE.py, wherever below tests/, and these.
OTHER_TESTS = {
    "autograd": ["loop", "graphs"],
    "closed_form": ["loop", "graphs"],
    "features": ["parameters"],
    "params": ["bad_input"],
    "snapshots": ["bad_input"],
    "optimizer": ["autograd", "check"],
    "job": ["closed_form"],
    "runs": ["train"],
    "timing": ["train"],
    "worker": ["train"],
}
WIRING = ["wiring"]

ROOT = Path(__file__).parents[1]
EXPLAINED = "tests/mutants.txt"
EXPECTED = 0.95  # of the sample, killed
LEAST = 3  # mutants of a module
PATIENCE, LEAST_PATIENCE = 10, 60  # times as long as unmutated, and seconds, before a test run counts as endless
MEMORY = 8 * 2**30  # bytes a process, since a mutant may ask for any amount
NEVER_RUN = {"__name__", "TYPE_CHECKING"}  # blocks under an `if` on one of these
PYTEST = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=ci"]


class Mutant(NamedTuple):
    """One change: the line it is in, that line before and after, and the whole module with it."""

    module: str
    line: int
    operator: str
    old: str
    new: str
    source: str

    def __str__(self) -> str:
        """Tell it as tests/mutants.txt does."""
        return f"{self.module}:{self.line} {self.operator}\n- {self.old}\n+ {self.new}"


def take_template(folder: Path) -> None:
    """Make a clone of the checkout at `folder`, with its files as they are now, committed or not."""
    subprocess.run(["git", "clone", "--quiet", "--shared", "--no-checkout", ROOT, folder], check=True)
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if os.path.lexists(ROOT / name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    subprocess.run(["git", "reset", "--quiet"], cwd=folder, check=True)  # without a checkout the index is empty


@contextmanager
def copy_of(template: Path) -> Iterator[Path]:
    """Give a copy of the template to change; what is beside it goes with it."""
    with TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as folder:
        yield shutil.copytree(template, Path(folder, "copy"), symlinks=True)


def draw(template: Path, globs: Iterable[str], n: int, seed: int) -> list[Mutant]:
    """Draw about n mutants, from every module in proportion to the places that can be changed in it."""
    modules = sorted({str(path.relative_to(template)) for glob in globs for path in template.glob(glob)})
    sources = {module: (template / module).read_text(encoding="utf-8") for module in modules}
    places = {module: changes(source) for module, source in sources.items()}
    total, sample = sum(map(len, places.values())), []
    for module, source in sources.items():
        rng = random.Random(f"{seed} {module}")  # so that an edit of one module leaves the others' mutants alone
        share = max(LEAST, round(n * len(places[module]) / total))
        sample += sorted(islice(mutants(module, source, places[module], rng), share))
    return sample


def changes(source: str) -> list[list[tuple[str, int]]]:
    """Return, for each place in a module, the changes that cosmic-ray can make there: operator, occurrence."""
    tree, places = get_ast(source), defaultdict(list)
    for name in operator_names():
        operator = get_operator(name)
        # Identity for a comparison, or the other way round: whether equal strings are one object is no test's business.
        one_identity = len({"Is", "IsNot"} & set(name.split("_")[-2:])) == 1
        if not operator.arguments() and not one_identity:
            starts = (start for node in ast_nodes(tree) for start, _ in operator().mutation_positions(node))
            for occurrence, start in enumerate(starts):
                places[start].append((name, occurrence))
    return list(places.values())


def mutants(module: str, source: str, places: list[list[tuple[str, int]]], rng: random.Random) -> Iterator[Mutant]:
    """Yield one mutant of every place in a drawn order, then a second of every place that has one, and so on.

    A `+` alone can be changed in eleven ways; drawn from all changes alike, such places would be most of the sample.
    """
    queues = [rng.sample(place, len(place)) for place in rng.sample(places, len(places))]
    for name, occurrence in (change for turn in zip_longest(*queues) for change in turn if change):
        try:
            mutated = mutate_code(source, get_operator(name)(), occurrence)
        except AttributeError:  # cosmic-ray's, which replaces no exception with a dot in its name
            continue
        if meaning(mutated) not in (None, meaning(source)):
            lines = list(unified_diff(source.splitlines(), mutated.splitlines(), n=0))[2:]
            number = int(re.search(r"\d+", lines[0])[0])
            old, new = (tidy(" ".join(line[1:] for line in lines if line[0] == sign)) for sign in "-+")
            yield Mutant(module, number, name.split("/")[1], old, new, mutated)


def tidy(text: str) -> str:
    """Return the text with single spaces."""
    return " ".join(text.split())


def meaning(source: str) -> str | None:
    """Return a module's syntax tree without what no test can see, None if it is no Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            if annotation := getattr(node, field, None):  # of which only calls count: Annotated[int, Field(ge=1)]
                setattr(node, field, [each for each in ast.walk(annotation) if isinstance(each, ast.Call)])
        if isinstance(node, ast.If) and any(getattr(each, "id", None) in NEVER_RUN for each in ast.walk(node.test)):
            node.test, node.body = None, []
        if isinstance(node, ast.keyword) and node.arg == "strict":  # of a zip: it fails only where all else is wrong
            node.value = None
    return ast.dump(tree)


def tests_of(template: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Return the files test_NAME.py that there are."""
    found = (path for name in names for path in template.glob(f"tests/**/test_{name}.py"))
    return tuple(sorted(str(path.relative_to(template)) for path in found))


def passes(copy: Path, tests: tuple[str, ...], limit: float | None = None) -> bool:
    """Say whether these tests pass in a copy within so many seconds; what they print goes beside the copy."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "TMPDIR": str(copy.parent)}
    with (copy.parent / "printed").open("wb") as printed:
        where = {"stdin": subprocess.DEVNULL, "stdout": printed, "stderr": subprocess.STDOUT}
        process = subprocess.Popen([*PYTEST, *tests], cwd=copy, env=environment, start_new_session=True, **where)
    try:
        return process.wait(limit) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # and whatever the tests have started
        process.wait()


def time_limit(template: Path, tests: tuple[str, ...]) -> float:
    """Return how many seconds to allow these tests, which must pass without any mutant."""
    with copy_of(template) as copy:
        start = perf_counter()
        if not passes(copy, tests):
            printed = (copy.parent / "printed").read_text(encoding="utf-8", errors="replace")
            found = re.search(r"^(FAILED|ERROR) .*$|\Z", printed, flags=re.MULTILINE)[0] or "a failure"
            sys.exit(f"error: {' '.join(tests)}: without any mutant found {found}, expected none; fix that first")
        return max(LEAST_PATIENCE, PATIENCE * (perf_counter() - start))


def killed(template: Path, mutant: Mutant, suites: list[tuple[str, ...]], limits: dict[tuple[str, ...], float]) -> bool:
    """Say whether any of the suites, run in turn, notices the mutant."""
    with copy_of(template) as copy:
        (copy / mutant.module).write_text(mutant.source, encoding="utf-8")
        return not all(passes(copy, tests, limits[tests]) for tests in suites)


def explanations(path: Path) -> set[tuple[str, str, str]]:
    """Return the module, old and new line of every mutant that tests/mutants.txt says why to leave alive."""
    text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE) if path.exists() else ""
    known = set()
    for block in filter(None, re.split(r"\n{2,}", text.strip())):
        match = re.fullmatch(r"([^:\n]+).*\n-(.*)\n\+(.*)\n(.+)", block)
        if not match:
            sys.exit(f"error: {EXPLAINED}: expected four lines: path, - old, + new, why; found:\n{block}")
        known.add(tuple(tidy(part) for part in match.groups()[:3]))
    return known


def run(template: Path, sample: list[Mutant], jobs: int) -> list[str]:
    """Run the tests on every mutant, tell the survivors, and return what became of each."""
    suites, known = {}, explanations(template / EXPLAINED)
    for module in {mutant.module for mutant in sample}:
        name = Path(module).stem
        both = tests_of(template, [name, *OTHER_TESTS.get(name, [])]), tests_of(template, WIRING)
        suites[module] = [tests for tests in both if tests]
    every = list({tests for both in suites.values() for tests in both})
    outcomes = []
    with ThreadPoolExecutor(jobs) as pool:
        limits = dict(zip(every, pool.map(lambda tests: time_limit(template, tests), every), strict=True))
        print(f"{len(sample)} mutants of {len(suites)} modules; without any mutant the tests pass")
        deaths = pool.map(lambda mutant: killed(template, mutant, suites[mutant.module], limits), sample)
        for mutant, dead in zip(sample, tqdm(deaths, total=len(sample), unit="mutant", disable=None), strict=True):
            explained = (mutant.module, mutant.old, mutant.new) in known
            outcomes.append("killed" if dead else "explained" if explained else "survived")
            if outcomes[-1] == "survived":
                tqdm.write(f"\n{mutant}")
    return outcomes


def report(sample: list[Mutant], outcomes: list[str]) -> float:
    """Print what became of each module's mutants; return which share was killed of those that nobody explained."""
    print(f"\n{'':28} sample   killed survived explained")
    for module, pairs in groupby(zip(sample, outcomes, strict=True), lambda pair: pair[0].module):
        count = Counter(outcome for _, outcome in pairs)
        print(f"{module:28} {count.total():6} {count['killed']:8} {count['survived']:8} {count['explained']:9}")
    count = Counter(outcomes)
    share = 1 - count["survived"] / max(1, count["killed"] + count["survived"])
    print(f"{'killed':28} {share:6.1%}, expected {EXPECTED:.0%} of those not explained")
    return share


def main() -> None:
    """Draw the mutants, run the tests on them, report."""
    parser = argparse.ArgumentParser(description="Change the code in small ways and see whether the tests notice.")
    parser.add_argument("--modules", nargs="+", default=MODULES, metavar="GLOB", help="which modules to change")
    parser.add_argument("--sample", type=int, default=300, metavar="N", help="about how many mutants (default 300)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="draws them (default 0)")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="at once (default: every core)")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    with TemporaryDirectory(prefix="mutants-") as folder:
        template = Path(folder, "template")
        take_template(template)
        sample = draw(template, arguments.modules, arguments.sample, arguments.seed)
        if not sample:
            sys.exit(f"error: found nothing to change in {' '.join(arguments.modules)}, expected paths as stages/*.py")
        outcomes = run(template, sample, arguments.jobs)
    sys.exit(report(sample, outcomes) < EXPECTED)


if __name__ == "__main__":
    main()
