"""The recipes of docs/experiments.md, run for real on the demo corpus: optimizers, MLP against CNN, against the SVM.

Each line of a table is one experiment of DVC's queue, two at a time, in a clone of HEAD that shares this repository's
cache. Writes bench/results/recipes.json: of every experiment its parameters and, for each representation, test macro
F1: mean and standard deviation over its runs, that of their ensemble, and that of the SVM on the same split.

    python -m bench.recipes        (22 experiments)
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.tables import AGAINST_THE_SVM
from stages.check import COMMON_OPTIMIZERS
from stages.common.files import EVALUATED, UserError
from stages.common.records import NETWORKS
from stages.common.running import run_script
from stages.common.writing import write_json

RESULTS = Path("bench/results/recipes.json")
JOBS = 2
SHORT = ["representations=[melgrams]", "runs=2", "epochs=5"]  # a CNN takes its time on a CPU
ADAMW = ["optimizer=AdamW", "lr=0.001", "schedule=cosine"]
RECIPES = {
    "optimizers": {name: [f"optimizer={name}"] for name in COMMON_OPTIMIZERS},
    "learning rates": {f"lr {lr}": [f"lr={lr}"] for lr in (0.002, 0.01)},
    "networks": {
        f"{network}, lr {lr}": [*SHORT, f"network={network}", f"lr={lr}"]
        for network in NETWORKS
        for lr in (0.002, 0.01)
    },
    AGAINST_THE_SVM: {
        "the default": ["lr=0.002"],
        "lr 0.01": ["lr=0.01"],
        "AdamW, cosine, dropout": [*ADAMW, "dropout=0.2"],
        "AdamW, cosine, dropout, classes weighted": [*ADAMW, "dropout=0.2", "class_weights=balanced"],
        "AdamW, cosine, more dropout, wider": [*ADAMW, "dropout=0.5", "hidden=[256,128]"],
    },
}


def main() -> None:
    """Queue every experiment, run them, and write what they gave."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:  # a worker may end later
        clone = Path(place) / "clone"
        run(Path.cwd(), "git", "clone", "--quiet", ".", str(clone))
        run(clone, "dvc", "config", "--local", "cache.dir", str(Path(".dvc/cache").resolve()))
        run(clone, "dvc", "repro")  # a queued experiment starts from what HEAD gives
        names = {}
        for recipe, experiments in RECIPES.items():
            for label, changes in experiments.items():
                names[recipe, label] = f"e{len(names):02}"
                settings = [argument for change in changes for argument in ("-S", change)]
                run(clone, "dvc", "exp", "run", "--queue", "--name", names[recipe, label], *settings)
        run_all(clone, len(names))
        shown = json.loads(run(clone, "dvc", "exp", "show", "--json"))
        judged = {
            experiment["name"]: json.loads(run(clone, "git", "show", f"{experiment['revs'][0]['rev']}:{EVALUATED}"))
            for commit in shown
            for experiment in commit["experiments"] or []
        }
    results: dict[str, dict] = {recipe: {} for recipe in RECIPES}
    for (recipe, label), name in names.items():
        results[recipe][label] = {
            "settings": RECIPES[recipe][label],
            "f1_macro": {each: scores_of(result) for each, result in judged[name].items() if "runs" in result},
        }
    write_json(RESULTS, results)
    print(f"recipes: {RESULTS}")


def scores_of(judgement: dict) -> dict[str, float]:
    """Return what a table tells of a representation."""
    return {
        "mean": judgement["runs"]["f1_macro_mean"],
        "std": judgement["runs"]["f1_macro_std"],
        "ensemble": judgement["ensemble"]["f1_macro"],
        "svm": judgement["baselines"]["svm_rbf"]["f1_macro"],
    }


def run_all(clone: Path, count: int) -> None:
    """Run what is queued and end the queue's workers, which would wait for more.

    By a signal, since not each hears of `dvc queue stop`: of workers that start together, one may write its name over
    another's in a list that is yet to be made.

    Raises:
        UserError: if not all experiments succeeded.
    """
    command = ["dvc", "exp", "run", "--run-all", "--jobs", str(JOBS)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=clone, env=environment(), **quiet) as queue:
        queue.wait()
        for worker in (clone / ".dvc/tmp/exps/celery").glob("*.pid"):
            with contextlib.suppress(ProcessLookupError):  # it has waited long enough
                os.kill(int(worker.read_text()), signal.SIGTERM)
        queue.stderr.read()  # ends when the workers do: they hold it open
    status = run(clone, "dvc", "queue", "status")
    if status.count("Success") < count:
        raise UserError(f"not every experiment succeeded:\n{status}")


def run(folder: Path, *command: str) -> str:
    """Run a command and return what it printed.

    Raises:
        UserError: if it fails.
    """
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def environment() -> dict[str, str]:
    """Return the variables under which `dvc` and `python` are this environment's."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


if __name__ == "__main__":
    run_script(main)
