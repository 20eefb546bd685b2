"""check: what it stops, and that its output never changes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, save_dataset, write_params
from dvc.repo import Repo

from stages import check
from stages.common.files import UserError


@pytest.fixture(autouse=True)
def data(workplace, monkeypatch):
    """A data set, and DVC."""
    save_dataset(workplace / "data" / "mine")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(workplace / "site_cache"))
    Repo.init(no_scm=True)
    shutil.copy(ROOT / "dvc.yaml", workplace)
    (workplace / "stages").symlink_to(ROOT / "stages")


def test_good_parameters_give_the_same_output_whatever_they_are(workplace):
    outputs = set()
    for changes in (
        {},
        {"lr": 0.1},
        {"optimizer": "Adam", "optimizer_args": {"weight_decay": 0.1}},
        {"dataset": "data/demo"},
    ):
        write_params(**changes)
        check.main()
        outputs.add(check.CHECKED.read_bytes())
    assert outputs == {b'{\n  "checked": true\n}\n'}


@pytest.mark.parametrize("optimizer", check.COMMON_OPTIMIZERS)
def test_the_common_optimizers_are_torchs(optimizer):
    import torch

    assert issubclass(getattr(torch.optim, optimizer), torch.optim.Optimizer)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"optimizer": "Foo"}, "optimizer: found Foo, expected one of ASGD, .*SGD"),
        ({"optimizer": "adam"}, r"optimizer: found adam, expected .*, did you mean Adam\?$"),
        ({"optimizer": "LBFGS"}, "optimizer: found LBFGS"),
        (
            {"optimizer_args": {"momentumm": 0.9}},
            "optimizer_args: found momentumm, expected arguments of SGD: momentum",
        ),
        ({"optimizer_args": {"momentum": -1}}, "which SGD refuses: Invalid momentum"),
        (
            {"optimizer": "Adam", "optimizer_args": {"betas": 3}},
            "Adam refuses: 'int' object is not subscriptable",
        ),
        (  # refused by its first step only
            {"optimizer": "RMSprop", "optimizer_args": {"capturable": True}},
            "which RMSprop refuses: If capturable=True, params and state_steps must be on supported devices",
        ),
        ({"optimizer_args": {"differentiable": True}}, "which SGD refuses: a leaf Variable that requires grad"),
        ({"dataset": "data/nowhere"}, "dataset: found data/nowhere, where there is no folder"),
    ],
)
def test_bad_parameters_are_named(workplace, changes, says):
    write_params(**changes)
    with pytest.raises(UserError, match=f"^params.yaml: .*{says}"):
        check.main()
    assert not check.CHECKED.exists()


def git(*command):
    return subprocess.run(["git", *command], capture_output=True, text=True, check=True).stdout


def test_git_can_take_back_what_was_refused(workplace):
    """Also where it has the size and, to the second, the time of what git knows: as `-S` may leave it."""
    git("init", "--quiet")
    git("config", "core.trustctime", "false")  # that time would tell them apart in another second
    os.utime("params.yaml", (10**9, 10**9))
    good = Path("params.yaml").read_text()
    git("add", "params.yaml")
    Path("params.yaml").write_text(good.replace("epochs: 2", "epochs: 0"))
    os.utime("params.yaml", (10**9, 10**9))
    assert git("diff", "--name-only") == ""
    with pytest.raises(UserError, match="epochs: found 0"):
        check.main()
    assert Path("params.yaml").stat().st_mtime == 10**9 + 1
    git("checkout", "--quiet", "params.yaml")
    assert Path("params.yaml").read_text() == good


@pytest.mark.parametrize(("root", "stays"), [(".", True), ("..", False)], ids=["here", "in a copy"])
def test_what_an_experiment_wrote_is_told_to_stay(workplace, monkeypatch, root, stays):
    write_params(epochs=0)
    monkeypatch.setenv("DVC_EXP_NAME", "a")
    monkeypatch.setenv("DVC_ROOT", str((workplace / root).resolve()))
    with pytest.raises(UserError) as refusal:
        check.main()
    assert str(refusal.value).endswith("take it back with git checkout params.yaml") == stays


STAGE = "{stages: {s: {cmd: x, "
MAKERS = {  # of data/theirs, as DVC accepts it in data/dvc.yaml
    "a path": STAGE + "outs: [theirs]}}}",
    "options": STAGE + "outs: [{theirs: {cache: false, persist: true}}]}}}",
    "another folder to work in": STAGE + "wdir: .., outs: [data/theirs]}}}",
    "a loop": "{stages: {s: {foreach: [our, their], do: {cmd: x, outs: ['${item}s']}}}}",
    "a matrix": "{stages: {s: {matrix: {who: [our, their]}, cmd: x, outs: [{'${item.who}s': {cache: false}}]}}}",
    "a template": "{vars: [{who: theirs}], stages: {s: {cmd: x, outs: ['${who}']}}}",
    "a parameter": "{vars: [../params.yaml], stages: {s: {wdir: .., cmd: x, outs: ['${dataset}']}}}",
    "plots": STAGE + "plots: [{theirs: {cache: false}}]}}}",
    "metrics": STAGE + "metrics: [theirs]}}}",
    "a folder in it": STAGE + "outs: [theirs/mfccs]}}}",
    "the folder that it is in": STAGE + "wdir: .., outs: [data]}}}",
    "a file of its own": None,
}


@pytest.mark.parametrize("how", MAKERS)
@pytest.mark.parametrize("dataset", ["data/theirs", "./data/../data/theirs/"])
def test_what_dvc_makes_is_no_mistake(workplace, how, dataset):
    Path("dvc.yaml").unlink()
    if MAKERS[how] is None:
        Path("data/theirs.dvc").write_text("outs: [{path: theirs, md5: d41d8cd98f00b204e9800998ecf8427e.dir}]")
    else:
        Path("data/dvc.yaml").write_text(MAKERS[how])
    write_params(dataset=dataset)
    check.main()
    assert check.CHECKED.exists()


@pytest.mark.parametrize("content", [None, "", "{}", "{metrics: [a.json]}", "{stages: {}}", STAGE + "outs: [other]}}}"])
def test_what_dvc_does_not_make_is_named(workplace, content):
    Path("dvc.yaml").unlink()
    if content is not None:
        Path("data/dvc.yaml").write_text(content)
    write_params(dataset="data/theirs")
    with pytest.raises(
        UserError, match=r"^params.yaml: dataset: found data/theirs, where there is no folder; expected"
    ):
        check.main()
    assert not check.CHECKED.exists()


def test_what_is_there_needs_no_dvc(workplace, monkeypatch):
    monkeypatch.setattr(check, "made_by_dvc", lambda: pytest.fail("takes its time"))
    Path("data/dvc.yaml").write_text("no pipeline")
    check.main()


def test_what_dvc_cannot_read_is_told_in_its_words(workplace):
    Path("data/dvc.yaml").write_text("stages: {s: {cmd: [}}")
    write_params(dataset="data/theirs")
    with pytest.raises(UserError, match=r"^dvc: .*data/dvc.yaml") as refusal:
        check.main()
    assert "\n" not in str(refusal.value)
