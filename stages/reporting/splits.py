"""Splits: what to quote for a small library: mean and spread over several splits, `genre splits`.

Takes the experiments on the current commit that have the parameters of params.yaml but for `split_seed`, the newest one
of each seed, and prints a table. Those that are still in the queue, or failed, do not count, nor do those of other data
than the newest. `genre splits 5` runs five first, each in a copy of the repository: the workspace stays as it is.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from stages.common.files import AUDIO, EVALUATED, FEATURES, UserError, few_of, shown
from stages.common.params import asks_for, load_params
from stages.models.about import DEMO
from stages.reporting.tables import table, text

HEAD = ["representation", "model", "macro F1", "accuracy", "macro F1 by song"]


def run_splits(n: int) -> None:
    """Run the pipeline for split_seed 0 to n - 1, as DVC's experiments; those that have run already take seconds."""
    if n < 2:
        raise UserError(f"splits: found {n}, expected 2 or more, say 5")
    needed = [word for path in out_of_sight() for word in ("--copy-paths", str(path))]
    for seed in range(n):
        print(f"splits: split_seed {seed}, {seed + 1} of {n}")
        if wait_for(["dvc", "exp", "run", "--temp", "--set-param", f"split_seed={seed}", *needed]):
            raise UserError(
                f"split_seed {seed}: the experiment failed, as dvc says above; fix that and run `genre splits {n}` "
                "again: it resumes"
            )


def wait_for(command: list[str]) -> int:
    """Run a command that clears up by itself after Ctrl-C, which reaches it too; return its exit status."""
    process = subprocess.Popen(command, env=environment())
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise


def out_of_sight() -> list[Path]:
    """Return what the pipeline starts from and neither git nor DVC tracks: a copy of the repository lacks it."""
    params = load_params()
    if asks_for(params, Path(DEMO)):
        return []
    source = AUDIO if asks_for(params, FEATURES) else Path(params.dataset)
    whole = source.with_name(f"{source.name}.dvc")
    listed = asked("git", "ls-files", "-z", "--", str(source), str(whole))
    tracked = set(map(Path, filter(None, listed.split("\0"))))
    if not tracked:
        return [source]
    inside = sorted(source.iterdir()) if source.is_dir() and whole not in tracked else []
    names = {path.relative_to(source).parts[0].removesuffix(".dvc") for path in tracked if path != whole}
    return [path for path in inside if path.name.removesuffix(".dvc") not in names]


def print_splits() -> None:
    """Print the table."""
    splits = by_seed(json.loads(asked("dvc", "exp", "show", "--json")))
    if len(splits) < 2:
        raise UserError(
            f"found {len(splits)} finished experiments that have the parameters of params.yaml but for split_seed, "
            "expected two or more; run `genre splits 5`"
        )
    judged = [json.loads(asked("git", "show", f"{rev}:{EVALUATED.as_posix()}")) for rev in splits.values()]
    print("\n".join(over_splits(judged)))
    print(f"\nMean ± standard deviation over the {len(splits)} splits of split_seed {few_of(sorted(splits))}.")


def asked(*command: str) -> str:
    """Return what a command prints."""
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        called = " ".join(command[:3])
        raise UserError(f"{called}: {shown(done.stderr.strip(), 1000)}; run this from the repository's root")
    return done.stdout


def environment() -> dict[str, str]:
    """Return the environment in which `dvc` and `python` are those beside this Python, whatever is on PATH."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def by_seed(commits: list[dict[str, Any]]) -> dict[int, str]:
    """Return the revision of the newest experiment of each split, by seed.

    `dvc exp show --json` prints the commits: the workspace, then the current commit with its experiments.
    """
    workspace, *commits = commits
    experiments = [each for commit in commits for each in commit["experiments"] or []]
    wanted, found, data_of, newest = params_of(workspace["data"]), {}, {}, None
    for data in sorted(filter(None, map(finished, experiments)), key=lambda data: data["timestamp"]):
        params = params_of(data)
        if params | {"split_seed": wanted["split_seed"]} == wanted:
            newest = data["deps"].get(wanted["dataset"], {}).get("hash")
            found[params["split_seed"]], data_of[params["split_seed"]] = data["rev"], newest
    return {seed: rev for seed, rev in found.items() if data_of[seed] == newest}


def finished(experiment: dict[str, Any]) -> dict[str, Any] | None:
    """Return what is known of an experiment, or None if it has not ended well."""
    executor = experiment["executor"]
    return experiment["revs"][0]["data"] if executor is None or executor["state"] == "success" else None


def params_of(data: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of an experiment."""
    return data["params"]["params.yaml"]["data"]


def over_splits(splits: list[dict[str, dict[str, Any]]]) -> list[str]:
    """Return the table's lines, given evaluate.json of each split: mean ± deviation of each model's scores."""
    rows = []
    for name in splits[0]:
        models = [models_of(split[name]) for split in splits]
        for model in models[0]:
            scores = zip(*(each[model] for each in models), strict=True)
            rows.append([text(name), model.replace("_", " "), *map(spread, scores)])
    return table(HEAD, rows)


def models_of(judged: dict[str, Any]) -> dict[str, list[float | None]]:
    """Return macro F1, accuracy and macro F1 by song of each model, if known; a joint model has no others beside it."""
    runs = {"all runs": [judged["runs"]["f1_macro_mean"], None, None]} if "runs" in judged else {}
    ensemble = {"ensemble": judged["ensemble"]} if "ensemble" in judged else {}
    scored = {"chosen model": judged, **ensemble, **judged.get("baselines", {})}
    return runs | {
        model: [each["f1_macro"], each["accuracy"], (each.get("track") or {}).get("f1_macro")]
        for model, each in scored.items()
    }


def spread(values: tuple[float | None, ...]) -> str:
    """Return mean ± standard deviation as text, or nothing if a value is not known."""
    return "" if None in values else f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"
