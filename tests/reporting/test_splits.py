"""splits: which experiments count, mean and spread over them, and some of DVC's own."""

import json
import sys

import pytest
from conftest import ROOT

from stages.common.files import UserError
from stages.reporting import splits


def scores(value):
    """Return what metrics/scores has of two representations, no two scores alike."""
    return {
        name: {"runs_mean": value + more, "f1_macro": value + more + 0.1, "accuracy": value + more + 0.2}
        for name, more in (("a*", 0), ("b", 0.4))
    }


def revision(value=0.0, **params):
    """Return a revision as `dvc exp show --json` has it."""
    data = {"params": {"params.yaml": {"data": {"lr": 0.1, "split_seed": 0} | params}}}
    told = {f"metrics/scores/{name}.json": {"data": content} for name, content in scores(value).items()}
    return data | {"metrics": told | {"metrics/select.json": {"data": {"best": "b"}}}}


def experiment(data, state=None):
    return {"revs": [{"data": data}], "executor": state and {"state": state}}


COMMITS = [
    {"data": revision(split_seed=7), "experiments": None},
    {
        "data": revision(0.5),
        "experiments": [
            experiment(revision(0.1, split_seed=1)),
            experiment(revision(0.2, split_seed=2), "success"),
            experiment(revision(0.9, split_seed=3), "running"),
            experiment(revision(0.9, split_seed=4), "failed"),
            experiment({"params": {}, "metrics": {}}, "queued"),
            experiment(None),
            experiment(revision(0.9, split_seed=6, lr=0.2)),
            experiment(revision(0.3, split_seed=10)),
        ],
    },
]


def test_finished_experiments_with_the_same_parameters_but_for_the_seed_count():
    assert splits.by_seed(COMMITS) == {1: scores(0.1), 2: scores(0.2), 10: scores(0.3)}


def test_mean_and_deviation_over_the_splits():
    lines = splits.over_splits(list(splits.by_seed(COMMITS).values()))
    assert lines == [
        "| representation | splits | macro F1, all runs | chosen model: macro F1 | accuracy |",
        "| --- | --- | --- | --- | --- |",
        "| a\\* | 3 | 0.200 ± 0.100 | 0.300 ± 0.100 | 0.400 ± 0.100 |",
        "| b | 3 | 0.600 ± 0.100 | 0.700 ± 0.100 | 0.800 ± 0.100 |",
    ]


def test_a_joint_model_has_no_runs():
    joint = [{"a + b": {"f1_macro": 0.5 + more, "accuracy": 0.6 + more}} for more in (0.1, 0.3)]
    assert splits.over_splits(joint)[-1] == "| a + b | 2 |  | 0.700 ± 0.141 | 0.800 ± 0.141 |"


def test_one_split_has_no_spread(monkeypatch, tmp_path):
    dvc = tmp_path / "dvc"
    monkeypatch.setenv("PATH", str(tmp_path))
    alone = [COMMITS[0], {"experiments": COMMITS[1]["experiments"][:1]}]
    dvc.write_text(f"#!{sys.executable}\nprint({json.dumps(json.dumps(alone))})\n")
    dvc.chmod(0o755)
    with pytest.raises(
        UserError, match=r"found 1 finished experiments .*, expected two or more; see 'small libraries'"
    ):
        splits.print_splits()
    dvc.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('not a\\nrepository')\n")
    with pytest.raises(UserError, match=r"dvc exp show: not a\\nrepository; run this from the repository's root"):
        splits.print_splits()


def test_the_guide_has_the_section_that_is_named():
    assert "## Small libraries\n" in (ROOT / "docs/experiments.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_experiments_of_dvcs(miniature, monkeypatch, capsys):
    """Two scores are a tenth and a fifth of the seed; the second experiment is of another lr."""
    for changes in (["split_seed=1"], ["split_seed=3", "lr=0.1"], ["split_seed=2"]):
        miniature.dvc("exp", "run", "--temp", *(part for each in changes for part in ("-S", each)))
    monkeypatch.chdir(miniature.folder)
    monkeypatch.setenv("PATH", miniature.environment["PATH"])
    splits.print_splits()
    assert capsys.readouterr().out.splitlines() == [
        "| representation | splits | macro F1, all runs | chosen model: macro F1 | accuracy |",
        "| --- | --- | --- | --- | --- |",
        "| mfccs | 2 | 0.150 ± 0.071 | 0.300 ± 0.141 | 0.500 ± 0.000 |",
        "",
        "Mean ± standard deviation over the splits of split_seed 1, 2.",
    ]
