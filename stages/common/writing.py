"""Writing: files and folders whole or not at all, each format in one way.

What is being written lies in data/tmp until it is whole, or, where a file is to be on another disk, beside it. A
process that is killed leaves it there; the next stage clears away what no living process owns.
"""

import csv
import glob
import json
import os
import platform
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EDQUOT, EFBIG, ENOSPC
from itertools import count
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from stages.common.files import TEMPORARY, UserError, kind

NO_SPACE = (ENOSPC, EDQUOT, EFBIG)
STREAMS = ("pipe", "device")  # are written to, not replaced; so is a file that a shell put behind one of these:
DESCRIPTOR = re.compile(r"/dev/(stdout|stderr|fd/\d+)|/proc/[^/]+/fd/\d+")
HOST = re.sub(r"\W", "-", platform.node())
COUNTER = count()
LONGEST = 60  # characters of a name that somebody gave; in UTF-8 up to four bytes each, and a disk holds 255


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write a file at, which then replaces `path`, or nothing does.

    If the block raises, the temporary is removed and `path` stays as it was. A link is followed: what it leads to is
    replaced. A device or a pipe, say /dev/stdout, is written to.

    Raises:
        OSError: naming `path`, if the temporary cannot be written (disk full, no permission).
    """
    with _replacing(path, "file") as temporary:
        yield temporary


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give a temporary, empty folder, which then replaces `path` as a whole, or nothing does.

    Raises:
        OSError: as `replacing`.
    """
    with _replacing(path, "folder") as temporary:
        temporary.mkdir()
        yield temporary


def check_replaceable(path: Path, wanted: str) -> None:
    """Check that a "file" or a "folder" may be put at `path`: nothing is there, or something of the same kind.

    Raises:
        OSError: naming `path`, if its links lead in a circle.
    """
    found = kind(path)
    if found not in (None, wanted) and not (wanted == "file" and found in STREAMS):
        raise UserError(f"{path}: found a {found}, expected a {wanted} or nothing there; remove it or use another name")


@contextmanager
def _replacing(path: Path, wanted: str) -> Iterator[Path]:
    check_replaceable(path, wanted)
    stream = _is_stream(path)
    target = Path(gettempdir()) / path.name if stream else Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    new, old = (_temporary(target, what) for what in ("new", "old"))
    try:
        yield new
        check_replaceable(path, wanted)  # the work may have taken hours
        if stream:
            _pour(new, path)
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
            _remove(leftover)


def _is_stream(path: Path) -> bool:
    return kind(path) in STREAMS or bool(DESCRIPTOR.fullmatch(str(path.absolute())))


def _pour(new: Path, stream: Path) -> None:
    sys.stdout.flush()
    with new.open("rb") as source, stream.open("ab", buffering=0) as sink:  # appended: it may be a file after all
        shutil.copyfileobj(source, sink)


def _temporary(target: Path, what: str) -> Path:
    """Return a name that no other process uses, on the mount that `target` is on."""
    name = f"{target.name[:40]}.{HOST}.{os.getpid()}.{next(COUNTER)}.{what}"
    with suppress(OSError):  # say of a project that may not be written
        if TEMPORARY.parent.is_dir():
            TEMPORARY.mkdir(exist_ok=True)
            writable = os.access(TEMPORARY, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
            if writable and _mount(TEMPORARY) == _mount(target.parent):
                return TEMPORARY.absolute() / name
    clear(target.parent, f".{glob.escape(target.name[:40])}.*")
    return target.with_name(f".{name}")


def _mount(folder: Path) -> tuple[int, list[str]]:
    """Return the disk and, on Linux, the mount that a folder is on: from one mount to another nothing is renamed."""
    if not hasattr(os, "O_PATH"):
        return folder.stat().st_dev, []
    descriptor, mount = os.open(folder, os.O_PATH), []
    try:
        with suppress(OSError):  # only Linux mounts a disk twice, and tells
            about = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
            mount = re.findall(r"mnt_id:\s+(\d+)", about)
        return os.fstat(descriptor).st_dev, mount
    finally:
        os.close(descriptor)


def clear(folder: Path, pattern: str = "*") -> None:
    """Remove what processes of this machine that live no more, or an earlier one with this number, left in a folder."""
    for leftover in folder.glob(pattern):
        match = re.fullmatch(rf".*\.{HOST}\.(\d+)\.\d+\.(new|old)", leftover.name, re.DOTALL)
        if match and not _lives(int(match[1])):
            _remove(leftover)


def _lives(process: int) -> bool:
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    with suppress(OSError):
        return b") Z " not in Path(f"/proc/{process}/stat").read_bytes()  # ended, and nobody has asked how
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():  # to remove nothing where nothing may be written is an error of its own
        path.unlink(missing_ok=True)


def safe_names(names: Iterable[str]) -> list[str]:
    """Return a name of a file for each name that people gave, on any system, all of them different in one folder.

    What a file's name cannot hold becomes _, of a long name the end stays, and a number tells two alike apart.
    """
    taken: set[str] = set()
    safe = []
    for name in names:
        plain = "".join("_" if each in '<>:"/\\|?*' or not each.isprintable() else each for each in name)
        stem = plain[-LONGEST:].strip(". ") or "_"
        numbered = (stem if number == 1 else f"{stem} ({number})" for number in count(1))
        safe.append(next(each for each in numbered if folded(each) not in taken))
        taken.add(folded(safe[-1]))
    return safe


def folded(name: str) -> str:
    """Return what is the same for names that some file systems do not tell apart."""
    return unicodedata.normalize("NFC", name.casefold())


def spreadsheet_safe(name: str) -> str:
    """Return a name that people gave so that a spreadsheet takes it for text: before what starts a formula stands '.

    For tables that people open, not for those that programs read back. The characters: CWE-1236; OWASP, CSV Injection.
    """
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def write_nothing(folder: Path) -> None:
    """Write a folder for a data set that is not asked for. It holds a note: DVC warns of an empty one."""
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
    """Give what adds a row to a CSV: text in quotes, so that a name may hold any character, also one not in UTF-8."""
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow(head)
        yield writer.writerow
