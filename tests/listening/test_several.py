"""several: songs side by side are told in order, as one after the other."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_models import make_model

from stages.common import tasks
from stages.common.files import UserError, card_path
from stages.listening.listener import Listener
from stages.listening.several import alone, get_ready, listen_to, listen_to_all, processes_for

CARD = card_path("mfccs")


@pytest.fixture
def listener(workplace):
    """A listener to mfccs, from a model in data/model/."""
    make_model("mfccs")
    return Listener(CARD)


def noise(seed):
    """Return twenty seconds of noise of the first song, two of each other."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, 16000 if seed else 160000)


@pytest.mark.parametrize("cores", [1, 3])
def test_songs_are_told_in_order_whoever_is_ready_first(listener, monkeypatch, cores):
    monkeypatch.setattr(tasks, "cores", lambda: cores)
    paths = [Path(f"{i}.wav") for i in range(9)]
    for i, path in enumerate(paths):
        soundfile.write(path, noise(i) * (i != 4), 8000)
    paths[5].unlink()
    expected = [None if i in (4, 5) else listener(path) for i, path in enumerate(paths)]
    asked = []
    on_processes = tasks.on_processes
    monkeypatch.setattr(tasks, "on_processes", lambda *how: asked.append(how[2]) or on_processes(*how))
    get_ready(len(paths))
    told = dict(listen_to_all(listener, paths))
    assert asked == ([3] if cores == 3 else [])
    assert list(told) == paths
    assert [str(song) for song in told.values() if isinstance(song, UserError)] == [
        "4.wav: is silent throughout", "5.wav: no such file or directory"
    ]  # fmt: skip
    for song, wanted in zip(told.values(), expected, strict=True):
        assert wanted is None or (song.path == wanted.path and np.array_equal(song.seconds, wanted.seconds))


def threads(settings, _):
    import torch

    torch.set_num_threads(2)
    alone(settings)
    return torch.get_num_threads()


def test_a_process_analyses_on_one_thread(listener):
    assert list(tasks.on_processes(partial(threads, listener.settings), range(2), 2, [])) == [1, 1]


def test_one_songs_error_does_not_stop_the_others():
    def listen(path):
        raise MemoryError

    assert str(listen_to(listen, Path("5"))) == "5: cannot be used (MemoryError: )"


@pytest.mark.parametrize(("songs", "cores", "processes"), [(1, 8, 1), (3, 8, 1), (4, 8, 2), (9, 2, 2), (99, 8, 8)])
def test_processes_are_started_only_for_several_songs(monkeypatch, songs, cores, processes):
    monkeypatch.setattr(tasks, "cores", lambda: cores)
    assert processes_for(songs) == processes


def test_a_process_that_cannot_load_the_model_ends_it(listener, monkeypatch):
    """As the listener itself does where it is made: its files may have changed since."""
    monkeypatch.setattr(tasks, "cores", lambda: 2)
    CARD.with_suffix(".safetensors").unlink()
    with pytest.raises(UserError, match=r"mfccs\.safetensors: not found"):
        list(listen_to_all(listener, [Path(f"{i}.wav") for i in range(4)]))
