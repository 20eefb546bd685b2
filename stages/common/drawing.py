"""Drawing: how every picture of this project is made, by Matplotlib as PNG.

Colours are those of Okabe and Ito, which colour-blind people can distinguish; the background is white and opaque, so
that pictures are as legible on a dark page.
"""

import logging
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stages.common.files import few_of, shown
from stages.common.writing import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")  # Okabe and Ito
DOTS_PER_INCH = 120
LABEL = 60  # characters of a label at most


@contextmanager
def drawing(path: Path, columns: int, width: float, height: float) -> Iterator[np.ndarray]:
    """Give a row of axes, each `width` x `height` inches, to draw on; write them to `path` as PNG."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns as it is imported, say of a read-only HOME
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    with rc_context({"text.parse_math": False}), replacing(path) as temporary:  # a $ in a name is a $
        figure = Figure((columns * width, height), DOTS_PER_INCH, facecolor="white", layout="constrained")
        yield figure.subplots(1, columns, squeeze=False)[0]
        lacking = save(figure, temporary)
        if lacking:
            fonts, lacking = fonts_with(lacking)
            for text in figure.findobj(Text):
                text.set_fontfamily(["sans-serif", *fonts])
            save(figure, temporary)
    if lacking:
        print(f"{path}: no font has {few_of(lacking)}; install one, say Noto Sans", file=sys.stderr)


def save(figure: "Figure", path: Path) -> set[str]:
    """Write a figure as PNG; return the letters that its fonts lack."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with warnings.catch_warnings(record=True, action="always") as said:
        FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})  # savefig would draw twice
    found = [re.match(r"Glyph (\d+) ", str(each.message)) for each in said]
    return {chr(int(each[1])) for each in found if each}


def fonts_with(letters: set[str]) -> tuple[list[str], list[str]]:
    """Return the names of installed fonts that have these letters, as few as will do, and the letters that none has."""
    from matplotlib.font_manager import findSystemFonts, fontManager
    from matplotlib.ft2font import FT2Font

    for path in {*findSystemFonts()} - {font.fname for font in fontManager.ttflist}:
        with suppress(RuntimeError, OSError):  # of colours or bitmaps alone
            fontManager.addfont(path)  # installed since Matplotlib made its list
    holds, wanted, chosen = {}, set(letters), []
    for font in fontManager.ttflist:
        with suppress(RuntimeError, OSError):
            if not font.name.startswith("Last Resort"):  # Matplotlib's own, of a box for each script
                holds[font.name] = wanted & set(map(chr, FT2Font(font.fname).get_charmap()))
    while any(own & wanted for own in holds.values()):
        chosen.append(max(holds, key=lambda name: len(holds[name] & wanted)))
        wanted -= holds[chosen[-1]]
    return chosen, sorted(wanted)


def label(name: str) -> str:
    """Return a name that somebody gave as a label: one line, not too long."""
    return shown(name, LABEL)
