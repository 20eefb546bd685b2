"""Which files are sounds: those with a suffix of a format that FFmpeg reads."""

import os
from collections import Counter
from functools import cache
from pathlib import Path

from stages.audio.container import FORMATS
from stages.common.files import TABLE, few_of

# What FFmpeg calls the same formats when it writes them for some purpose or other, each with suffixes of its own.
WRITTEN = "adts,ipod,latm,mp2,oga,opus,spx"
USUAL = (  # suffixes that FFmpeg knows a file without
    "3ga,8svx,adts,awb,bwf,bw64,caff,dsf,fla,iff,loas,m4p,m4r,mp1,mpga,mpp,nist,qcp,qt,rf64,snd,svx,wave,weba,wve,xwma"
)
NO_AUDIO = "avif,heic,heif,ism,mj2,mks"  # pictures, a list of other files and subtitles, which FFmpeg reads alike


@cache
def sound_suffixes() -> frozenset[str]:
    """Return the suffixes, in lower case, of what FFmpeg reads here."""
    from av.format import ContainerFormat

    known = {suffix for name in f"{FORMATS},{WRITTEN}".split(",") for suffix in ContainerFormat(name).extensions}
    return frozenset(f".{suffix}" for suffix in (known | set(USUAL.split(","))) - set(NO_AUDIO.split(",")))


def find_sounds(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the sounds in a folder and below it, and the other files, in order, but none hidden and no table of songs.

    A link to a folder is one of those: not followed, since it may lead in circles, and DVC sees nothing behind it.

    Raises:
        PermissionError: naming a folder that may not be read. (Path.rglob would keep silent.)
    """

    def fail(error: OSError) -> None:
        raise error

    sounds, others = [], []
    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        others += [path for path in (Path(place, name) for name in folders) if path.is_symlink()]
        for name in names:
            if name != TABLE and not name.startswith(".") and not name.endswith(".dvc"):
                path = Path(place, name)
                (sounds if path.suffix.lower() in sound_suffixes() else others).append(path)
    return sorted(sounds), sorted(others)


def count_others(others: list[Path]) -> str:
    """Return how many files are not audio and of which kinds: "3 files that are not audio (m4a 3)"."""
    kinds = Counter(
        f"linked folder {path}" if path.is_dir() else path.suffix.lower()[1:] or "no suffix" for path in others
    )
    listed = few_of([f"{kind} {n}" for kind, n in kinds.most_common()])
    files = "1 file that is" if len(others) == 1 else f"{len(others)} files that are"
    return f"{files} not audio ({listed})"
