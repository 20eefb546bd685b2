"""The report as a page, metrics/report.md, with its pictures: the last run, from the files in metrics/."""

import csv
import subprocess
from pathlib import Path

import numpy as np
import yaml

from stages.files import (
    CONFUSION,
    CURVES,
    DESCRIPTION,
    F1,
    METRICS,
    MODELS,
    RELIABILITY,
    SECONDS,
    read_json,
)
from stages.learning.split import BLOCK, MOST_SAMPLES
from stages.records import DEVICES, Description, Judgement, Skipped
from stages.reporting import pictures
from stages.reporting.tables import baselines_table, devices_table, headline, listed, read_timings

PICTURES = METRICS / "pictures"


def draw(judged: dict[str, Judgement]) -> None:
    """Draw every picture of the report."""
    curves = {
        name: {device: rows for device in DEVICES if (rows := read_curves(CURVES / f"{name}_{device}.csv"))}
        for name in judged
    }
    classes = {name: list(result.f1) for name, result in judged.items()}
    matrices = {name: read_confusion(CONFUSION / f"{name}.csv", classes[name]) for name in judged}
    pictures.learning_curves(PICTURES / "learning_curves.png", curves)
    pictures.confusion(PICTURES / "confusion.png", classes, matrices)
    pictures.intervals(PICTURES / "f1.png", read_json(F1), "class", "f1", "F1 on the test part")
    pictures.intervals(PICTURES / "models.png", read_json(MODELS), "model", "f1_macro", "macro F1 on the test part")
    pictures.reliability(PICTURES / "reliability.png", read_json(RELIABILITY))
    pictures.seconds(PICTURES / "seconds.png", read_json(SECONDS))


def read_curves(path: Path) -> list[dict[str, float]]:
    """Read the rows of a learning curve, or none if there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def read_confusion(path: Path, classes: list[str]) -> np.ndarray:
    """Return the counts of a confusion file, shape (classes, classes), rows actual."""
    number, counts = {name: i for i, name in enumerate(classes)}, np.zeros((len(classes), len(classes)), np.int64)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            counts[number[row["actual"]], number[row["predicted"]]] = int(row["count"])
    return counts


def report(judged: dict[str, Judgement]) -> str:
    """Return report.md."""
    skipped = [
        f"`train_{device}`: {timing.skipped}"
        for device, timing in read_timings().items()
        if isinstance(timing, Skipped)
    ]
    tables = {"The network against baselines": baselines_table(judged), "CPU against GPU": devices_table()}
    lines = ["# Report", "", *headline(judged), "", how_sure()]
    lines += ["", "What the models are for and not for: [model card](model_card.md)."]
    for title, (picture, text) in SECTIONS.items():
        lines += ["", f"## {title}", "", f"![{title}](pictures/{picture})", "", text]
        lines += ["", *tables[title]] if title in tables else []
    lines += ["", "## Parameters", "", "```yaml", parameters(), "```"]
    lines += ["", "## Hardware and versions", "", *(f"- {line}" for line in hardware())]
    lines += ["", "## What was skipped", "", *(f"- {line}" for line in skipped or ["nothing"])]
    lines += ["", "## The pipeline", ""]
    return "\n".join(lines) + "\n" + pipeline()


def pipeline() -> str:
    """Return the pipeline's stages as a mermaid diagram, as DVC draws it."""
    drawn = subprocess.run(["dvc", "dag", "--mermaid"], capture_output=True, text=True, check=True).stdout
    return f"```mermaid\n{drawn.strip()}\n```\n"


SECTIONS = {  # title, picture, what is said of it
    "The network against baselines": (
        "models.png",
        "Bars: 95 % intervals. Hollow marks, where tracks are known: the same baseline on a split at random, where "
        "seconds of one track stand in training and test: what leakage would flatter. From parts of more than "
        f"{MOST_SAMPLES:,} samples, baselines take {MOST_SAMPLES:,}: at random to learn from, whole tracks or blocks "
        "to be judged on.",
    ),
    "Learning curves": (
        "learning_curves.png",
        "One line a run, that is, a seed. The snapshot with the best macro F1 of all of them on the validation part is "
        "the one that the test part judges.",
    ),
    "Confusion matrices": ("confusion.png", "Samples of the test part, and their share of the actual class."),
    "F1 of each class": ("f1.png", "Bars: 95 % intervals."),
    "Reliability": (
        "reliability.png",
        "Right as often as sure: the dashed line. Below it a model is too sure of itself, above it too modest. The "
        "larger a mark, the more samples have that confidence.",
    ),
    "CPU against GPU": (
        "seconds.png",
        "One run: the seconds from its start to its end, whoever trains beside it; of each part the median over the "
        "runs (warm-up: buffers, on a GPU rehearsal and recording too). All runs: the wall clock from the first run's "
        "start to the last one's end, on the CPU one after the other; the devices are compared by that. A device's own "
        "start (importing torch, the GPU's context, first kernels) is not part of either.",
    ),
}


def how_sure() -> str:
    """Return what the intervals and the spread mean."""
    by_track = Description.read(DESCRIPTION).source.unit == "track"
    units = "tracks" if by_track else f"blocks of {BLOCK} neighbouring samples of a class"
    return (
        f"Brackets: 95 % confidence interval of the chosen model, from a bootstrap over {units} of the test part. "
        "±: standard deviation over the runs, each by its own best snapshot. The chosen model is the best of several "
        "runs on the validation part; the figure of all runs is the one to quote."
    )


def parameters() -> str:
    """Return params.yaml without its comments."""
    content = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None).strip()


def hardware() -> list[str]:
    """Return what the run was measured on."""
    timings = read_timings()
    cpu = timings["cpu"].hardware
    threads = {name: timed.threads for name, timed in timings["cpu"].representations.items()}
    lines = [f"CPU: {cpu['cpu']}, {cpu['cores']} cores, {cpu['instruction_set']}; threads: {listed(threads)}"]
    if not isinstance(timings["gpu"], Skipped):
        gpu = timings["gpu"].hardware
        lines.append(f"GPU: {gpu['gpu']}, driver {gpu['driver']}, CUDA {gpu['cuda']}")
    return [*lines, f"versions: {listed(cpu['versions'])}"]
