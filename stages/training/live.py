"""Live curves: what metrics/curves holds of a training that goes on, for whoever watches, say in VS Code.

They are the stage `compare`'s, which writes them anew from the whole.
"""

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from stages.common.curves import curves_path, write_curves
from stages.common.files import UserError
from stages.common.records import Epoch

PAUSE = 0.5  # seconds between two writings of a file, at least, and ...
SHARE = 20  # ... so many times what the last one took

Latest = dict[int, tuple[int, Epoch]]  # of some runs: the last epoch's number, and the epoch


def live_curves(device: str) -> Callable[[str, Latest], None]:
    """Return what takes in the latest epochs of a representation's runs, and now and then writes all so far."""
    known: dict[str, dict[tuple[int, int], Epoch]] = defaultdict(dict)
    due: dict[str, float] = {}

    def show(name: str, latest: Latest) -> None:
        known[name] |= {(run, number): epoch for run, (number, epoch) in latest.items()}
        start = monotonic()
        if start >= due.get(name, start):
            with suppress(OSError, UserError):  # a full disk stops the snapshots, which are what matters
                write_curves(curves_path(name, device), [(*place, known[name][place]) for place in sorted(known[name])])
            due[name] = monotonic() + max(PAUSE, SHARE * (monotonic() - start))

    return show
