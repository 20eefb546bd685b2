"""Writing: files and folders whole or not at all, each format in one way.

A file is written under a hidden name beside its place, `.NAME.tmp-PROCESS-NUMBER`, which git and DVC ignore, and then
renamed. A process that is killed leaves it there; the next stage removes it.
"""

import csv
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, ENOSPC
from itertools import count
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from stages.common.files import METRICS, TEMPORARY, UserError, kind

NO_SPACE = (ENOSPC, EDQUOT, EFBIG)
STREAMS = ("pipe", "device")  # are written to, not replaced; so is a file that a shell opened under one of these names:
DESCRIPTOR = re.compile(r"/dev/(stdout|stderr|fd/\d+)|/proc/[^/]+/fd/\d+")
NUMBERS = count()


@contextmanager
def replacing(path: Path, wanted: str = "file") -> Iterator[Path]:
    """Give a temporary path to write a file at; it replaces `path` if the block succeeds.

    If the block raises, the temporary is removed and `path` stays as it was. A link is followed: what it leads to is
    replaced. A device or a pipe, say /dev/stdout, is written to. OSErrors (disk full, no permission) name `path`.
    """
    check_replaceable(path, wanted)
    stream = kind(path) in STREAMS or DESCRIPTOR.fullmatch(str(path.absolute()))
    target = Path(gettempdir()) / path.name if stream else Path(os.path.realpath(path))
    new, old = (target.with_name(f".{target.name[:40]}.tmp-{os.getpid()}-{next(NUMBERS)}") for _ in range(2))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield new
        check_replaceable(path, wanted)  # the work may have taken hours
        if stream:
            sys.stdout.flush()
            with new.open("rb") as source, path.open("ab", buffering=0) as sink:  # appended: it may be a file after all
                shutil.copyfileobj(source, sink)
            return
        if wanted == "folder" and target.exists():
            target.rename(old)
        new.replace(target)
    except OSError as error:
        ours = error.filename and any(Path(error.filename).is_relative_to(each) for each in (new, old, target))
        if ours or error.errno in NO_SPACE or (error.errno and not error.filename):
            raise OSError(error.errno, error.strerror or str(error), str(path)) from None
        raise
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        for leftover in (new, old):
            remove(leftover)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give a temporary, empty folder, which replaces `path` as a whole if the block succeeds; errors as `replacing`."""
    with replacing(path, "folder") as temporary:
        temporary.mkdir()
        yield temporary


def check_replaceable(path: Path, wanted: str) -> None:
    """Check that a "file" or a "folder" may be put at `path`: nothing is there, or something of the same kind."""
    found = kind(path)
    if found not in (None, wanted) and not (wanted == "file" and found in STREAMS):
        raise UserError(f"{path}: found a {found}, expected a {wanted} or nothing there; remove it or use another name")


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, if there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():  # in a read-only place, removing nothing would be an error too
        path.unlink(missing_ok=True)


def clear() -> None:
    """Remove what killed stages left where only stages write; only the one running stage may call this."""
    for leftover in [*TEMPORARY.parent.glob(".*.tmp-*"), *METRICS.rglob(".*.tmp-*")]:
        remove(leftover)


def spreadsheet_safe(name: str) -> str:
    """Return a name with a leading apostrophe if a spreadsheet would run it as a formula, else as it is.

    For tables that people open, not for those that programs read back. The characters are those of OWASP, CSV Injection
    (CWE-1236).
    """
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def write_nothing(folder: Path) -> None:
    """Write the folder of a data set that `dataset` does not name, with a note in it: DVC warns about empty folders."""
    with replacing_folder(folder) as temporary:
        (temporary / "nothing.txt").write_text("`dataset` in params.yaml is another one.\n", encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, indented."""
    write_bytes(path, (json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n").encode())


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write CSV as `csv_writer`."""
    with csv_writer(path, head) as write:
        for row in rows:
            write(row)


@contextmanager
def csv_writer(path: Path, head: Sequence[str]) -> Iterator[Callable[[Sequence], Any]]:
    """Give a function that adds a row to a CSV; text is quoted, so that a name may hold any character or byte."""
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow(head)
        yield writer.writerow
