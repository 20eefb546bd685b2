"""Repeats: what is in two parts is found, whatever its type and block; few are reported, many refused."""

import numpy as np
import pytest
from memory import runs_within

from stages.arrays import npy, repeats
from stages.arrays.npy import ArrayFile
from stages.arrays.repeats import check_repeats, keys_of
from stages.common.files import UserError


def write(folder, arrays):
    for number, array in enumerate(arrays):
        np.save(folder / f"{number}.npy", array)
    return [ArrayFile(folder / f"{number}.npy") for number in range(len(arrays))]


def three_parts(sizes=(600, 200, 300)):
    rng = np.random.default_rng(0)
    return [rng.standard_normal((n, 4, 2)).astype(np.float32) for n in sizes]


@pytest.mark.parametrize(
    ("first", "second", "names"), [(0, 1, "train in val"), (0, 2, "train in test"), (1, 2, "val in test")]
)
def test_many_are_refused_and_few_reported(tmp_path, monkeypatch, capsys, first, second, names):
    """Three of two hundred are 1.5 %; one that a part has twice counts once."""
    monkeypatch.setattr(npy, "BLOCK", 64 * 7)
    parts = three_parts((200, 200, 200))
    check_repeats("a", write(tmp_path, parts))
    assert capsys.readouterr().out == ""
    parts[second][77] = parts[first][55]
    check_repeats("a", write(tmp_path, parts))
    assert capsys.readouterr().out == f"warning: a: found 1 of 200 different samples of {names} too\n"
    parts[first][3] = parts[first][55]
    parts[second] = parts[second].astype(np.float64, order="F")
    check_repeats("a", write(tmp_path, parts))
    assert capsys.readouterr().out.startswith("warning: a: found 1 of 199")
    parts[second][:2] = parts[first][98:100]
    with pytest.raises(UserError) as refusal:
        check_repeats("a", write(tmp_path, parts))
    assert str(refusal.value) == (
        f"a: found 3 of 199 different samples of {names} too, which inflates every score, expected each in one part; "
        "take it out of the other"
    )


def test_of_many_samples_the_same_share_is_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(repeats, "MOST", 1200)
    parts = three_parts((6000, 2000, 2000))
    files = write(tmp_path, [parts[0], parts[1], parts[0][:2000]])
    kept = [keys_of(file, 9) for file in files]
    assert 500 < len(kept[0]) < 850
    assert set(kept[2].tolist()) < set(kept[0].tolist())
    assert set(kept[0].tolist()) < set(keys_of(files[0], 1).tolist())
    n = 9 * len(kept[2])
    with pytest.raises(UserError, match=f"found about {n} of {n} different samples of test in train too"):
        check_repeats("a", files)


def test_memory_goes_by_the_samples_that_are_compared(tmp_path):
    for part in range(3):
        np.save(tmp_path / f"{part}.npy", np.arange(100_000, dtype=np.int32)[:, None] + 100_000 * part)
    setup = """
from stages.arrays import npy, repeats
repeats.MOST, npy.BLOCK = 10_000, 2**20
files = [npy.ArrayFile(f"{part}.npy") for part in range(3)]
"""
    runs_within(6, setup, 'repeats.check_repeats("a", files)', tmp_path)
