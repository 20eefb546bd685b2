"""Splits: what to quote for a small library: mean and spread over several splits, `genre splits`.

Takes the experiments on the current commit that have the parameters of params.yaml but for `split_seed`, one for each
seed, and prints a table. Those that are still in the queue, or failed, do not count.
"""

import json
import statistics
import subprocess
from pathlib import Path
from typing import Any

from stages.common.files import SCORES, UserError, few_of, shown
from stages.reporting.tables import table, text

COLUMNS = {"macro F1, all runs": "runs_mean", "chosen model: macro F1": "f1_macro", "accuracy": "accuracy"}


def print_splits() -> None:
    """Print the table."""
    done = subprocess.run(["dvc", "exp", "show", "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"dvc exp show: {shown(done.stderr.strip(), 1000)}; run this from the repository's root")
    splits = by_seed(json.loads(done.stdout))
    if len(splits) < 2:
        raise UserError(
            f"found {len(splits)} finished experiments that have the parameters of params.yaml but for split_seed, "
            "expected two or more; see 'small libraries' in docs/experiments.md"
        )
    print("\n".join(over_splits(list(splits.values()))))
    print(f"\nMean ± standard deviation over the splits of split_seed {few_of(sorted(splits))}.")


def by_seed(commits: list[dict[str, Any]]) -> dict[int, dict[str, dict[str, float]]]:
    """Return what metrics/scores has of each split, by seed and representation.

    Args:
        commits: what `dvc exp show --json` prints: the workspace, then the current commit with its experiments.
    """
    workspace, *commits = commits
    wanted, found = params_of(workspace["data"]), {}
    for experiment in (each for commit in commits for each in commit["experiments"] or []):
        data, executor = experiment["revs"][0]["data"], experiment["executor"]
        if data and (executor is None or executor["state"] == "success"):
            params = params_of(data)
            if params | {"split_seed": wanted["split_seed"]} == wanted:
                found[params["split_seed"]] = {
                    Path(path).stem: content["data"]
                    for path, content in data["metrics"].items()
                    if Path(path).parent == SCORES
                }
    return found


def params_of(data: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of an experiment."""
    return data["params"]["params.yaml"]["data"]


def over_splits(splits: list[dict[str, dict[str, float]]]) -> list[str]:
    """Return the table's lines: each score of each representation, mean ± standard deviation over the splits."""
    rows = []
    for name in splits[0]:
        values = [[scores[name].get(key) for scores in splits] for key in COLUMNS.values()]  # a joint model has no runs
        rows.append([text(name), str(len(splits)), *("" if None in each else spread(each) for each in values)])
    return table(["representation", "splits", *COLUMNS], rows)


def spread(values: list[float]) -> str:
    """Return mean ± standard deviation as text."""
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"
