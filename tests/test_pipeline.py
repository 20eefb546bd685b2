"""The whole chain under DVC, on a small configuration, as its users use it."""

import csv
import io
import json
import re
import shutil
import time

import numpy as np
import pytest
import yaml
from conftest import ROOT, make_arrays, save_arrays
from repository import Repository, set_params, small_project

CHAIN = ["check", "prepare", "baselines", "train_cpu", "train_gpu", "select", "evaluate", "compare"]


def stages_run(output: str) -> list[str]:
    """Return the stages that DVC says it ran."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Repository:
    """The project with a small data set of its own, run once and committed."""
    repository = small_project(tmp_path_factory.mktemp("base") / "clone")
    assert stages_run(repository.dvc("repro")) == CHAIN
    repository.commit()
    return repository


@pytest.fixture
def repository(base, tmp_path) -> Repository:
    """A copy of it to change."""
    shutil.copytree(base.folder, tmp_path / "clone", symlinks=True)
    return Repository(tmp_path / "clone")


def test_run_again_does_nothing(base):
    output = base.dvc("repro")
    assert stages_run(output) == []
    assert "up to date" in output
    shown = base.dvc("metrics", "show")
    head, *lines = [line.split() for line in shown.splitlines()]
    assert head == ["Path", "accuracy", "f1_macro", "runs_mean", "runs_std"]
    assert [line[0] for line in lines] == ["metrics/scores/melgrams.json", "metrics/scores/mfccs.json"]
    assert max(map(len, shown.splitlines())) <= 80, "it fits a terminal"


def test_git_sees_none_of_the_data_from_the_clone_on_and_dvc_has_nothing_to_add(repository):
    for name in ("audio/jazz/song.mp3", "audio/tracks.csv", "features/mfccs/X.npy", "tmp/lock", "mine/new.npy"):
        path = repository.folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert repository.run("git", "status", "--porcelain") == ""
    assert repository.run("git", "ls-files", "data").split() == ["data/.gitignore", "data/dvc.yaml", "data/mine.dvc"]
    assert (repository.folder / "data" / ".gitignore").read_text() == (ROOT / "data" / ".gitignore").read_text()


def test_the_demo_corpus_is_made_only_where_the_data_set_asks_for_it(repository):
    set_params(repository, dataset="data/demo")
    # DVC cannot plan beyond the data that is not there yet; what it plans to run before is what matters here.
    assert stages_run(repository.dvc("repro", "--dry", fails=True)) == ["check", "data/dvc.yaml:demo"]


def test_a_change_of_lr_reruns_training_and_what_follows_and_shows_in_metrics_diff(repository):
    set_params(repository, lr=0.2)
    assert stages_run(repository.dvc("repro")) == [name for name in CHAIN if name not in ("prepare", "baselines")]
    rows = json.loads(repository.dvc("metrics", "diff", "--json"))
    mean = rows["metrics/scores/mfccs.json"]["runs_mean"]
    assert mean["old"] != mean["new"] == repository.json("metrics/evaluate.json")["mfccs"]["runs"]["f1_macro_mean"]
    rows = json.loads(repository.dvc("metrics", "diff", "--json", "--targets", "metrics/evaluate.json"))
    loss = rows["metrics/evaluate.json"]["mfccs.loss"]
    assert loss["old"] != loss["new"] == repository.json("metrics/evaluate.json")["mfccs"]["loss"]
    assert json.loads(repository.dvc("params", "diff", "--json"))["params.yaml"]["lr"]["new"] == 0.2


def test_with_hard_links_nothing_lies_on_the_disk_twice_and_nothing_is_written_into_the_cache(repository):
    repository.dvc("config", "--local", "cache.type", "hardlink")
    repository.dvc("checkout", "--relink", "--allow-missing")
    cache = repository.folder / ".dvc" / "cache" / "files"
    before = {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}
    for changes in ({}, {"split_seed": 4, "lr": 0.2}):
        set_params(repository, **changes)
        repository.dvc("repro")
        for top in ("data/prepared", "data/snapshots/cpu", "data/model", "data/baselines.json"):
            for path in [repository.folder / top, *(repository.folder / top).rglob("*")]:
                if path.is_file():
                    assert path.stat().st_nlink > 1, path
                    assert not path.stat().st_mode & 0o222, path
    assert {path: path.read_bytes() for path in before} == before


def test_training_that_gives_the_same_snapshots_reruns_nothing_behind_it(repository):
    path = repository.folder / "stages" / "learning" / "closed_form.py"
    path.write_text(path.read_text() + "\n# a comment\n")
    before = repository.results()
    output = repository.dvc("repro")
    assert [name for name in stages_run(output) if name not in ("train_cpu", "train_gpu", "compare")] == []
    assert repository.results() == before


def test_forced_again_differs_in_nothing_but_times(repository):
    def hashes():
        lock = yaml.safe_load((repository.folder / "dvc.lock").read_text())["stages"]
        return {
            (name, entry["path"]): entry["md5"]
            for name, stage in lock.items()
            for entry in [*stage.get("deps", []), *stage.get("outs", [])]
        }

    before, results = hashes(), repository.results()
    assert stages_run(repository.dvc("repro", "--force")) == CHAIN
    after = hashes()
    changed = {path for (stage, path), md5 in after.items() if before[stage, path] != md5}
    assert before.keys() == after.keys()
    assert changed <= {f"metrics/{name}.json" for name in ("train_cpu", "train_gpu", "compare", "plots/seconds")}
    assert repository.results() == results


def test_experiments_in_the_workspace(repository):
    output = repository.dvc("exp", "run", "--name", "faster", "-S", "lr=0.1")
    assert "prepare" not in stages_run(output)
    table = list(csv.DictReader(io.StringIO(repository.dvc("exp", "show", "--csv"))))
    by_name = {row["Experiment"]: row for row in table}
    assert by_name["faster"]["lr"] == "0.1"
    result = repository.json("metrics/evaluate.json")["mfccs"]["f1_macro"]
    assert float(by_name["faster"]["metrics/scores/mfccs.json:f1_macro"]) == pytest.approx(result, abs=1e-4)


def test_experiments_in_the_queue(repository):
    repository.dvc("exp", "run", "--queue", "-S", "lr=0.02,0.04")
    repository.dvc("queue", "start")
    deadline = time.monotonic() + 240
    while (status := repository.dvc("queue", "status")).count("Success") < 2:
        assert time.monotonic() < deadline, status
        assert "Failed" not in status, status
        time.sleep(1)
    table = list(csv.DictReader(io.StringIO(repository.dvc("exp", "show", "--csv"))))
    assert {"0.02", "0.04"} <= {row["lr"] for row in table}


def test_a_colleague_pulls_and_reproduces_nothing(repository, tmp_path):
    repository.dvc("remote", "add", "--default", "storage", str(tmp_path / "storage"))
    repository.commit()
    repository.dvc("push")
    repository.run("git", "clone", "--quiet", str(repository.folder), str(tmp_path / "colleague"))
    colleague = Repository(tmp_path / "colleague")
    colleague.dvc("pull", "--allow-missing")  # what no stage has made yet, say data/features
    assert stages_run(colleague.dvc("repro")) == []
    assert colleague.results() == repository.results()


def test_plots(repository):
    output = repository.dvc("plots", "show")
    assert "index.html" in output
    assert "WARNING" not in output, output
    page = (repository.folder / "dvc_plots" / "index.html").read_text()
    names = (
        "curves_mfccs_cpu_csv",
        "confusion_mfccs_csv",
        "plots_seconds_json",
        "plots_f1_json",
        "plots_models_json",
        "plots_reliability_json",
    )
    for plot in (f"metrics_{name}" for name in names):
        assert f"vegaEmbed('#{plot}'" in page
    assert not re.search(r"<(script|link)[^>]+(src|href)", page), "the page must not need the internet"


def test_report_and_model_card(repository):
    repository.run("python", "-m", "stages.report")
    page = (repository.folder / "metrics" / "report.md").read_text()
    for result in repository.json("metrics/evaluate.json").values():
        assert f"**{result['runs']['f1_macro_mean']:.3f}**" in page
    assert "epochs: 3" in page
    assert page.count("-->") > 10  # the pipeline
    assert "Data set: data/mine." in (repository.folder / "metrics" / "model_card.md").read_text()
    names = {path.name for path in (repository.folder / "metrics" / "pictures").iterdir()}
    assert names == set(re.findall(r"\(pictures/(.+?)\)", page))


def test_own_arrays_in_each_layout(repository):
    X, labels, groups = make_arrays(classes=(10, 20, 30))
    save_arrays(repository.folder / "data" / "yours" / "mfccs", X, labels, groups)
    save_arrays(repository.folder / "data" / "yours" / "other", X * 2, labels, groups)
    save_arrays(repository.folder / "data" / "single", X, labels, groups)
    for part, rows in (("train", slice(0, 72)), ("val", slice(72, 96)), ("test", slice(96, 120))):
        save_arrays(repository.folder / "data" / "given" / part / "mfccs", X[rows], labels[rows])

    repository.dvc("exp", "run", "-S", "dataset=data/yours", "-S", "representations=[mfccs]")
    results = repository.json("metrics/evaluate.json")
    assert {name: set(result["f1"]) for name, result in results.items()} == {"mfccs": {"10", "20", "30"}}
    for dataset, representations in (("yours", {"mfccs", "other"}), ("single", {"single"}), ("given", {"mfccs"})):
        set_params(repository, dataset=f"data/{dataset}", representations="all")
        repository.dvc("repro")
        assert set(repository.json("metrics/evaluate.json")) == representations
    assert repository.json("data/prepared/dataset.json")["source"]["split"] == "given"


@pytest.mark.parametrize("bad", ["lr=abc", "lr=0", "epochs=-1", "hidden=[]", "optimizer=Foo", "dataset=data/nowhere"])
def test_a_bad_parameter_stops_before_anything_is_lost(repository, bad):
    before = repository.results()
    output = repository.dvc("exp", "run", "-S", bad, fails=True)
    key = bad.split("=")[0]
    assert f"\nerror: params.yaml: {key}: found " in output
    assert "Traceback" not in output
    assert stages_run(output) == ["check"]
    assert repository.results() == before


def test_bad_arrays_stop_before_anything_is_lost(repository):
    before = repository.results()
    path = repository.folder / "data" / "mine" / "mfccs" / "X.npy"
    path.unlink()
    np.save(path, np.full((120, 6), np.nan))
    output = repository.dvc("repro", fails=True)
    assert "error: data/mine/mfccs/X.npy: found NaN, infinity or numbers beyond float32 in 120 of 120 samples" in output
    assert "Traceback" not in output
    assert repository.results() == before
    shutil.rmtree(repository.folder / "data" / "mine")
    assert "data/mine" in repository.dvc("repro", fails=True)
    assert repository.results() == before
