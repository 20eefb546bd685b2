"""Live curves: metrics/curves of a training that is still running, to watch, say in VS Code.

They belong to the stage `compare`, which writes them again from the whole history.
"""

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from stages.common.curves import curves_path, write_curves
from stages.common.files import UserError
from stages.common.records import Epoch

PAUSE = 0.5  # seconds at least between two writings of a file, and ...
SHARE = 20  # ... this many times what the last one took

Latest = dict[int, tuple[int, Epoch]]  # of some runs: the last epoch's number, and the epoch


def live_curves(device: str) -> Callable[[str, Latest], None]:
    """Return a function that takes the latest epochs of a representation's runs, and writes all so far now and then."""
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
