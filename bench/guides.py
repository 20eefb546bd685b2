"""The guides' marked blocks, filled from what was measured, so that no figure in them is typed by hand.

`<!-- NAME -->` and `<!-- /NAME -->` enclose a block; GUIDES says which guide holds which and what fills it.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench import tables
from stages.common.files import COMPARED, EVALUATED, UserError, shown, timing_path
from stages.common.records import read_by_name
from stages.common.results import Comparison, Judgement, Timing
from stages.common.running import run_script
from stages.common.writing import write_bytes
from stages.reporting.tables import headline, text, with_interval


def fill_all() -> None:
    """Write every block of every guide anew."""
    for guide, blocks in GUIDES.items():
        text = guide.read_text(encoding="utf-8")
        for name, block in blocks.items():
            text = fill(text, name, block())
        write_bytes(guide, text.encode())


def fill(text: str, name: str, content: str) -> str:
    """Put `content` between the two marks of a block."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise UserError(f"expected one block between <!-- {name} --> and <!-- /{name} -->")
    return pattern.sub(lambda marks: marks[1] + content + marks[2], text)


def results() -> str:
    """Return the table of the committed metrics, what the default run gives, and how simpler models do."""
    judged, compared = read_by_name(Judgement, EVALUATED), read_by_name(Comparison, COMPARED)
    hardware = Timing.read(timing_path("cpu")).hardware
    rivals = {name: result.baselines for name, result in judged.items() if result.baselines}
    best = {name: max(each.items(), key=lambda item: item[1].f1_macro) for name, each in rivals.items()}
    rivals = "; ".join(
        f"{text(name)}: {model.replace('_', ' ')}, {with_interval(scored, 'f1_macro', judged[name])}"
        for name, (model, scored) in best.items()
    )
    seconds = ", ".join(
        f"{text(name)} {row.cpu_seconds:.2f} a run, {row.cpu_all_runs_seconds:.2f} all runs"
        for name, row in compared.items()
    )
    versions = hardware.versions
    return "\n".join(headline(judged)) + (
        f"\n\nThe best of the baselines on the same split, macro F1: {rivals}.\n\n"
        f"<sub>{hardware.cpu}, {hardware.cores} cores; Python {versions['python']}, torch {versions['torch']}. "
        f"Seconds on the CPU: {seconds}. Runs and epochs count from 0.</sub>\n"
    )


def pipeline() -> str:
    """Return the pipeline's stages as a mermaid diagram, as DVC draws it."""
    command = [sys.executable, "-m", "dvc", "dag", "--mermaid"]
    drawn = subprocess.run(command, capture_output=True, text=True, check=False)
    if drawn.returncode:
        raise UserError(f"dvc dag: {shown(drawn.stderr.strip(), 1000)}; run this from the repository's root")
    return f"```mermaid\n{drawn.stdout.strip()}\n```\n"


def predict() -> str:
    """Return what `predict` says of a track of the demo corpus."""
    command = ["genre", "predict", "data/demo/listen/rock_000.flac", "data/demo/listen/blues_001.flac"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return f"```console\n$ {' '.join(command)}\n{said.strip()}\n```\n"


GUIDES: dict[Path, dict[str, Callable[[], str]]] = {
    Path("README.md"): {"results": results, "predict": predict, "dag": pipeline},
    Path("docs/experiments.md"): {"recipes": tables.recipes},
    Path("bench/README.md"): {
        "speed": tables.speed,
        "cnn": tables.cnn,
        "growth": tables.growth,
        "change": tables.change,
        "front_end": tables.front_end,
        "songs": tables.songs,
        "gpu": tables.gpu,
        "persistent": tables.persistent,
    },
}


if __name__ == "__main__":
    run_script(fill_all)
