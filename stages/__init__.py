"""The program: a module a stage of the pipeline, `cli.py` for people, and rooms below them."""

import sys
from importlib import import_module
from importlib.util import find_spec

if not find_spec("soxr"):  # a package that few have by chance
    raise ImportError(
        f"{sys.executable} lacks the project's packages; run `source .venv/bin/activate`, or first `make repro`",
        name=__name__,  # to `python -m` a reason to stop in one line
    )

if sys.argv[0] == "-m":  # which is about to import what it runs
    import_module("stages.common.importing")
