"""A copy of the project in a folder of its own, and its command line, for tests that use it as people do."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from conftest import ROOT, save_dataset, write_params

STAND_IN = """
import json, pathlib, yaml
params = yaml.safe_load(pathlib.Path("params.yaml").read_text())
def judged(factor):
    runs = {"f1_macro_mean": params["lr"] * factor, "f1_macro_std": params["dropout"] * factor}
    ensemble, svm = {"f1_macro": params["hidden"][0] * factor, "accuracy": 1}, {"f1_macro": 7 * factor, "accuracy": 1}
    chosen = {"f1_macro": params["split_seed"] / 5, "accuracy": 0.5, "track": {"f1_macro": 1}}
    return chosen | {"runs": runs, "ensemble": ensemble, "baselines": {"svm_rbf": svm}}
pathlib.Path("metrics").mkdir(exist_ok=True)
results = {"mfccs": judged(1), "melgrams": judged(2)}
pathlib.Path("metrics/evaluate.json").write_text(json.dumps(results))
pathlib.Path("metrics/scores").mkdir(exist_ok=True)
scores = {"runs_mean": params["split_seed"] / 10, "f1_macro": params["split_seed"] / 5, "accuracy": 0.5}
pathlib.Path("metrics/scores/mfccs.json").write_text(json.dumps(scores))
"""
PIPELINE = """
stages:
  train_cpu:
    cmd: python -m stages.train cpu
    params: [lr, dropout, hidden, optimizer, schedule, split_seed]
    metrics: [{metrics/scores: {cache: false}}]
    plots: [{metrics/evaluate.json: {cache: false}}]
"""

# Of metrics/: these hold seconds, and differ from run to run.
WITH_TIMES = ("train_cpu.json", "train_gpu.json", "compare.json", "seconds.json", "seconds.png", "report.md")


class Repository:
    """A clone of the project in a folder of its own, and its command line."""

    def __init__(self, folder: Path, *programs: Path):
        """Stand in `folder`, with the programs of other folders, if any, before those beside this Python."""
        self.folder = folder
        self.environment = os.environ | {
            "PATH": ":".join(map(str, (*programs, Path(sys.executable).parent, os.environ["PATH"]))),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site_cache"),
        }

    def run(self, *command: str, fails: bool = False) -> str:
        """Run a command and return what it printed; `fails` says whether it must."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode != 0) == fails, f"{command} exited with {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def dvc(self, *arguments: str, fails: bool = False) -> str:
        """Run DVC."""
        return self.run("dvc", *arguments, fails=fails)

    def commit(self) -> None:
        """Commit everything that is not ignored."""
        self.run("git", "add", "--all")
        self.run("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "x")

    def json(self, path: str):
        """Read a JSON file."""
        return json.loads((self.folder / path).read_text())

    def results(self) -> dict[str, bytes]:
        """Return all that the chain made, but for the times."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for top in ("data/prepared", "data/snapshots", "data/model", "metrics")
            for path in sorted((self.folder / top).rglob("*"))
            if path.is_file() and path.suffix != ".lock" and path.name not in WITH_TIMES
        }


def copy_of_the_project(folder: Path, *programs: Path) -> Repository:
    """Copy the project's files as they are now, committed or not, without what DVC knows of earlier runs."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "dvc.lock").unlink(missing_ok=True)
    return Repository(folder, *programs)


def small_project(folder: Path, *programs: Path) -> Repository:
    """Copy the project and give it a small data set of its own; nothing has run yet, and nothing is committed."""
    repository = copy_of_the_project(folder, *programs)
    save_dataset(folder / "data" / "mine")
    with contextlib.chdir(folder):
        write_params(epochs=3)
    repository.run("git", "init", "--quiet", "--initial-branch=main")
    repository.dvc("add", "data/mine")
    return repository


def miniature_of(folder: Path, *programs: Path) -> Repository:
    """Make a repository in the project's place: its parameters, and one stage whose scores are what it is asked for."""
    repository = Repository(folder, *programs)
    for path, text in {"dvc.yaml": PIPELINE, "stages/train.py": STAND_IN}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    shutil.copy(ROOT / "params.yaml", folder)
    repository.run("git", "init", "--quiet", "--initial-branch=main")
    repository.dvc("init", "--quiet")
    repository.commit()
    return repository


def stages_run(output: str) -> list[str]:
    """Return the stages that DVC says it ran."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")]


def set_params(repository: Repository, **changes) -> None:
    """Change some of the parameters."""
    path = repository.folder / "params.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes, sort_keys=False))
