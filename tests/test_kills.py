"""Kills: three rounds of the soak, drawn so that they meet every command, signal and target. `make soak` plays more.

One strikes before the first stage, one as the networks are trained, one behind that.
"""

import os
import subprocess

import pytest
import soak
from chain import run_chain
from conftest import ROOT
from repository import set_params

pytestmark = pytest.mark.slow

SEED, ROUNDS = 966860, 3


@pytest.fixture(scope="module")
def rounds() -> list[soak.Round]:
    return [soak.draw(SEED, number) for number in range(1, ROUNDS + 1)]


@pytest.fixture(scope="module")
def whole(rounds, base, forked, tmp_path_factory) -> soak.Soak:
    """The undisturbed runs: the base, and one without DVC, which differs in nothing but times (test_pipeline.py).

    They are of another learning rate, for which DVC runs what comes behind the baselines. That took the base a third of
    what it takes programs that have to import first.
    """
    whole = soak.Soak(base, tmp_path_factory.mktemp("soak"), forked)
    (value,) = {tuple(each.value.values()): each.value for each in rounds}.values()
    assert [key for key in value if value[key] != soak.BEFORE[key]] == ["lr"]
    changed = whole.copy("changed")
    set_params(changed, **value)
    run_chain(changed.folder, pictures=True)
    first, last = (base.folder / name for name in ("data/baselines.json", "metrics/report.md"))
    seconds = 3 * (last.stat().st_mtime - first.stat().st_mtime)
    for each, repository in ((soak.BEFORE, base), (value, changed)):
        whole.references[tuple(each.values())] = soak.Reference(soak.contents(repository.folder), seconds)
    return whole


def test_whatever_a_kill_leaves_make_repro_makes_the_same_bytes(rounds, whole):
    assert {each.command for each in rounds} == set(soak.COMMANDS)
    assert {each.signal for each in rounds} == set(soak.SIGNALS)
    assert {each.target for each in rounds} == set(soak.TARGETS)
    failed = [outcome for outcome in soak.pool(whole.play, rounds) if outcome.faults]
    assert not failed


def test_make_finds_all_that_the_soak_imports():
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MAKEFLAGS", "MAKELEVEL")}
    how = {"cwd": ROOT, "env": clean, "capture_output": True, "text": True, "check": True}
    command = subprocess.run(["make", "--dry-run", "soak"], **how).stdout.splitlines()[-1]
    assert "kill the pipeline at random" in subprocess.run(f"{command} --help", shell=True, **how).stdout


def test_the_soak_sees_every_byte(whole):
    repository = whole.copy("another")
    assert whole.differences(repository) == []
    chosen = repository.folder / "data/model/mfccs.safetensors"
    content = chosen.read_bytes()
    chosen.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (repository.folder / "metrics/evaluate.json").unlink()
    (repository.folder / "data/prepared/extra").touch()
    (repository.folder / "metrics/.select.json.tmp-7-0").touch()
    assert whole.differences(repository) == [
        "data/model/mfccs.safetensors: differs",
        "data/prepared/extra: too much",
        "metrics/evaluate.json: missing",
    ]
    assert soak.leftovers(repository.folder) == ["metrics/.select.json.tmp-7-0"]
