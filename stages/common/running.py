"""Running: what every stage and every command does around its work: one lock, and errors as one line."""

import atexit
import fcntl
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from stages.common.files import TEMPORARY, UserError, shown
from stages.common.writing import NO_SPACE, clear

LOCK = TEMPORARY / "lock"
MOST = 4000  # characters of an error
NO_MEMORY = (
    *("can't allocate memory", "not enough memory", "failed to map segment", "cannot allocate memory"),
    "can't start new thread",
)
LEAST = 2**31  # bytes of address space: with less, libraries hang or end in a traceback
atexit.register(gc.freeze)  # else Python goes through all of torch's objects once more as it exits: 0.3 s


def run_stage(stage: Callable[[], None], *choices: str) -> None:
    """Run a stage, one at a time in this project, and check that its parameters stay the same; else as `run_script`."""

    def alone() -> None:
        if knows_words(stage, choices):
            from stages.common.steady import steady_params  # which imports pydantic: commands start without

            with sole_stage(), steady_params():
                stage()

    run_command(alone)


def run_script(script: Callable[[], None], *choices: str) -> None:
    """Run what `python -m` names, followed by one of the choices if there are any; errors as `run_command`."""
    run_command(lambda: script() if knows_words(script, choices) else None)


def knows_words(script: Callable[[], None], choices: tuple[str, ...]) -> bool:
    """Return whether the command line asks for the script's work; for --help, print its module's docstring instead."""
    words, module = sys.argv[1:], script.__globals__
    if {"-h", "--help"} & set(words):
        print(module["__doc__"].strip())
        return False
    if words not in ([[choice] for choice in choices] or [[]]):
        usage = " ".join(filter(None, ("python -m", module["__spec__"].name, "|".join(choices))))
        raise UserError(f"usage: {usage}, found {shown(' '.join(words)) or 'nothing'} after it; see --help")
    return True


def run_command(command: Callable[[], None]) -> None:
    """Run a command; an error that the user can fix becomes one line on stderr and exit code 1."""
    if sys.stdout:
        # Line by line, so that messages and the progress bar come in order; what the terminal cannot show is escaped.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        imported()
        check_limit()
        command()
        if sys.stdout:
            sys.stdout.flush()
    except UserError as error:
        sys.exit(f"error: {shown(error, MOST)}")
    except BrokenPipeError:  # of `| head`, which has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, MemoryError, ImportError, RuntimeError) as error:
        sys.exit(f"error: {shown(_fixable(error), MOST)}")


def imported() -> None:
    """Turn back what stages/common/importing.py did."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def fast_imports() -> Iterator[None]:
    """Import as a stage does, which stages/common/importing.py tells."""
    gc.disable()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        imported()


def check_limit() -> None:
    """Check that `ulimit -v` leaves room for what every stage imports."""
    with suppress(ImportError, AttributeError):  # a system without such a limit
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY and limit < LEAST:
            raise UserError(f"ulimit -v: found {limit >> 10} KiB, expected {LEAST >> 10} or more, or unlimited")


def _fixable(error: Exception) -> str:
    """Return the message for an error that the machine caused; raise any other again."""
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in NO_MEMORY):
        return "not enough memory; close other programs, or give this one more (ulimit -v, a container's limit)"
    if not isinstance(error, OSError):
        raise error
    if "AF_UNIX path too long" in str(error):  # of the socket by which worker processes are started
        from tempfile import gettempdir

        return f"TMPDIR: found {gettempdir()}, expected a path of at most 70 characters; run this with TMPDIR=/tmp"
    where = f"{os.fspath(error.filename)}: " if error.filename else ""
    advice = "; free some space and run this again" if error.errno in NO_SPACE else ""
    return f"{where}{error.strerror or error}{advice}"


@contextmanager
def sole_stage() -> Iterator[None]:
    """Wait until no other stage of this project runs, such as one that a killed `dvc` left; then clean up after it."""
    if not TEMPORARY.parent.is_dir():
        raise UserError(f"{TEMPORARY.parent}: no such folder; run this from the repository's root")
    TEMPORARY.mkdir(exist_ok=True)
    with LOCK.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another stage, perhaps of a `dvc` that was killed, to end ({LOCK})")
            fcntl.flock(lock, fcntl.LOCK_EX)
        clear()
        yield
