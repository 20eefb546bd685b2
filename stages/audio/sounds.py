"""Which files are sounds: those with a suffix of a form that libsndfile reads."""

import os
from collections import Counter
from functools import cache
from pathlib import Path

from stages.common.files import TABLE, few_of

# Of libsndfile's formats, the suffixes that are not the format's name.
OTHER_SUFFIXES = {
    "AIFF": ("aif", "aifc"),
    "AU": ("snd",),
    "IRCAM": ("sf",),
    "MP3": ("mp1", "mp2"),
    "NIST": ("sph",),
    "OGG": ("oga", "opus"),
    "SVX": ("8svx", "iff"),
}


@cache
def sound_suffixes() -> frozenset[str]:
    """Return the suffixes, in lower case, of what libsndfile says it reads; not of raw samples, of no known form."""
    import soundfile

    formats = soundfile.available_formats().keys() - {"RAW"}
    return frozenset(f".{suffix}" for name in formats for suffix in (name.lower(), *OTHER_SUFFIXES.get(name, ())))


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
    """Return how many files are no sound and of which kinds: "3 files that are no sound this can decode (m4a 3)"."""
    kinds = Counter(
        f"linked folder {path}" if path.is_dir() else path.suffix.lower()[1:] or "no suffix" for path in others
    )
    listed = few_of([f"{kind} {n}" for kind, n in kinds.most_common()])
    files = "1 file that is" if len(others) == 1 else f"{len(others)} files that are"
    return f"{files} no sound this can decode ({listed})"
