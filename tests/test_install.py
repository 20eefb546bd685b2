"""What .ci/install tells uv, and when it turns to pip: both are stand-ins that write down what they are asked."""

import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from pip._internal.models.index import PyPI

UV = """#!/bin/bash
echo "uv $*" >> calls
env | grep '^UV_' | sort >> told
[ ! -e refuses ]  # else it fails
"""
PYTHON = f"""#!/bin/bash
[ "$3 $PIP_CONFIG_FILE" != "config /dev/null" ] || exit 0  # as pip says, after half a second
[ "$3" != config ] && [ "$1" != -c ] || exec {sys.executable} "$@"
echo "python $*" >> calls
"""
TOOLS = (
    "bash",
    "dirname",
    "env",
    "grep",
    "make",
    "mkdir",
    "sed",
    "sort",
    "tail",
    "touch",
    "tr",
)  # and no uv of this machine
PACKAGES = "requirements.txt", "requirements-torch.txt"
BY_UV = "uv pip install --python .venv/bin/python -b requirements.txt -r requirements.txt -r requirements-torch.txt"
PROJECT = "python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable ."
BY_PIP = [f"python -m pip install -r {file}" for file in PACKAGES]


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def place(tmp_path):
    """A folder with the installer, and programs that stand in for uv and for the Python of .venv."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    shutil.copy(ROOT / "Makefile", tmp_path)
    for file in (*PACKAGES, "pyproject.toml"):
        (tmp_path / file).touch()
    (tmp_path / "tools").mkdir()
    for tool in TOOLS:
        (tmp_path / "tools" / tool).symlink_to(shutil.which(tool) or pytest.skip(f"no {tool} here"))
    write_program(tmp_path / "uv" / "uv", UV)
    write_program(tmp_path / ".venv" / "bin" / "python", PYTHON)
    return tmp_path


def install(place, command=(".ci/install", *PACKAGES), **variables):
    """Run it where pip's and uv's settings are these alone; return the exit status, the calls and uv's settings."""
    environment = {"PATH": f"{place / 'uv'}:{place / 'tools'}", "HOME": str(place), "PIP_CONFIG_FILE": "/dev/null"}
    done = subprocess.run(command, cwd=place, env=environment | variables, capture_output=True, text=True)
    calls, told = (place / "calls", place / "told")
    settings = dict(line.split("=", 1) for line in told.read_text().splitlines()) if told.exists() else {}
    return done.returncode, calls.read_text().splitlines(), settings


def test_uv_installs_all_with_one_command(place):
    assert install(place) == (0, [BY_UV], {})


def test_bytecode_is_made_at_once_where_python_is_told_to_keep_none(place):
    """Else every command would compile all packages anew."""
    _, calls, _ = install(place, PYTHONDONTWRITEBYTECODE="1")
    assert calls == [BY_UV.replace(" -b", " --compile-bytecode -b")]


def test_uv_is_told_what_pips_variables_say(place):
    *_, told = install(place, PIP_INDEX_URL="https://a/simple", PIP_EXTRA_INDEX_URL="https://b https://c")
    assert told["UV_DEFAULT_INDEX"] == "https://a/simple"
    assert told["UV_INDEX"] == "https://a/simple https://b https://c"  # of two equals uv prefers the first
    assert told["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    _, calls, told = install(place, PIP_FIND_LINKS="wheels more", PIP_NO_INDEX="1")
    assert told["UV_FIND_LINKS"] == "wheels,more"
    assert calls[-1] == BY_UV.replace(" -b", " --no-index -b")


def test_uv_is_told_what_pips_configuration_says_where_the_variables_say_nothing(place):
    settings = "[global]\nindex-url = https://a/simple\nfind-links = no\nextra-index-url =\n  https://b\n  https://c\n"
    (place / "pip.conf").write_text(settings + "[install]\nfind-links = wheels\n")
    *_, told = install(place, PIP_CONFIG_FILE=str(place / "pip.conf"), PIP_INDEX_URL="https://d")
    assert told == {
        "UV_DEFAULT_INDEX": "https://d",
        "UV_FIND_LINKS": "wheels",
        "UV_INDEX": "https://d https://b https://c",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_the_main_index_is_pips_own_where_nobody_names_one(place):
    *_, told = install(place, PIP_EXTRA_INDEX_URL="https://b")
    assert told["UV_INDEX"] == f"{PyPI.simple_url} https://b"
    *_, told = install(place, PIP_EXTRA_INDEX_URL="https://b", UV_DEFAULT_INDEX="https://own")
    assert told["UV_INDEX"] == "https://own https://b"


@pytest.mark.parametrize(
    "own",
    [
        {"UV_DEFAULT_INDEX": "https://own", "UV_INDEX": "https://own/too", "UV_FIND_LINKS": "own"},
        {"UV_INDEX_URL": "https://own", "UV_EXTRA_INDEX_URL": "https://own/too", "UV_FIND_LINKS": "own"},
    ],
)
def test_uvs_own_settings_come_first(place, own):
    pips = {"PIP_INDEX_URL": "https://a", "PIP_EXTRA_INDEX_URL": "https://b", "PIP_FIND_LINKS": "wheels"}
    *_, told = install(place, **pips, **own)
    assert told == own
    *_, told = install(place, **pips, UV_INDEX_STRATEGY="first-index")
    assert told["UV_INDEX_STRATEGY"] == "first-index"


def test_pip_installs_uv_where_there_is_none_and_all_the_rest_where_that_fails(place):
    shutil.rmtree(place / "uv")
    assert install(place)[:2] == (0, ["python -m pip install --quiet -r .ci/uv.txt", *BY_PIP])


def test_where_uv_fails_pip_installs_file_by_file(place):
    (place / "refuses").touch()
    assert install(place)[:2] == (0, [BY_UV, *BY_PIP])


def test_pip_does_not_take_over_a_build_of_torch_that_it_cannot_choose(place):
    (place / "refuses").touch()
    assert install(place, UV_TORCH_BACKEND="cpu") == (1, [BY_UV], {"UV_TORCH_BACKEND": "cpu"})


def test_make_counts_nothing_as_installed_that_is_not(place):
    make = ("make", f"PYTHON={place / 'python'}", ".venv/.installed")
    write_program(place / "python", "#!/bin/bash\n")
    (place / "refuses").touch()
    assert install(place, make, UV_TORCH_BACKEND="cpu")[0] == 2
    assert not (place / ".venv" / ".installed").exists()
    (place / "refuses").unlink()
    assert install(place, make)[:2] == (0, [BY_UV, BY_UV, PROJECT])
    assert (place / ".venv" / ".installed").exists()


def test_where_home_cannot_be_written_uvs_cache_lies_beside_the_packages(place):
    (place / "file").touch()
    assert install(place, HOME=str(place / "file"), XDG_CACHE_HOME=str(place))[2] == {}
    assert install(place, HOME=str(place / "file"))[2] == {"UV_CACHE_DIR": str(place / ".venv" / ".uv-cache")}


def test_make_installs_once_for_several_targets_at_a_time(place):
    for name in ("dvc", "genre"):
        write_program(place / ".venv" / "bin" / name, f'#!/bin/bash\necho "{name} $*" >> calls\n')
    write_program(place / "python", "#!/bin/bash\n")
    status, calls, _ = install(place, ("make", "-j4", f"PYTHON={place / 'python'}", "repro", "test"))
    assert status == 0
    assert calls[:2] == [BY_UV, PROJECT]
    pytest_run = "python -m pytest --numprocesses logical --dist loadfile --no-loadscope-reorder -rs"
    assert sorted(calls[2:]) == ["dvc repro", "genre fix", pytest_run]


def test_a_clone_by_git_for_windows_has_the_same_bytes(tmp_path):
    """It writes CRLF where nobody says otherwise: bash then reads no script, and every file is another one to DVC."""
    clone = ["git", "clone", "--quiet", "--shared", "--config", "core.autocrlf=true", ROOT, tmp_path / "clone"]
    subprocess.run(clone, check=True, capture_output=True)
    names = subprocess.run(["git", "ls-files"], cwd=tmp_path / "clone", capture_output=True, text=True, check=True)
    texts = [name for name in names.stdout.splitlines() if not name.endswith((".png", ".npz"))]
    assert len(texts) > 100
    assert [name for name in texts if b"\r\n" in (tmp_path / "clone" / name).read_bytes()] == []
