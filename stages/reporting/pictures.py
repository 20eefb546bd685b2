"""Pictures of the results, for metrics/report.md; GitHub shows them as they are."""

from operator import itemgetter
from pathlib import Path

import numpy as np

from stages.common.drawing import COLOURS, drawing, label

# Dashed, since one line covers the other if all is well.
DEVICE_LINES = {"cpu": {"color": COLOURS[0]}, "gpu": {"color": COLOURS[5], "linestyle": "--"}}
PART_COLOURS = {
    "warmup": COLOURS[4],
    "transfer": COLOURS[3],
    "train": COLOURS[0],
    "validate": COLOURS[1],
    "snapshot": COLOURS[2],
    "other": "#dddddd",
    "all runs": "#999999",
}
WHOLE = {"clip_on": False, "zorder": 3}  # of marks: at 0 and 1 too
MOST = 30  # classes that are drawn one by one: with 500, a picture would be as tall as a house


def learning_curves(path: Path, curves: dict[str, dict[str, list[dict[str, float]]]]) -> None:
    """Draw validation macro F1 over the epochs, a line a run, given metrics/curves by representation and device."""
    with drawing(path, len(curves), 4.6, 3.4) as panels:
        for axes, (representation, devices) in zip(panels, curves.items(), strict=True):
            for device, rows in devices.items():
                for run in sorted({row["run"] for row in rows}):
                    line = [(row["epoch"], row["val_f1_macro"]) for row in rows if row["run"] == run]
                    legend = device.upper() if run == 0 else None
                    axes.plot(*zip(*line, strict=True), **DEVICE_LINES[device], alpha=0.7, label=legend)
            axes.set(title=label(representation), xlabel="epoch", ylabel="validation macro F1, one line a run")
            axes.grid(alpha=0.3)
            axes.legend(loc="lower right")


def confusion(path: Path, classes: dict[str, list[str]], matrices: dict[str, np.ndarray]) -> None:
    """Draw each representation's confusion matrix: counts, and their share of the actual class.

    Of more than MOST classes, cells are coloured but hold no text, and only some of the classes are named.
    """
    largest = min(MOST, max(map(len, classes.values())))
    with drawing(path, len(matrices), 1.6 + 0.8 * largest, 1.0 + 0.7 * largest) as panels:
        for axes, (representation, counts) in zip(panels, matrices.items(), strict=True):
            names = [label(name) for name in classes[representation]]
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for (row, column), share in np.ndenumerate(shares) if len(names) <= MOST else ():
                colour = "white" if share > 0.7 else "black"
                text = f"{counts[row, column]}\n{share:.0%}"
                axes.text(column, row, text, ha="center", va="center", color=colour)
            step = -(-len(names) // MOST)
            title = label(representation) + (f": {len(names)} classes, one in {step} named" if step > 1 else "")
            axes.set(title=title, xlabel="predicted", ylabel="actual")
            axes.set_xticks(range(0, len(names), step), names[::step], rotation=30, ha="right")
            axes.set_yticks(range(0, len(names), step), names[::step])


def intervals(path: Path, records: list[dict], name: str, value: str, axis: str) -> None:
    """Draw values with any 95 % intervals, a panel a representation; of more than MOST values, the lowest.

    Records have `representation`, `low`, `high`, a name and a value under the keys given, and may have
    `split_at_random`, a hollow mark.
    """
    representations = sorted({record["representation"] for record in records})
    panel_rows = [[record for record in records if record["representation"] == each] for each in representations]
    most = min(MOST, max(map(len, panel_rows)))
    with drawing(path, len(representations), 4.6, 1.2 + 0.4 * most) as panels:
        for axes, representation, rows in zip(panels, representations, panel_rows, strict=True):
            title = label(representation)
            if len(rows) > MOST:
                title += f": the {MOST} lowest of {len(rows)}"
                rows = sorted(rows, key=itemgetter(value))[:MOST]
            for y, row in enumerate(rows):
                if row["low"] is not None:
                    axes.plot([row["low"], row["high"]], [y, y], color=COLOURS[0], linewidth=2)
                axes.plot(row[value], y, "o", color=COLOURS[0], **WHOLE)
                if row.get("split_at_random") is not None:
                    axes.plot(row["split_at_random"], y, "o", color=COLOURS[5], fillstyle="none", **WHOLE)
            axes.set_yticks(range(len(rows)), [label(row[name]) for row in rows])
            axes.set(title=title, xlabel=axis, xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
            axes.grid(axis="x", alpha=0.3)


def reliability(path: Path, records: list[dict]) -> None:
    """Draw accuracy over confidence, a panel a representation; the area of a mark is its number of samples."""
    representations = sorted({record["representation"] for record in records})
    with drawing(path, len(representations), 3.8, 3.6) as panels:
        for axes, representation in zip(panels, representations, strict=True):
            rows = [record for record in records if record["representation"] == representation]
            confidence, accuracy, samples = (
                np.array([row[key] for row in rows]) for key in ("confidence", "accuracy", "samples")
            )
            axes.plot([0, 1], [0, 1], color="grey", linestyle="--")
            axes.plot(confidence, accuracy, color=COLOURS[0])
            axes.scatter(confidence, accuracy, 10 + 300 * samples / samples.sum(), color=COLOURS[0], **WHOLE)
            axes.set(xlabel="confidence (probability of the predicted class)", ylabel="accuracy")
            axes.set(title=label(representation), xlim=(0, 1), ylim=(0, 1), aspect="equal")
            axes.grid(alpha=0.3)


def seconds(path: Path, records: list[dict]) -> None:
    """Draw two bars a representation and device: the median run's seconds by part, the wall clock of all runs."""
    bars = list(dict.fromkeys(record["what"] for record in records))
    with drawing(path, 1, 8, 1.2 + 0.4 * len(bars)) as (axes,):
        for y, what in enumerate(bars):
            start = 0.0
            for part, colour in PART_COLOURS.items():
                length = sum(row["seconds"] for row in records if (row["what"], row["part"]) == (what, part))
                axes.barh(y, length, left=start, color=colour, label=part if y == 0 else None)
                start += length
            axes.text(start, y, f" {start:.2f} s", va="center")
        axes.set_yticks(range(len(bars)), [label(what) for what in bars])
        axes.set(xlabel="seconds; of one run: the median of each part", ylim=(len(bars) - 0.5, -0.5))
        axes.margins(x=0.2)
        axes.set_xlim(left=0)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
