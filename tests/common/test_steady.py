"""Steady parameters: DVC never keeps what was made with other values than it records."""

import hashlib

import pytest
from conftest import write_params

from stages.common.files import UserError
from stages.common.steady import LOCK_FILE, PIPELINE, steady_params

PIPELINES = "stages: {check: {deps: [params.yaml]}, train: {params: [lr, audio]}}"


@pytest.fixture(autouse=True)
def checked(workplace, monkeypatch):
    """A pipeline under DVC, whose stage `check` has seen params.yaml."""
    PIPELINE.write_text(PIPELINES)
    LOCK_FILE.write_text(f"md5: {hashlib.md5((workplace / 'params.yaml').read_bytes()).hexdigest()}\n")
    monkeypatch.setenv("DVC_STAGE", "train")


def test_what_was_not_checked_is_not_computed_with():
    write_params(lr=0.3)
    says = r"^params.yaml: has changed since the stage `check` read it, .* then run `dvc repro`$"
    with pytest.raises(UserError, match=says), steady_params():
        pytest.fail("it ran")


@pytest.mark.parametrize("stage", ["train", "../dvc.yaml:train"])
def test_a_change_meanwhile_of_what_the_stage_reads_is_refused(monkeypatch, stage):
    monkeypatch.setenv("DVC_STAGE", stage)
    says = r"^params.yaml: lr: found 0.3, expected 0.05, as when train started; .*: dvc commit --force train$"
    with pytest.raises(UserError, match=says), steady_params():
        write_params(lr=0.3)


def test_a_change_meanwhile_of_anything_else_is_not():
    with steady_params():
        write_params(epochs=3)


def test_the_stages_own_failure_comes_first():
    with pytest.raises(UserError, match="its own"), steady_params():
        write_params(lr=0.3)
        raise UserError("its own")


@pytest.mark.parametrize("stage", ["", "check", "of another pipeline"])
def test_where_dvc_records_no_parameters_nothing_is_compared(monkeypatch, stage):
    monkeypatch.setenv("DVC_STAGE", stage)
    LOCK_FILE.unlink()
    with steady_params():
        write_params(lr=0.3)
