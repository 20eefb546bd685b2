"""The report as a page, metrics/report.md, with its pictures: the last run, from the files in metrics/."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from stages.common.files import (
    CONFUSION,
    CURVES,
    DESCRIPTION,
    F1,
    METRICS,
    MODELS,
    RELIABILITY,
    SECONDS,
    UserError,
    mixed,
    read_csv,
)
from stages.common.records import BLOCK, ENOUGH, UNITS, Description, Epoch, Size, Skipped, read_table
from stages.common.results import MOST_SAMPLES, Judgement
from stages.models.songs import MOST_MISTAKES
from stages.reporting import pictures
from stages.reporting.tables import baselines_table, devices_table, headline, listed, mistakes_table, read_timings

PICTURES = METRICS / "pictures"
INTERVAL = {"representation": str, "low": float | None, "high": float | None}
COLUMNS = {  # of what is drawn
    F1: INTERVAL | {"class": str, "f1": float},
    MODELS: INTERVAL | {"model": str, "f1_macro": float, "split_at_random": float | None},
    RELIABILITY: {"representation": str, "samples": Size, "confidence": float, "accuracy": float},
    SECONDS: {"what": str, "part": str, "seconds": float},
}


def draw(judged: dict[str, Judgement]) -> None:
    """Draw every picture of the report, after reading all that they show."""
    devices = [device for device, timing in read_timings().items() if not isinstance(timing, Skipped)]
    description = Description.read(DESCRIPTION)
    samples = {name: description.counts["test"][name] for name in description.classes}
    learnt = [name for name, result in judged.items() if result.runs]
    curves = {name: {device: read_curves(CURVES / f"{name}_{device}.csv") for device in devices} for name in learnt}
    matrices = {name: read_confusion(CONFUSION / f"{name}.csv", samples) for name in judged}
    f1, models, bins, seconds = (read_table(path, columns) for path, columns in COLUMNS.items())
    pictures.learning_curves(PICTURES / "learning_curves.png", curves)
    pictures.confusion(PICTURES / "confusion.png", dict.fromkeys(judged, description.classes), matrices)
    pictures.intervals(PICTURES / "f1.png", f1, "class", "f1", "F1 on the test set")
    pictures.intervals(PICTURES / "models.png", models, "model", "f1_macro", "macro F1 on the test set")
    pictures.reliability(PICTURES / "reliability.png", bins)
    pictures.seconds(PICTURES / "seconds.png", seconds)


def read_curves(path: Path) -> list[dict[str, float]]:
    """Read the rows of a learning curve."""
    columns = dict.fromkeys(["run", "epoch", *Epoch.model_fields], float)
    return [dict(zip(columns, row, strict=True)) for row in read_csv(path, columns)]


def read_confusion(path: Path, samples: dict[str, int]) -> np.ndarray:
    """Return the counts of a confusion file, shape (classes, classes), rows actual; there are so many of each class."""
    number = {name: i for i, name in enumerate(samples)}.__getitem__
    counts = np.zeros((len(samples), len(samples)), np.int64)
    for actual, predicted, n in read_csv(path, {"actual": number, "predicted": number, "count": np.int64}):
        counts[actual, predicted] = n
    if counts.min() < 0 or counts.sum(axis=1).tolist() != list(samples.values()):
        raise UserError(mixed(path))
    return counts


def report(judged: dict[str, Judgement], params: dict[str, Any]) -> str:
    """Return report.md, given the judgements and the parameters they rest on."""
    timings, description = read_timings(), Description.read(DESCRIPTION)
    skipped = [f"`train_{each}`: {timing.skipped}" for each, timing in timings.items() if isinstance(timing, Skipped)]
    tables = {"The network against baselines": baselines_table(judged), "CPU against GPU": devices_table()}
    tables[MISTAKES] = mistakes_table(judged, description.classes)
    lines = ["# Report", "", *headline(judged), "", how_sure(judged, description.source.unit, params["model"])]
    lines += ["", "What the models are for and not for: [model card](model_card.md)."]
    lines += ["", "To try the models in a browser: `make page`, then open [listen.html](../data/model/listen.html)."]
    for title, (picture, text) in SECTIONS.items():
        lines += ["", f"## {title}", *(["", f"![{title}](pictures/{picture})"] if picture else []), "", text]
        lines += ["", *tables[title]] if title in tables else []
    lines += ["", "## Parameters", "", "```yaml", as_yaml(params), "```"]
    lines += ["", "## Hardware and versions", "", *(f"- {line}" for line in hardware(timings))]
    lines += ["", "## What was skipped", "", *(f"- {line}" for line in skipped or ["nothing"])]
    return "\n".join(lines) + "\n"


MISTAKES = "The surest mistakes"
SECTIONS = {  # title, picture if any, text
    "The network against baselines": (
        "models.png",
        "Ensemble: the mean of the probabilities of every run's best snapshot (with `snapshots: last`, its last). "
        "Baselines take a track for what most of its seconds are. Bars, if any: 95 % intervals. Hollow marks, where "
        "tracks are known: the same baseline on a split at random, where seconds of one track are in training and "
        f"test: how much leakage would flatter it. From parts of more than {MOST_SAMPLES:,} samples, baselines take "
        f"{MOST_SAMPLES:,}: at random to learn from, whole tracks, or groups of them, or blocks to be judged on.",
    ),
    "Learning curves": (
        "learning_curves.png",
        "One line a run, that is, a seed. The [model card](model_card.md) says what was chosen of them.",
    ),
    "Confusion matrices": ("confusion.png", "Samples of the test set, and their share of the actual class."),
    MISTAKES: (
        None,
        f"Songs of the test set whose verdict is wrong, of each representation the {MOST_MISTAKES} with the highest "
        "probability, and what their seconds were taken for. All songs: `data/verdicts/REPRESENTATION.csv`; the part "
        "that each is in: `data/songs.csv`. Some may be labelled wrongly: listen to them.",
    ),
    "F1 of each class": ("f1.png", "Bars, if any: 95 % intervals."),
    "Reliability": (
        "reliability.png",
        "The dashed line: right as often as sure. Below it a model is too sure of itself, above it too modest. The "
        "larger a mark, the more samples have that confidence.",
    ),
    "CPU against GPU": (
        "seconds.png",
        "One run: the seconds from its start to its end, whatever trains beside it; of each part the median over the "
        "runs (warm-up: buffers, on a GPU rehearsal and recording too; other: what is left of the whole). All runs: "
        "the wall clock from the first run's start to the last one's end, as many at once as the bars say; the devices "
        "are compared by that. A device's own start (importing torch, the GPU's context, first kernels) is not part of "
        "either.",
    ),
}


# For a model that is one of the runs, True, and for any other, False.
QUOTE = {
    True: "The chosen model is the best of the runs on the validation set; the figure of all runs is the one to quote.",
    False: "The figure of all runs is that of the networks, each by itself, and not the chosen model's.",
}


def how_sure(judged: dict[str, Judgement], unit: str, model: str) -> str:
    """Return what the spread and the intervals mean, or why there are no intervals, given what was to be chosen."""
    blocks = f"blocks of {BLOCK} neighbouring samples of a class"
    units = {"track": "tracks", "group": "groups of tracks", "block": blocks}[unit]
    sure = f"Brackets: 95 % confidence interval of the chosen model, from a bootstrap over {units} of the test set."
    if any(result.rests_on for result in judged.values()):
        few = units if unit == "block" else f"{UNITS[unit]}s of a class"
        sure = (
            f"No intervals: with fewer than {ENOUGH} {few} in the test set they would look narrow and mean nothing; "
            "[several splits](../docs/experiments.md#small-libraries) say more."
        )
    return (
        f"{sure} "
        "±: standard deviation over the runs, each by its own best snapshot (with `snapshots: last`, its last). "
        f"{QUOTE[model == 'best']} "
        "Probabilities are calibrated: logits are divided by a temperature fitted to the validation set; in "
        "parentheses, what they would be without."
    )


def as_yaml(params: dict[str, Any]) -> str:
    """Return parameters as params.yaml has them."""
    return yaml.safe_dump(params, sort_keys=False, default_flow_style=None).strip()


def hardware(timings: dict[str, Any]) -> list[str]:
    """Return what the run was measured on."""
    cpu = timings["cpu"].hardware
    threads = {name: timed.threads for name, timed in timings["cpu"].representations.items()}
    lines = [f"CPU: {cpu.cpu}, {cpu.cores} cores, {cpu.instruction_set}; threads: {listed(threads)}"]
    if not isinstance(timings["gpu"], Skipped):
        gpu = timings["gpu"].hardware
        lines.append(f"GPU: {gpu.gpu}, driver {gpu.driver}, CUDA {gpu.cuda}")
    return [*lines, f"versions: {listed(cpu.versions)}"]
