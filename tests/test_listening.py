"""listening: songs are heard side by side and told in order. (test_predict.py holds what is heard.)"""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from tqdm import tqdm

from stages import tasks
from stages.audio.decode import DecodeError
from stages.listening import Song, listen_to_all


@pytest.mark.parametrize("cores", [1, 3])
def test_songs_are_told_in_order_whoever_is_ready_first(monkeypatch, cores):
    monkeypatch.setattr(tasks, "cores", lambda: cores)
    paths, threads, together = [Path(str(i)) for i in range(9)], set(), threading.Barrier(cores, timeout=20)

    def listen(path):
        threads.add(threading.get_ident())
        together.wait()  # as many at once as there are cores
        assert torch.get_num_threads() == 1
        if path.name == "4":
            raise DecodeError("is silent throughout")
        if path.name == "5":
            raise MemoryError
        return Song(path, np.zeros(1), np.ones((1, 2)))

    with tqdm(disable=True) as progress:
        told = list(listen_to_all(paths, listen, progress))
    assert [path for path, _ in told] == paths
    assert [song.path for path, song in told if isinstance(song, Song)] == [*paths[:4], *paths[6:]]
    assert [song for _, song in told if isinstance(song, str)] == [
        "is silent throughout", "cannot be used (MemoryError: )"
    ]  # fmt: skip
    assert len(threads) == cores
