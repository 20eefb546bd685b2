"""The pinned lists hold all that pyproject.toml asks for, once for each Python, and a hash of everything but torch."""

import re
import tomllib

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WANTED = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
(TORCH,) = tomllib.loads((ROOT / ".ci" / "lock.toml").read_text(encoding="utf-8"))["dependency-metadata"]
HASH = r"--hash=sha256:[0-9a-f]{64}\b"


def pins(file):
    """Return a list's requirements and how many hashes each has."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / file).read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(Requirement(line.split("--hash")[0].strip()), len(re.findall(HASH, line))) for line in lines if line]


@pytest.mark.parametrize("file", ["requirements.txt", "bench/requirements.txt", ".ci/uv.txt"])
def test_everything_but_torch_has_a_hash(file):
    assert pins(file)
    assert [pin.name for pin, hashes in pins(file) if not hashes or pin.name == "torch"] == []


def test_torch_alone_has_none():
    wanted = next(each for each in WANTED if each.startswith("torch"))
    assert pins("requirements-torch.txt") == [(Requirement(wanted), 0)]
    assert wanted == f"torch=={TORCH['version']}"


def test_the_setuptools_that_installs_this_is_the_pinned_one():
    (pinned,) = [str(pin) for pin, _ in pins("requirements.txt") if pin.name == "setuptools"]
    assert PROJECT["build-system"]["requires"] == [pinned]


def test_uv_is_pinned_as_pyproject_says():
    assert [str(pin) for pin, _ in pins(".ci/uv.txt")] == EXTRAS["install"]


def test_uv_reads_nothing_of_this_projects_that_would_leave_cuda_packages_out():
    assert "uv" not in PROJECT["tool"]
    assert not (ROOT / "uv.toml").exists()


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("extras", [[], ["export"], ["cluster"], ["test"], ["test", "bench"]], ids="+".join)
def test_what_pyproject_asks_for_is_pinned(python, extras):
    file = "bench/requirements.txt" if "bench" in extras else "requirements.txt"
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    pinned = {}
    for pin, _ in pins(file) + pins("requirements-torch.txt"):
        if pin.marker is None or pin.marker.evaluate(here):
            (version,) = pin.specifier
            assert version.operator == "=="
            assert pinned.setdefault(canonicalize_name(pin.name), version.version) == version.version
    wanted = [Requirement(each) for each in sum((EXTRAS[extra] for extra in extras), WANTED)]
    wanted += [Requirement(each) for each in TORCH["requires-dist"]]
    assert [str(each) for each in wanted if pinned[canonicalize_name(each.name)] not in each.specifier] == []


def test_the_measurements_use_the_same_versions():
    assert {str(pin) for pin, _ in pins("requirements.txt")} <= {str(pin) for pin, _ in pins("bench/requirements.txt")}
