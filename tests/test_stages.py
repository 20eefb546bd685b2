"""What is run as a file, or by another Python, says in one line what to run."""

import subprocess
import sys

import pytest
from conftest import ROOT

RUNNABLE = sorted(path.name for path in (ROOT / "stages").glob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize(
    "words", [["-c", "import subprocess"], ["train.py", "cpu"], *(["-S", each] for each in RUNNABLE)]
)
def test_inside_the_folder_of_the_stages_one_line_says_what_to_do(words):
    """Where select.py would be taken for a module of Python's own; with -S, of a Python without packages, too."""
    done = subprocess.run([sys.executable, *words], cwd=ROOT / "stages", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: this folder hides the package `stages` and Python's own `select`; ")
    assert "`source .venv/bin/activate`" in done.stderr
    assert done.stderr.count("\n") == 1
