"""Kills: three rounds of the soak, drawn so that they meet every command, signal and target. `make soak` plays more."""

import os
import subprocess

import pytest
import soak
from conftest import ROOT

pytestmark = pytest.mark.slow

SEED, ROUNDS = 48482, 3


@pytest.fixture(scope="module")
def rounds() -> list[soak.Round]:
    return [soak.draw(SEED, number) for number in range(1, ROUNDS + 1)]


@pytest.fixture(scope="module")
def whole(rounds, base, tmp_path_factory) -> soak.Soak:
    used = [soak.BEFORE, *(each.value for each in rounds), *(each.then for each in rounds)]
    return soak.Soak(base, tmp_path_factory.mktemp("soak"), [value for value in soak.VALUES if value in used])


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
