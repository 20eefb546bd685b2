"""Files: where the stages leave them, written whole or not at all, and errors as one line."""

import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, ENOSPC
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


PREPARED = Path("data/prepared")
DESCRIPTION = PREPARED / "dataset.json"
BASELINES = Path("data/baselines.json")
SNAPSHOTS = Path("data/snapshots")
MODEL = Path("data/model")
METRICS = Path("metrics")
SELECTED = METRICS / "select.json"
EVALUATED = METRICS / "evaluate.json"
COMPARED = METRICS / "compare.json"
CONFUSION = METRICS / "confusion"
CURVES = METRICS / "curves"
F1, MODELS, RELIABILITY, SECONDS = (
    METRICS / "plots" / f"{name}.json" for name in ("f1", "models", "reliability", "seconds")
)


def tensors_path(representation: str) -> Path:
    """Return where a representation's prepared tensors are."""
    return PREPARED / f"{representation}.safetensors"


def history_path(device: str) -> Path:
    """Return where the epochs of a device's runs are recorded."""
    return SNAPSHOTS / device / "history.json"


def snapshot_path(device: str, representation: str, run: int, epoch: int) -> Path:
    """Return where the weights after an epoch are; runs and epochs count from 0."""
    return SNAPSHOTS / device / representation / f"run_{run:02}" / f"epoch_{epoch:02}.safetensors"


def timing_path(device: str) -> Path:
    """Return where a device's times are recorded."""
    return METRICS / f"train_{device}.json"


def weights_path(representation: str) -> Path:
    """Return where a chosen model's weights are."""
    return MODEL / f"{representation}.safetensors"


def card_path(representation: str) -> Path:
    """Return where a chosen model's card is."""
    return MODEL / f"{representation}.json"


class UserError(Exception):
    """Something the user can mend; its message names the file or key, what was found, what was expected."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write a file at, which then replaces `path`, or nothing does.

    If the block raises, the temporary is removed and `path` stays as it was.

    Raises:
        UserError: if `path` is there and is no file: a folder, a link, a pipe or a device is never replaced.
        OSError: naming `path`, if the temporary cannot be written (disk full, no permission).
    """
    with _replacing(path, "file") as temporary:
        yield temporary


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give a temporary, empty folder beside `path`, which then replaces `path` as a whole, or nothing does.

    Raises:
        UserError: if `path` is there and is no folder.
        OSError: as `replacing`.
    """
    with _replacing(path, "folder") as temporary:
        shutil.rmtree(temporary, ignore_errors=True)  # of a killed process that had the same number
        temporary.mkdir()
        yield temporary


def check_replaceable(path: Path, wanted: str) -> None:
    """Hold that a "file" or a "folder" may be put at `path`: nothing is there, or something of the same kind.

    Raises:
        UserError: naming what is there.
    """
    found = kind(path)
    if found not in (None, wanted):
        raise UserError(f"{path}: found a {found}, expected a {wanted} or nothing there; remove it or use another name")


def kind(path: Path) -> str | None:
    """Return what is at `path`, links not followed: "file", "folder", "symbolic link", "pipe", ...; None if nothing."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    return KINDS[stat.S_IFMT(mode)]


KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


@contextmanager
def _replacing(path: Path, wanted: str) -> Iterator[Path]:
    check_replaceable(path, wanted)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, replaced = (path.with_name(f".{path.name}.{os.getpid()}.{what}") for what in ("new", "old"))
    try:
        yield temporary
        check_replaceable(path, wanted)  # the work may have taken hours
        if wanted == "folder" and path.exists():
            path.rename(replaced)
        temporary.replace(path)
    except OSError as error:
        if error.filename and not Path(error.filename).is_relative_to(temporary):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        if replaced.exists() and not path.exists():
            replaced.rename(path)
        for leftover in (temporary, replaced):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_array(path: Path, array: "np.ndarray") -> None:
    """Write a .npy file whole or not at all. (NumPy's own writing does not say that the disk is full.)"""
    import numpy as np

    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, indented, whole or not at all."""
    write_bytes(path, (json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        UserError: if the file is missing or holds no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `dvc repro` makes it") from None
    except ValueError as error:
        raise UserError(f"{path}: no JSON ({error}); remove it and run `dvc repro`") from None


def run_stage(stage: Callable[[], None]) -> None:
    """Run a stage; an error that the user can mend becomes one line on stderr and exit code 1."""
    # Line by line, so that messages and the progress bar come in order.
    sys.stdout.reconfigure(line_buffering=True)
    try:
        stage()
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        where = f"{os.fspath(error.filename)}: " if error.filename else ""
        advice = "; free some space and run this again" if error.errno in (ENOSPC, EDQUOT, EFBIG) else ""
        sys.exit(f"error: {where}{error.strerror or error}{advice}")
    except KeyboardInterrupt:
        sys.exit(130)
