"""Pictures as they were drawn, for tests that look at what they show."""

import struct

from matplotlib.colors import to_hex
from matplotlib.lines import Line2D


def size(path):
    return struct.unpack(">II", path.read_bytes()[16:24])


def legend(axes):
    """Return what a legend says behind each colour."""
    handles, texts = axes.get_legend().legend_handles, axes.get_legend().get_texts()
    colours = [to_hex(each.get_color() if isinstance(each, Line2D) else each.get_facecolor()) for each in handles]
    return dict(zip(colours, (text.get_text() for text in texts), strict=True))
