"""Drawing: how every picture of this project is made, by Matplotlib as PNG.

Colours are those of Okabe and Ito, which colour-blind people can distinguish; the background is white and opaque, so
that pictures are as legible on a dark page.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stages.common.files import shown
from stages.common.writing import replacing

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")  # Okabe and Ito
DOTS_PER_INCH = 120
LABEL = 60  # characters of a label at most


@contextmanager
def drawing(path: Path, columns: int, width: float, height: float) -> Iterator[np.ndarray]:
    """Give a row of axes, each `width` x `height` inches, to draw on; write them to `path` as PNG.

    What Matplotlib has to say of a letter that its font lacks, or of a label that is too long, is not for the terminal.
    """
    import matplotlib

    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    matplotlib.use("Agg")
    matplotlib.rcParams["text.parse_math"] = False  # a $ in a name is a $
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, columns, figsize=(columns * width, height), squeeze=False, layout="constrained")
    try:
        with warnings.catch_warnings(action="ignore"), replacing(path) as temporary:
            yield axes[0]
            figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
    finally:
        pyplot.close(figure)


def label(name: str) -> str:
    """Return a name that somebody gave as a label: one line, not too long."""
    return shown(name, LABEL)
