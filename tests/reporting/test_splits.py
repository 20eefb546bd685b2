"""splits: which experiments count, mean and spread over them, some of DVC's own, and what those cannot see."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, write_params
from repository import miniature_of, set_params

from stages.common.files import UserError
from stages.reporting import splits


def revision(rev, day=1, data="d", **params):
    """Return a revision as `dvc exp show --json` has it."""
    params = {"lr": 0.1, "split_seed": 0, "dataset": "data/mine"} | params
    return {
        "rev": rev,
        "timestamp": f"2026-01-{day:02}T00:00:00",
        "params": {"params.yaml": {"data": params}},
        "deps": {"data/mine": {"hash": data}, "data/prepared": {"hash": rev}},
    }


def experiment(data, state=None):
    return {"revs": [{"data": data}], "executor": state and {"state": state}}


COMMITS = [
    {"data": revision("workspace", split_seed=7), "experiments": None},
    {
        "data": revision("commit"),
        "experiments": [
            experiment(revision("newer", 9, split_seed=1)),
            experiment(revision("older", 8, split_seed=1)),
            experiment(revision("queued once", 7, split_seed=2), "success"),
            experiment(revision("running", split_seed=3), "running"),
            experiment(revision("failed", split_seed=4), "failed"),
            experiment({"params": {}, "metrics": {}}, "queued"),
            experiment(None),
            experiment(revision("other data", 5, "e", split_seed=5)),
            experiment(revision("other lr", split_seed=6, lr=0.2)),
            experiment(revision("first", split_seed=10)),
        ],
    },
]


def test_the_newest_finished_experiments_of_the_same_data_and_parameters_but_for_the_seed_count():
    assert splits.by_seed(COMMITS) == {1: "newer", 2: "queued once", 10: "first"}


def judged(value):
    """Return what evaluate.json has of two representations, no two scores alike; songs are known of one of them."""

    def scores(more, songs):
        by_song = {"track": {"f1_macro": more}} if songs else {}
        return {"f1_macro": value + more, "accuracy": value + more / 2} | by_song

    return {
        name: scores(0.1 + i, songs=i)
        | {"runs": {"f1_macro_mean": value}, "ensemble": scores(0.2 + i, songs=i)}
        | {"baselines": {"svm_rbf": scores(0.3 + i, songs=False)}}
        for i, name in enumerate(("a*", "b"))
    }


def test_mean_and_deviation_over_the_splits():
    lines = splits.over_splits([judged(value) for value in (0.1, 0.2, 0.3)])
    assert lines == [
        "| representation | model | macro F1 | accuracy | macro F1 by song |",
        "| --- | --- | --- | --- | --- |",
        "| a\\* | all runs | 0.200 ± 0.100 |  |  |",
        "| a\\* | chosen model | 0.300 ± 0.100 | 0.250 ± 0.100 |  |",
        "| a\\* | ensemble | 0.400 ± 0.100 | 0.300 ± 0.100 |  |",
        "| a\\* | svm rbf | 0.500 ± 0.100 | 0.350 ± 0.100 |  |",
        "| b | all runs | 0.200 ± 0.100 |  |  |",
        "| b | chosen model | 1.300 ± 0.100 | 0.750 ± 0.100 | 1.100 ± 0.000 |",
        "| b | ensemble | 1.400 ± 0.100 | 0.800 ± 0.100 | 1.200 ± 0.000 |",
        "| b | svm rbf | 1.500 ± 0.100 | 0.850 ± 0.100 |  |",
    ]


@pytest.fixture
def dvc(monkeypatch, workplace):
    """A function that lets `dvc` be a program of a few lines."""
    (workplace / "bin").mkdir()
    python = sys.executable
    monkeypatch.setattr(sys, "executable", str(workplace / "bin" / "python"))

    def be(program):
        (workplace / "bin" / "dvc").write_text(f"#!{python}\n{program}\n")
        (workplace / "bin" / "dvc").chmod(0o755)

    return be


def test_a_joint_model_has_no_runs():
    joint = [{"a + b": {"f1_macro": 0.5 + more, "accuracy": 0.6 + more}} for more in (0.1, 0.3)]
    assert splits.over_splits(joint)[2:] == ["| a + b | chosen model | 0.700 ± 0.141 | 0.800 ± 0.141 |  |"]


def test_one_split_has_no_spread(dvc):
    alone = [COMMITS[0], {"experiments": COMMITS[1]["experiments"][:2]}]
    dvc(f"print({json.dumps(json.dumps(alone))})")
    with pytest.raises(UserError, match=r"found 1 finished experiments .*, expected two or more; run `genre splits 5`"):
        splits.print_splits()
    dvc("import sys\nsys.exit('not a\\nrepository')")
    with pytest.raises(UserError, match=r"dvc exp show: not a\\nrepository; run this from the repository's root"):
        splits.print_splits()


def test_the_first_split_that_fails_is_the_last(dvc):
    write_params(dataset="data/demo")
    dvc("import sys\nprint(sys.argv[1:], file=open('calls', 'a'))\nsys.exit('split_seed=1' in sys.argv)")
    with pytest.raises(UserError, match=r"^split_seed 1: the experiment failed, .* run `genre splits 3` again: it res"):
        splits.run_splits(3)
    assert Path("calls").read_text().splitlines() == [
        f"['exp', 'run', '--temp', '--set-param', 'split_seed={seed}']" for seed in range(2)
    ]
    with pytest.raises(UserError, match=r"^splits: found 1, expected 2 or more"):
        splits.run_splits(1)


def test_after_ctrl_c_dvc_may_clear_up(monkeypatch):
    waits = []

    class Process:
        def __init__(self, command, env):
            """Be any program."""

        def wait(self):
            waits.append(self)
            if len(waits) == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Process)
    with pytest.raises(KeyboardInterrupt):
        splits.wait_for(["dvc"])
    assert len(waits) == 2


@pytest.mark.parametrize(
    ("dataset", "tracked", "expected"),
    [
        ("data/features", [], ["data/audio"]),
        ("data/features", ["data/audio/.gitignore"], ["data/audio/jazz", "data/audio/soul", "data/audio/tracks.csv"]),
        (
            "data/features",
            ["data/audio/.gitignore", "data/audio/jazz.dvc"],
            ["data/audio/soul", "data/audio/tracks.csv"],
        ),
        ("data/features", ["data/audio/.gitignore", "data/audio.dvc"], []),
        ("data/mine", [], ["data/mine"]),
        ("data/mine", ["data/mine.dvc"], []),
        ("data/mine", ["data/mine/mfccs/X.npy"], []),
        ("data/demo", [], []),
    ],
)
def test_what_git_and_dvc_do_not_track_is_copied(workplace, dataset, tracked, expected):
    write_params(dataset=dataset)
    for name in ("audio/jazz/a.wav", "audio/soul/b.wav", "audio/tracks.csv", "mine/mfccs/X.npy", "demo/X.npy"):
        path = workplace / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    subprocess.run(["git", "init", "--quiet"], check=True)
    for name in tracked:
        Path(name).touch()
    subprocess.run(["git", "add", "--force", "--", *tracked], check=True)
    assert splits.out_of_sight() == list(map(Path, expected))


@pytest.mark.slow
def test_splits_of_songs_that_nothing_tracks(forked, tmp_path, monkeypatch, capfd):
    """Macro F1 is a fifth of the seed; another experiment is of another lr. The workspace, changed, stays as it is."""
    repository = miniature_of(tmp_path / "clone", forked)
    songs = repository.folder / "data" / "audio"
    (songs / "jazz").mkdir(parents=True)
    (songs / ".gitignore").write_text((ROOT / "data" / "audio" / ".gitignore").read_text())
    (songs / "jazz" / "a.wav").touch()
    pipeline = yaml.safe_load((repository.folder / "dvc.yaml").read_text())
    pipeline["stages"]["train_cpu"]["deps"] = ["data/audio/jazz/a.wav"]
    (repository.folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline))
    set_params(repository, dataset="data/features")
    repository.commit()
    repository.dvc("exp", "run", "--temp", "--copy-paths", "data/audio/jazz", "-S", "lr=0.5", "-S", "split_seed=9")
    set_params(repository, lr=0.3)

    def workspace():
        files = [path for path in repository.folder.rglob("*") if path.is_file()]
        hidden = (".git", ".dvc")
        return {path: path.read_bytes() for path in files if path.relative_to(repository.folder).parts[0] not in hidden}

    before = workspace()
    monkeypatch.chdir(repository.folder)
    for name in ("DVC_NO_ANALYTICS", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, repository.environment[name])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # as where .venv is not active
    monkeypatch.setattr(sys, "executable", str(forked / "python"))  # whose neighbour is dvc
    splits.run_splits(2)
    assert workspace() == before
    capfd.readouterr()
    splits.print_splits()
    lines = capfd.readouterr().out.splitlines()
    assert lines[3] == "| mfccs | chosen model | 0.100 ± 0.141 | 0.500 ± 0.000 | 1.000 ± 0.000 |"
    assert lines[-1] == "Mean ± standard deviation over the 2 splits of split_seed 0, 1."


def test_the_guide_names_the_command():
    text = (ROOT / "docs/experiments.md").read_text(encoding="utf-8")
    assert "genre splits 5 " in text.split("## Small libraries\n")[1].split("\n## ")[0]
