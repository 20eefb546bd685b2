"""The timeline: a picture of a song's genres over time, painted as on the page."""

from pathlib import Path

import numpy as np

from stages.common.drawing import COLOURS, drawing, label

TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # seconds between marks on a time axis
STRIPES = (None, "////", "\\\\\\\\", "---")  # of the classes beyond the colours
LINES = 14  # of the legend: so many classes stand in one of its columns


def timeline(path: Path, title: str, starts: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> None:
    """Draw the classes' probabilities over a song's time, stacked, as a PNG.

    Each window of a second has its start in seconds, shape (windows,), and probabilities, shape (windows, classes);
    where they are NaN the picture stays blank.
    """
    edges = np.append(starts, starts[-1] + 1)
    sides = np.repeat(edges, 2)[1:-1]  # of each window the left and the right: one alone between blanks has a width
    with drawing(path, 1, 10, 3.6) as (axes,):
        areas = axes.stackplot(sides, np.repeat(probabilities, 2, axis=0).T, colors=COLOURS)
        for number, area in enumerate(areas):
            area.set(hatch=STRIPES[number // len(COLOURS) % len(STRIPES)], edgecolor="white", linewidth=0)
        axes.set(title=title, xlabel="time (min:s)", ylabel="probability")
        axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1))
        tick = next(step for step in TICKS if edges[-1] <= 12 * step or step == TICKS[-1])
        axes.set_xticks(np.arange(0, edges[-1] + 1e-9, tick))
        axes.xaxis.set_major_formatter(lambda seconds, _: clock(seconds))
        names = [label(name) for name in classes[::-1]]
        place = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "ncols": -(-len(classes) // LINES)}
        legend = axes.legend(areas[::-1], map(str, areas), frameon=False, **place)
        for line, name in zip(legend.get_texts(), names, strict=True):
            line.set_text(name)  # only now: a legend leaves out what starts with an underscore


def clock(seconds: float) -> str:
    """Return minutes and seconds as 3:07."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
