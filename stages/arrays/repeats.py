"""Repeats: samples that are in two parts of a given split, number for number."""

from itertools import combinations
from pathlib import Path
from zlib import crc32

import numpy as np

from stages.arrays.npy import ArrayFile
from stages.common.files import UserError
from stages.common.records import PARTS

MOST = 2**22  # samples that are compared, of more a share: each takes 8 bytes of memory
TOLERATED = 0.01  # of a part's samples: a second of two songs may be one by chance


def check_repeats(folder: Path, X: list[ArrayFile]) -> None:
    """Report samples that are in two parts, and refuse them if they are many; X has one file for each part."""
    share = -(-sum(map(len, X)) // MOST)
    keys = {part: keys_of(file, share) for part, file in zip(PARTS, X, strict=True)}
    for one, another in combinations(PARTS, 2):
        shared = np.intersect1d(keys[one], keys[another], assume_unique=True).size
        smaller, larger = sorted((one, another), key=lambda part: len(keys[part]))
        of, about = len(keys[smaller]), "about " if share > 1 else ""
        n = f"{about}{shared * share} of {of * share} different samples"
        found = f"{folder}: found {n} of {smaller} in {larger} too"
        if shared > TOLERATED * of:
            raise UserError(f"{found}, which inflates every score, expected each in one part; take it out of the other")
        if shared:
            print(f"warning: {found}")


def keys_of(file: ArrayFile, share: int) -> np.ndarray:
    """Return a number for each different sample, or for one in `share`, the same ones in every file; ascending."""
    found = [np.empty(0, np.int64)]
    for _, block in file.blocks():
        rows = (row.tobytes() for row in block.astype(np.float64))
        found.append(np.fromiter((hash(row) for row in rows if crc32(row) % share == 0), np.int64))
    return np.unique(np.concatenate(found))
