"""What Python takes for the package `stages` if it was started with a file of this folder, or inside it."""

if __name__ != "stages.stages":
    raise SystemExit(
        "error: this folder hides the package `stages` and Python's own `select`; in the folder above, run "
        "`source .venv/bin/activate`, then `python -m stages.NAME`"
    )
