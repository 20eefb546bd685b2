"""The tables of bench/README.md and docs/experiments.md, from bench/results/."""

import re
from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import Any

from stages.common.files import read_json
from stages.reporting.tables import table

AGAINST_THE_SVM = "against the SVM"  # a recipe of bench/recipes.py


def recipes() -> str:
    """Return tables of bench/results/recipes.json: test macro F1 of every experiment over its runs.

    Against the SVM, the runs' ensemble and the SVM stand beside them.
    """
    lines = []
    for recipe, experiments in read_json(Path("bench/results/recipes.json")).items():
        names = sorted({name for row in experiments.values() for name in row["f1_macro"]})
        others = {"ensemble": "ensemble", "svm": "SVM"} if recipe == AGAINST_THE_SVM else {}
        head, rows = [], []
        for name in names:
            head += [name, *(f"{name}: {what}" for what in others.values())]
        for label, row in experiments.items():
            cells = []
            for f1 in map(row["f1_macro"].get, names):
                cells += [f"{f1['mean']:.3f} ± {f1['std']:.3f}", *(f"{f1[other]:.3f}" for other in others)]
            rows.append([label, *cells, f"`{' '.join(f'-S {quote(setting)}' for setting in row['settings'])}`"])
        lines += [*table([recipe, *head, "settings"], rows), ""]
    return "\n".join(lines)


def speed() -> str:
    """Return tables of bench/results/training.json: training against its peers, and how its cost grows."""
    measured = read_json(Path("bench/results/training.json"))
    rows = []
    for peer in ("plain PyTorch loop", "scikit-learn", "PyTorch Lightning", "ours"):
        cells = [
            f"{row[peer]['seconds']:.2f} s, {row[peer]['microseconds_per_step']:.0f} µs a step, "
            f"x {row[peer]['ratio_to_plain']:.2f}"
            for row in measured["peers"].values()
        ]
        rows.append([peer, *cells])
    extra = [f"{row['ours']['validation_and_snapshots_share']:.0%}" for row in measured["peers"].values()]
    rows.append(["ours: validation, macro F1 and snapshots add", *extra])
    lines = table(["30 epochs, batches of 16, one CPU thread", *measured["peers"]], rows)
    rows = [
        [
            f"{row['samples']:,} samples of {' x '.join(map(str, row['shape']))}",
            f"{row['seconds']:.3f} s",
            f"{row['microseconds_per_sample']:.1f} µs",
            f"{row['data_mib']:,.0f} MiB",
            f"{row['peak_mib']:,.0f} MiB",
        ]
        for row in measured["growth"]
    ]
    lines += ["", *table(["one epoch of ours", "time", "time a sample", "the data", "peak memory"], rows)]
    hardware = measured["hardware"]
    hold = "shared with others: the ratios (x, to the plain loop) hold better than the seconds"
    return "\n".join([*lines, "", f"<sub>{hardware['cpu']}, {hardware['cores']} cores, {hold}.</sub>"]) + "\n"


def cnn() -> str:
    """Return a table of bench/results/cnn.json: a step of the CNN against a plain loop's, and its arithmetic."""
    measured = read_json(Path("bench/results/cnn.json"))
    rows = []
    for name, row in measured["representations"].items():
        for optimizer in sorted(row.keys() - {"floor"}):
            own = row[optimizer]
            seconds = [f"{each:.1f} ms" for each in (own["plain PyTorch loop"], own["ours"], row["floor"])]
            rows.append([f"{name}, {optimizer}", *seconds, f"x {own['ratio']:.2f}"])
    head = [f"the CNN, a step of {measured['batch_size']}, one CPU thread", "plain PyTorch loop", "ours"]
    hardware = measured["hardware"]
    on = f"<sub>{hardware['cpu']}, torch {hardware['versions']['torch']}, on a core shared with others.</sub>"
    return "\n".join([*table([*head, "floor: arithmetic", "ours / plain"], rows), "", on]) + "\n"


def gpu() -> str:
    """Return a table of each bench/results/gpu-NAME.json: training on that GPU against plain loops and a CPU."""
    return "\n".join(
        each for path in sorted(Path("bench/results").glob("gpu-*.json")) for each in of_gpu(read_json(path))
    )


def of_gpu(measured: dict[str, Any]) -> list[str]:
    """Return the lines of a GPU's table."""
    about, hardware, recipe = measured["representations"].values(), measured["hardware"], measured["recipe"]

    def seconds(what: str, who: str) -> list[str]:
        return [f"{row[what][who]:.3f} s" for row in about]

    first = next(iter(about))
    rows = [[who, *seconds("train_seconds", who)] for who in by_number(first["train_seconds"])]
    rows += [[f"a whole run: {who}", *seconds("total_seconds", who)] for who in by_number(first["total_seconds"])]
    rows.append(["floor: launches of these kernels", *seconds("floor", "launches")])
    agreement = {
        "CPU and GPU: macro F1 apart, at most": "max_val_f1_difference",
        "CPU and GPU: last training loss apart, at most": "max_last_train_loss_difference",
    }
    rows += [[label, *(f"{row['agreement'][key]:.2g}" for row in about)] for label, key in agreement.items()]
    same = ["yes" if row["agreement"]["same_bytes_twice"] else "no" for row in about]
    rows.append(["trained twice, the same bytes", *same])
    cnn = [
        f"An epoch of the CNN on {name}: {', '.join(f'{who} {row[who]:.2f} s' for who in by_number(row))}."
        for name, row in measured["cnn"].items()
    ]
    on = (
        f"<sub>{hardware['gpu']}, driver {hardware['driver']}, CUDA {hardware['cuda']}, "
        f"torch {hardware['versions']['torch']}; {hardware['cores']} cores of {hardware['cpu']}, of which `ours, CPU` "
        "takes one.</sub>\n"
    )
    what = f"{hardware['gpu']}: {recipe['epochs']} epochs, batches of {recipe['batch_size']}"
    return [*table([what, *measured["representations"]], rows), "", *cnn, "", on]


def persistent() -> str:
    """Return a table of each bench/results/persistent-NAME.json: seconds of training by who trains how many runs."""
    lines = []
    for path in sorted(Path("bench/results").glob("persistent-*.json")):
        measured = read_json(path)
        hardware = measured["hardware"]
        rows = [[who, f"{measured['train_seconds'][who]:.3f} s"] for who in by_number(measured["train_seconds"])]
        far = ", ".join(f"{who} {apart['most']:.2g}" for who, apart in measured["from_float64"].items())
        lines += [*table([hardware["gpu"], "training proper, MFCCs"], rows), ""]
        lines += [
            f"<sub>torch {hardware['versions']['torch']}. Five runs' weights from float64's, at most: {far}.</sub>"
        ]
    return "\n".join(lines) + "\n"


def by_number(names: Iterable[str]) -> list[str]:
    """Return names in the order of their letters, and of the numbers in them."""
    return sorted(names, key=lambda name: [int(each) if each.isdigit() else each for each in re.split(r"(\d+)", name)])


def growth() -> str:
    """Return a table of bench/results/growth.json: what each stage costs as the data grow."""
    measured = read_json(Path("bench/results/growth.json"))
    rows = []
    for each in measured["exponents"]:
        costs = [row["stages"][each["stage"]] for row in measured["sizes"]]
        cells = [f"{cost['cpu_seconds']:,.1f} s, {cost['mib']:,.0f} MiB" for cost in costs]
        rows.append([f"`{each['stage']}`", *cells, *(f"{each[kind]:.2f}" for kind in ("cpu_seconds", "user_seconds"))])
    rows.append(["the system, writing", *(f"{row['writing_seconds']:,.1f} s" for row in measured["sizes"]), "", ""])
    sizes = [f"{row['samples']:,} samples" for row in measured["sizes"]]
    return "\n".join(table(["seconds of CPU, memory", *sizes, "exponent", "outside the kernel"], rows)) + "\n"


def change() -> str:
    """Return a table of bench/results/change.json: what `dvc repro` takes when one parameter has changed."""
    measured = read_json(Path("bench/results/change.json"))
    head = ["after `lr` changed: `dvc repro`", "of it training", "the rest"]
    cells = [f"{measured[key]:.1f} s" for key in ("dvc repro", "training", "the rest")]
    return "\n".join(table(head, [cells])) + "\n"


def songs() -> str:
    """Return a table of bench/results/songs.json: the recipe for real music against librosa, over several splits."""
    measured = read_json(Path("bench/results/songs.json"))
    scores = dict(sorted(measured["scores"].items(), reverse=True))
    heads = {"second": "macro F1 by second", "song": "macro F1 by song", "calibration": "calibration error"}
    heads = {key: head for key, head in heads.items() if any(key in own for own in scores.values())}
    rows = [
        [who, *(f"{own[key]['mean']:.3f} ± {own[key]['std']:.3f}" if key in own else "" for key in heads)]
        for who, own in scores.items()
    ]
    about = (
        f"<sub>{measured['songs']} songs of {measured['classes']} classes in {measured['groups']} groups, "
        f"{measured['seconds']:,} seconds; {measured['splits']} splits.</sub>"
    )
    return "\n".join([*table(["on the test set", *heads.values()], rows), "", about]) + "\n"


def front_end() -> str:
    """Return a table of bench/results/front_end.json: from sound to features, against the libraries behind them."""
    measured = read_json(Path("bench/results/front_end.json"))
    peers = "pyAudioAnalysis and librosa"
    rows = [[peers, *(f"{row[peers]:,.0f}" if row[peers] else "does not read it" for row in measured.values())]]
    rows.append(["ours", *(f"{row['ours']:,.0f}" for row in measured.values())])
    rows.append(["ratio", *(f"x {row['ratio']:.1f}" if row["ratio"] else "" for row in measured.values())])
    rows.append(["`predict`, of ours", *(f"{row['predict_to_ours']:.0%}" for row in measured.values())])
    floors = (f"x {row['ratio'] / row['shares']['decode']:.1f}" if row["ratio"] else "" for row in measured.values())
    rows.append(["ratio, if all but decoding took no time", *floors])
    for part in ("decode", "resample", "features"):
        rows.append([f"of ours: {part}", *(f"{row['shares'][part]:.0%}" for row in measured.values())])
    return "\n".join(table(["seconds of music a second, two cores", *measured], rows)) + "\n"
