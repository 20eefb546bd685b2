"""report: the last run as a page to read, metrics/report.md with metrics/pictures/*.png.

Every figure comes from the files in metrics/, the parameters from params.yaml. Run by `make report`, after `dvc repro`.
"""

import csv
import subprocess
from pathlib import Path

import numpy as np
import yaml

from stages import pictures
from stages.core.scoring import confusion_matrix
from stages.core.snapshots import DEVICES
from stages.files import METRICS, PREPARED, read_json, run_stage, write_bytes

REPORT = METRICS / "report.md"
PICTURES = METRICS / "pictures"


def main() -> None:
    """Draw the pictures and write the page."""
    evaluated = read_json(METRICS / "evaluate.json")
    draw(evaluated)
    write_bytes(REPORT, report(evaluated).encode())
    print(f"report: {REPORT}, pictures in {PICTURES}")


def draw(evaluated: dict) -> None:
    """Draw every picture of the report."""
    curves = {
        name: {device: rows for device in DEVICES if (rows := read_curves(METRICS / f"curves/{name}_{device}.csv"))}
        for name in evaluated
    }
    classes = {name: list(result["f1"]) for name, result in evaluated.items()}
    matrices = {name: read_confusion(METRICS / f"confusion/{name}.csv", classes[name]) for name in evaluated}
    pictures.learning_curves(PICTURES / "learning_curves.png", curves)
    pictures.confusion(PICTURES / "confusion.png", classes, matrices)
    pictures.intervals(PICTURES / "f1.png", read_json(METRICS / "f1.json"), "class", "f1", "F1 on the test part")
    models = read_json(METRICS / "models.json")
    pictures.intervals(PICTURES / "models.png", models, "model", "f1_macro", "macro F1 on the test part")
    pictures.reliability(PICTURES / "reliability.png", read_json(METRICS / "reliability.json"))
    pictures.seconds(PICTURES / "seconds.png", read_json(METRICS / "seconds.json"))


def read_curves(path: Path) -> list[dict[str, float]]:
    """Read the rows of a learning curve, or none if there is no such file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def read_confusion(path: Path, classes: list[str]) -> np.ndarray:
    """Count the pairs of a confusion file, shape (classes, classes), rows actual."""
    with path.open(encoding="utf-8") as file:
        pairs = np.array([[classes.index(row[key]) for key in ("actual", "predicted")] for row in csv.DictReader(file)])
    return confusion_matrix(pairs[:, 0], pairs[:, 1], len(classes))


def report(evaluated: dict) -> str:
    """Return report.md."""
    timings = {device: read_json(METRICS / f"train_{device}.json") for device in DEVICES}
    skipped = [f"`train_{device}`: {timing['skipped']}" for device, timing in timings.items() if "skipped" in timing]
    tables = {
        "The network against baselines": baselines_table(evaluated),
        "CPU against GPU": devices_table(read_json(METRICS / "compare.json"), timings),
    }
    lines = ["# Report", "", *headline(evaluated), "", how_sure()]
    lines += ["", "What the models are for and not for: [model card](model_card.md)."]
    for title, (picture, told) in SECTIONS.items():
        lines += ["", f"## {title}", "", f"![{title}](pictures/{picture})", "", told]
        lines += ["", *tables[title]] if title in tables else []
    lines += ["", "## Parameters", "", "```yaml", parameters(), "```"]
    lines += ["", "## Hardware and versions", "", *(f"- {line}" for line in hardware(timings))]
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
        "seconds of one track stand in training and test: what leakage would flatter.",
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
        "One run: the seconds of the median run from its start to its end, whoever trains beside it, by part (warm-up: "
        "buffers, on a GPU rehearsal and recording too). All runs: the wall clock from the first run's start to the "
        "last one's end; the devices are compared by that, since it is the same work on either. A device's own start "
        "(importing torch, the GPU's context, first kernels) comes once, before everything.",
    ),
}


def how_sure() -> str:
    """Return what the intervals and the spread mean."""
    unit = read_json(PREPARED / "dataset.json")["source"]["unit"]
    units = "tracks" if unit == "track" else f"blocks of {unit}"
    return (
        f"Brackets: 95 % confidence interval of the chosen model, from a bootstrap over {units} of the test part. "
        "±: standard deviation over the runs, each by its own best snapshot. The chosen model is the best of several "
        "runs on the validation part; the figure of all runs is the one to quote."
    )


def with_interval(scored: dict, score: str) -> str:
    """Return a score with its interval as text."""
    return f"{scored[score]:.3f} [{scored[f'{score}_low']:.3f}, {scored[f'{score}_high']:.3f}]"


def track_f1(result: dict) -> str:
    """Return the macro F1 of whole tracks' verdicts as text."""
    return f"{result['track']['f1_macro']:.3f}" if "track" in result else "tracks unknown"


def listed(content: dict) -> str:
    """Return `key value, key value`."""
    return ", ".join(f"{key} {value}" for key, value in content.items())


def headline(evaluated: dict) -> list[str]:
    """Return the table of what the chosen models reach on the test part."""
    selected = read_json(METRICS / "select.json")
    lines = [
        "| representation | test macro F1, all runs | chosen model: macro F1 | accuracy | macro F1 by track | loss "
        "| calibration error | chosen from | best epoch, all runs |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, result in evaluated.items():
        choice, runs = selected[name], result["runs"]
        cells = [
            name,
            f"**{runs['f1_macro_mean']:.3f}** ± {runs['f1_macro_std']:.3f}",
            with_interval(result, "f1_macro"),
            with_interval(result, "accuracy"),
            track_f1(result),
            f"{result['loss']:.3f}",
            f"{result['expected_calibration_error']:.3f}",
            f"{choice['device']}, run {choice['run']}, epoch {choice['epoch']}",
            f"{runs['best_epoch_mean']:.1f} ± {runs['best_epoch_std']:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def baselines_table(evaluated: dict) -> list[str]:
    """Return the table of the network beside the baselines."""
    lines = [
        "| representation | model | test macro F1 | accuracy | macro F1, split at random |",
        "|---|---|---|---|---|",
    ]
    for name, result in evaluated.items():
        for model, scored in {"network": result, **result["baselines"]}.items():
            at_random = scored.get("f1_macro_split_at_random")
            cells = [
                name,
                model.replace("_", " "),
                with_interval(scored, "f1_macro"),
                with_interval(scored, "accuracy"),
            ]
            lines.append("| " + " | ".join([*cells, "" if at_random is None else f"{at_random:.3f}"]) + " |")
    return lines


def devices_table(compared: dict, timings: dict) -> list[str]:
    """Return the table of the devices' seconds."""
    lines = [
        "| representation | one run, CPU | one run, GPU | all runs, CPU | all runs, GPU | all runs: CPU / GPU "
        "| steps/s, CPU | steps/s, GPU | largest difference of validation macro F1 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]

    def cell(value: float | None, digits: int, unit: str = "") -> str:
        return "not measured" if value is None else f"{value:,.{digits}f}{unit}"

    for name, row in compared.items():
        seconds = [f"{device}{which}_seconds" for which in ("", "_all_runs") for device in DEVICES]
        cells = [cell(row[key], 2, " s") for key in seconds] + [cell(row["gpu_speedup"], 1)]
        for device in DEVICES:
            timed = timings[device].get("representations", {}).get(name, {})
            cells.append(cell(timed.get("steps_per_second"), 0))
        lines.append(f"| {name} | " + " | ".join([*cells, cell(row["max_val_f1_difference"], 4)]) + " |")
    starts = {device: timings[device].get("start_seconds") for device in DEVICES}
    return [
        *lines,
        "",
        "Start: " + ", ".join(f"{name.upper()} {cell(value, 2, ' s')}" for name, value in starts.items()),
    ]


def parameters() -> str:
    """Return params.yaml without its comments."""
    content = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None).strip()


def hardware(timings: dict) -> list[str]:
    """Return what the run was measured on."""
    cpu, gpu = timings["cpu"]["hardware"], timings["gpu"].get("hardware")
    threads = {name: timed["threads"] for name, timed in timings["cpu"]["representations"].items()}
    lines = [f"CPU: {cpu['cpu']}, {cpu['cores']} cores, {cpu['instruction_set']}; threads: {listed(threads)}"]
    if gpu:
        lines.append(f"GPU: {gpu['gpu']}, driver {gpu['driver']}, CUDA {gpu['cuda']}")
    return [*lines, f"versions: {listed(cpu['versions'])}"]


if __name__ == "__main__":
    run_stage(main)
