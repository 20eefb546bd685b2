"""Fix: clear up after a killed `dvc`, so that the next one starts, and alone: `genre fix`.

DVC 3.67 writes three things in two steps: it empties .dvc/tmp/rwlock and dvc.lock before it fills them, and makes a
folder of the run cache before it puts a file there. Killed in between, it refuses them ever after. Nothing is lost with
them: it makes all three again. And the stage that ran goes on writing, which a `dvc` with nothing to run would not
notice. This runs before every `make repro`, so it imports little; while another dvc runs, it does nothing.
"""

import fcntl
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from stages.common.files import UserError

LOCK = Path(".dvc/tmp/lock")
RWLOCKS = (Path(".dvc/tmp/rwlock"), Path(".dvc/tmp/exps/rwlock"))  # who reads and writes what: stages, experiments
LOCK_FILE = Path("dvc.lock")  # what the last run used and made
RUN_CACHE = Path(".dvc/cache/runs")
PATIENCE = 1  # seconds, in which a stage takes its lock, and a worker of a queue fills the folder that it made


def fix() -> None:
    """Repair the repository in the current folder; print a line for everything removed."""
    if LOCK.exists() and not os.access(LOCK, os.W_OK):
        raise UserError(
            f'{LOCK}: may not be written, perhaps another user\'s; run `sudo chown -R "$USER" .`, or clone it yourself'
        )
    with suppress(OSError):  # a lock is taken, or there is none: nothing to do, or `dvc repro` says what is wrong
        with ExitStack() as held:
            # DVC makes these locks, takes them in this way and never removes them; it holds none while a stage runs.
            for lock in (LOCK, *(path.with_name("rwlock.lock") for path in RWLOCKS if path.exists())):
                fcntl.flock(held.enter_context(lock.open("r+")), fcntl.LOCK_EX | fcntl.LOCK_NB)
            of_stages, of_experiments = map(holders, RWLOCKS)
            if any(map(is_alive, of_stages + of_experiments)) or not (of_stages or any(leftovers())):
                return
            time.sleep(PATIENCE)
            for path in leftovers():
                path.rmdir() if path.is_dir() else path.unlink()
                print(f"{path}: a killed dvc left it empty or cut short; removed")
        wait_for_the_stage()


def holders(rwlock: Path) -> list[int]:
    """Return the process number of every dvc in a rwlock: it runs a stage, or was killed while it did."""
    content = rwlock.read_bytes() if rwlock.exists() else b""
    return [int(pid) for pid in re.findall(rb'"pid": (\d+)', content)]


def is_alive(pid: int) -> bool:
    """Return whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def leftovers() -> Iterator[Path]:
    """Yield every file and folder that is empty and should not be, and every dvc.lock that ends within a line."""
    for path in (*RWLOCKS, LOCK_FILE):
        if path.exists() and (not path.stat().st_size or (path == LOCK_FILE and path.read_bytes()[-1:] != b"\n")):
            yield path
    for folder in list(RUN_CACHE.glob("*/*/")):
        if not any(folder.iterdir()):
            yield folder


def wait_for_the_stage() -> None:
    """Wait until the stage that a killed dvc ran has ended, and say so."""
    from stages.common.running import LOCK as LOCK_OF_STAGES
    from stages.common.running import sole_stage

    sys.stdout.reconfigure(line_buffering=True)
    if LOCK_OF_STAGES.exists():
        with sole_stage():
            pass
