"""The whole chain under DVC, on a small configuration, as its users use it."""

import csv
import io
import json
import re
import shutil

import numpy as np
import pytest
import soundfile
from chain import COMMANDS, run_chain
from conftest import ROOT, make_arrays, save_arrays
from listening.page.conftest import BROWSERS, program
from playwright.sync_api import sync_playwright
from repository import Repository, set_params, stages_run

CHAIN = list(COMMANDS)
TROUBLE = re.compile("WARNING|ERROR|[Ff]ailed|not exist")  # as DVC writes them; a warning of ours is not in capitals


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
    assert repository.run("git", "ls-files", "data").split() == [
        "data/.gitignore",
        "data/audio/.gitignore",
        "data/mine.dvc",
    ]
    assert (repository.folder / "data" / ".gitignore").read_text() == (ROOT / "data" / ".gitignore").read_text()


def test_a_data_set_that_is_not_asked_for_is_not_made(repository):
    for made in ("demo", "features"):
        assert [path.name for path in (repository.folder / "data" / made).iterdir()] == ["nothing.txt"]
    set_params(repository, dataset="data/demo")
    assert stages_run(repository.dvc("repro", "--dry"))[:3] == ["check", "demo", "features"]


def test_a_change_of_lr_reruns_training_and_what_follows_and_shows_in_metrics_diff(hard_links):
    set_params(hard_links, lr=0.2)
    before = ("demo", "features", "prepare", "baselines")
    assert stages_run(hard_links.dvc("repro")) == [name for name in CHAIN if name not in before]
    rows = json.loads(hard_links.dvc("metrics", "diff", "--json"))
    mean = rows["metrics/scores/mfccs.json"]["runs_mean"]
    assert mean["old"] != mean["new"] == hard_links.json("metrics/evaluate.json")["mfccs"]["runs"]["f1_macro_mean"]
    rows = json.loads(hard_links.dvc("metrics", "diff", "--json", "--targets", "metrics/evaluate.json"))
    loss = rows["metrics/evaluate.json"]["mfccs.loss"]
    assert loss["old"] != loss["new"] == hard_links.json("metrics/evaluate.json")["mfccs"]["loss"]
    assert json.loads(hard_links.dvc("params", "diff", "--json"))["params.yaml"]["lr"]["new"] == 0.2


def test_prepared_data_are_replaced_where_they_are_links_into_the_cache(hard_links):
    set_params(hard_links, split_seed=4)
    assert stages_run(hard_links.dvc("repro", "prepare")) == ["check", "prepare"]


@pytest.fixture
def hard_links(repository):
    """A copy of the project whose data are links into DVC's cache; they stay so, and nothing is written into it."""
    repository.dvc("config", "--local", "cache.type", "hardlink")
    repository.dvc("checkout", "--relink", "--allow-missing")
    cache = repository.folder / ".dvc" / "cache" / "files"
    before = {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}
    yield repository
    for top in ("data/prepared", "data/snapshots/cpu", "data/model", "data/baselines.json"):
        for path in [repository.folder / top, *(repository.folder / top).rglob("*")]:
            if path.is_file():
                assert path.stat().st_nlink > 1, path
                assert not path.stat().st_mode & 0o222, path
    assert {path: path.read_bytes() for path in before} == before


def test_training_that_gives_the_same_snapshots_reruns_nothing_behind_it(repository):
    path = repository.folder / "stages" / "training" / "closed_form.py"
    path.write_text(path.read_text() + "\n# a comment\n")
    before = repository.results()
    output = repository.dvc("repro")
    assert [
        name for name in stages_run(output) if name not in ("check", "train_cpu", "train_gpu", "compare", "report")
    ] == []
    assert repository.results() == before


def test_run_without_dvc_it_differs_in_nothing_but_times(repository):
    """In one process and on one core, as the tests of the chain's contents run it."""
    results = repository.results()
    run_chain(repository.folder, pictures=True)
    assert repository.results() == results
    told = json.loads(repository.dvc("status", "--json", "dvc.yaml"))
    changed = {path for stage in told.values() for path in changes(stage)}
    timed = {f"metrics/{name}.json" for name in ("train_cpu", "train_gpu", "compare", "plots/seconds")}
    assert changed | {"metrics/train_gpu.json"} == timed | {"metrics/report.md", "metrics/pictures"}


def changes(stage: list) -> list[str]:
    """Return the paths that DVC's status of a stage tells."""
    return [path for entry in stage if isinstance(entry, dict) for paths in entry.values() for path in paths]


def test_an_experiment_on_own_arrays(repository):
    """In a copy of what git and DVC track, as those of the queue run."""
    X, labels, groups = make_arrays(classes=(10, 20, 30))
    for name, factor in (("mfccs", 1), ("other", 2)):
        save_arrays(repository.folder / "data" / "yours" / name, X * factor, labels, groups)
    repository.dvc("add", "data/yours")
    repository.commit()
    changes = ("dataset=data/yours", "representations=[mfccs]", "lr=0.1")
    settings = [part for each in changes for part in ("-S", each)]
    output = repository.dvc("exp", "run", "--temp", "--name", "faster", *settings)
    assert stages_run(output) == CHAIN
    assert not TROUBLE.search(output)
    table = list(csv.DictReader(io.StringIO(repository.dvc("exp", "show", "--csv"))))
    shown = {row["Experiment"]: row for row in table}["faster"]
    assert (shown["lr"], shown["dataset"]) == ("0.1", "data/yours")
    results = json.loads(repository.run("git", "show", f"{shown['rev']}:metrics/evaluate.json"))
    assert {name: set(result["f1"]) for name, result in results.items()} == {"mfccs": {"10", "20", "30"}}
    assert float(shown["metrics/scores/mfccs.json:f1_macro"]) == pytest.approx(results["mfccs"]["f1_macro"], abs=1e-4)


def test_a_colleague_pulls_and_reproduces_nothing(repository, forked, tmp_path):
    repository.dvc("remote", "add", "--default", "storage", str(tmp_path / "storage"))
    repository.commit()
    repository.dvc("push")
    repository.run("git", "clone", "--quiet", str(repository.folder), str(tmp_path / "colleague"))
    colleague = Repository(tmp_path / "colleague", forked)
    colleague.dvc("pull")
    assert stages_run(colleague.dvc("repro")) == []
    assert colleague.results() == repository.results()


def quietly(repository, *command):
    """Run DVC; it says nothing that worries anybody."""
    output = repository.dvc(*command)
    assert not TROUBLE.search(output), f"dvc {' '.join(command)}: {output}"


def test_the_ordinary_commands_are_silent_with_songs_and_without(repository, tmp_path):
    """A stage that never ran would have DVC warn, and `pull`, `checkout`, `exp apply` and `status -q` fail."""
    repository.run("git", "config", "user.name", "a")
    repository.run("git", "config", "user.email", "a@example.org")
    repository.dvc("remote", "add", "--default", "storage", str(tmp_path / "storage"))
    repository.commit()
    set_params(repository, model="ensemble")
    for command in ("push", "pull", "exp save -n one"):
        quietly(repository, *command.split())
    repository.run("git", "checkout", "--quiet", ".")
    for command in ("status -q", "checkout", "exp apply one", "install"):
        quietly(repository, *command.split())
    assert not TROUBLE.search(repository.run("git", "checkout", "-b", "other"))
    for number in range(2):
        song = repository.folder / "data" / "audio" / "ab"[number] / "a.wav"
        song.parent.mkdir()
        soundfile.write(song, np.linspace(-0.1, 0.1, 8000), 8000)
    assert stages_run(repository.dvc("repro")) == ["features"]
    for command in ("status -q", "push", "pull"):
        quietly(repository, *command.split())


@pytest.fixture(scope="module")
def plots(base, tmp_path_factory):
    """The page of the plots, and what DVC printed as it made it."""
    folder = tmp_path_factory.mktemp("plots")
    return folder / "index.html", base.dvc("plots", "show", "--out", str(folder))


def test_plots(plots):
    path, output = plots
    assert "index.html" in output
    assert "WARNING" not in output, output
    page = path.read_text()
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


def test_plots_leave_out_what_is_no_table(plots):
    chromium = program(BROWSERS)
    with sync_playwright() as play, play.chromium.launch(executable_path=chromium) as browser:
        page = browser.new_page()
        page.goto(plots[0].as_uri())
        page.wait_for_selector("#metrics_plots_seconds_json canvas")  # the last one
        drawn = page.evaluate("[...document.querySelectorAll('body > div')].map(each => each.id)")
    assert {"metrics_confusion_mfccs_csv", "metrics_plots_f1_json"} < set(drawn)
    assert not {"metrics_select_json", "metrics_evaluate_json", "metrics_train_cpu_json"} & set(drawn)


def test_a_released_model_is_found(repository, tmp_path):
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    repository.run(*git, "tag", "-a", "melgrams@v1.0.0", "-m", "x")
    repository.dvc("artifacts", "get", ".", "melgrams", "--out", str(tmp_path / "model"))
    model = repository.folder / "data" / "model" / "melgrams.safetensors"
    assert (tmp_path / "model").read_bytes() == model.read_bytes()


def test_report_and_model_card(repository):
    page = (repository.folder / "metrics" / "report.md").read_text()
    for result in repository.json("metrics/evaluate.json").values():
        assert f"**{result['runs']['f1_macro_mean']:.3f}**" in page
    assert "epochs: 3" in page
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
    for dataset, representations in (("yours", {"mfccs", "other"}), ("single", {"single"}), ("given", {"mfccs"})):
        set_params(repository, dataset=f"data/{dataset}", representations="all")
        run_chain(repository.folder)
        results = repository.json("metrics/evaluate.json")
        assert set(results) == representations
        assert all(set(result["f1"]) == {"10", "20", "30"} for result in results.values())
    assert repository.json("data/prepared/dataset.json")["source"]["split"] == "given"


@pytest.mark.parametrize("bad", ["lr=abc", "dataset=data/nowhere"])
def test_a_bad_parameter_stops_before_anything_is_lost(repository, bad):
    """A mistyped one and one that does not fit what is there; all others are refused by the same stage."""
    before = repository.results()
    output = repository.dvc("exp", "run", "-S", bad, fails=True)
    key = bad.split("=")[0]
    assert f"\nerror: params.yaml: {key}: found " in output
    assert "Traceback" not in output
    assert stages_run(output) == ["check"]
    assert repository.results() == before


def test_a_change_from_another_terminal_is_not_computed_with(repository):
    """Between the stage `check` and the one that reads the parameter: here the command itself makes the change."""
    path = repository.folder / "dvc.yaml"
    change = "python -c \"p = open('params.yaml', 'a'); p.write('#')\""
    path.write_text(path.read_text().replace("python -m stages.select", f"{change} && python -m stages.select"))
    output = repository.dvc("repro", fails=True)
    assert "\nerror: params.yaml: has changed since the stage `check` read it" in output
    assert stages_run(output) == ["select"]
    path.write_text((ROOT / "dvc.yaml").read_text())
    repository.dvc("repro")


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
