"""readme: fill README.md's marked blocks from what was measured, so that no figure in it is typed by hand.

`<!-- NAME -->` and `<!-- /NAME -->` enclose a block; each NAME has its function here. Run by `make readme`.
"""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from stages.files import UserError, read_json, run_stage, write_bytes
from stages.report import headline, pipeline, with_interval

README = Path("README.md")


def main() -> None:
    """Write every block anew."""
    text = README.read_text(encoding="utf-8")
    for name, block in BLOCKS.items():
        text = fill(text, name, block())
    write_bytes(README, text.encode())


def fill(text: str, name: str, content: str) -> str:
    """Put `content` between the two marks of a block.

    Raises:
        UserError: if the text does not hold the block exactly once.
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise UserError(f"{README}: expected one block between <!-- {name} --> and <!-- /{name} -->")
    return pattern.sub(lambda marks: marks[1] + content + marks[2], text)


def results() -> str:
    """Return the table of the committed metrics, what the default run gives, and how simpler models do."""
    evaluated, compared = read_json(Path("metrics/evaluate.json")), read_json(Path("metrics/compare.json"))
    hardware = read_json(Path("metrics/train_cpu.json"))["hardware"]
    best = {
        name: max(result["baselines"].items(), key=lambda item: item[1]["f1_macro"])
        for name, result in evaluated.items()
    }
    told = "; ".join(
        f"{name}: {model.replace('_', ' ')}, {with_interval(scored, 'f1_macro')}"
        for name, (model, scored) in best.items()
    )
    seconds = ", ".join(
        f"{name} {row['cpu_seconds']:.2f} a run, {row['cpu_all_runs_seconds']:.2f} all runs"
        for name, row in compared.items()
    )
    versions = hardware["versions"]
    return "\n".join(headline(evaluated)) + (
        f"\n\nThe best of the baselines on the same split, macro F1: {told}.\n\n"
        f"<sub>{hardware['cpu']}, {hardware['cores']} cores; Python {versions['python']}, torch {versions['torch']}. "
        f"Seconds on the CPU: {seconds}. Runs and epochs count from 0.</sub>\n"
    )


def recipes() -> str:
    """Return tables of bench/results/recipes.json: test macro F1 of every experiment over its runs."""
    lines = []
    for recipe, experiments in read_json(Path("bench/results/recipes.json")).items():
        names = sorted({name for row in experiments.values() for name in row["f1_macro"]})
        lines += [f"| {recipe} | " + " | ".join(names) + " | settings |", "|---" * (2 + len(names)) + "|"]
        for label, row in experiments.items():
            cells = [f"{row['f1_macro'][name]['mean']:.3f} ± {row['f1_macro'][name]['std']:.3f}" for name in names]
            settings = " ".join(f"-S {setting}" for setting in row["settings"])
            lines.append(f"| {label} | " + " | ".join(cells) + f" | `{settings}` |")
        lines.append("")
    return "\n".join(lines)


def speed() -> str:
    """Return tables of bench/results/training.json: training against its peers, and how its cost grows."""
    measured = read_json(Path("bench/results/training.json"))
    lines = ["| 30 epochs, batches of 16, one CPU thread | " + " | ".join(measured["peers"]) + " |"]
    lines.append("|---" * (1 + len(measured["peers"])) + "|")
    for peer in ("plain PyTorch loop", "scikit-learn", "PyTorch Lightning", "ours"):
        cells = [
            f"{row[peer]['seconds']:.2f} s, {row[peer]['microseconds_per_step']:.0f} µs a step, "
            f"x {row[peer]['ratio_to_plain']:.2f}"
            for row in measured["peers"].values()
        ]
        lines.append(f"| {peer} | " + " | ".join(cells) + " |")
    extra = [f"{row['ours']['validation_and_snapshots_share']:.0%}" for row in measured["peers"].values()]
    lines.append("| ours: validation, macro F1 and snapshots add | " + " | ".join(extra) + " |")
    lines += ["", "| one epoch of ours | time | time a sample | the data | peak memory |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['samples']:,} samples of {' x '.join(map(str, row['shape']))} | {row['seconds']:.3f} s "
        f"| {row['microseconds_per_sample']:.1f} µs | {row['data_mib']:,.0f} MiB | {row['peak_mib']:,.0f} MiB |"
        for row in measured["growth"]
    ]
    hardware = measured["hardware"]
    told = "shared with others: the ratios (x, to the plain loop) hold better than the seconds"
    lines += ["", f"<sub>{hardware['cpu']}, {hardware['cores']} cores, {told}.</sub>"]
    return "\n".join(lines) + "\n"


def features() -> str:
    """Return a table of bench/results/features.json: from sound to features, against the libraries behind them."""
    measured = read_json(Path("bench/results/features.json"))
    lines = [
        "| seconds of music a second, two cores | " + " | ".join(measured) + " |",
        "|---" * (1 + len(measured)) + "|",
    ]
    for who in ("pyAudioAnalysis and librosa", "ours"):
        lines.append(f"| {who} | " + " | ".join(f"{row[who]:,.0f}" for row in measured.values()) + " |")
    lines.append("| ratio | " + " | ".join(f"x {row['ratio']:.1f}" for row in measured.values()) + " |")
    for part in ("decode", "resample", "features"):
        shares = [f"{row['shares'][part]:.0%}" for row in measured.values()]
        lines.append(f"| of ours: {part} | " + " | ".join(shares) + " |")
    return "\n".join(lines) + "\n"


def predict() -> str:
    """Return what `predict` says of a track of the demo corpus."""
    command = ["python", "-m", "stages.predict", "data/demo/listen/rock_000.flac", "data/demo/listen/blues_001.flac"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return f"```console\n$ {' '.join(command)}\n{said.strip()}\n```\n"


BLOCKS: dict[str, Callable[[], str]] = {
    "results": results,
    "recipes": recipes,
    "speed": speed,
    "features": features,
    "predict": predict,
    "dag": pipeline,
}


if __name__ == "__main__":
    run_stage(main)
