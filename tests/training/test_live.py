"""Live curves: what can be seen of a training that goes on."""

import pytest

from stages.common.files import CURVES
from stages.common.records import Epoch
from stages.training import live


def epoch(loss):
    return Epoch(train_loss=loss, val_loss=loss, val_accuracy=0.5, val_f1_macro=0.5)


@pytest.fixture
def clock(workplace, monkeypatch):
    """Seconds that pass when a test says so."""
    seconds = [100.0]
    monkeypatch.setattr(live, "monotonic", lambda: seconds[0])
    return seconds


def losses(name):
    """Return the run, the epoch and the loss of each line."""
    lines = (CURVES / f"{name}_cpu.csv").read_text().splitlines()[1:]
    return [tuple(map(float, line.split(",")[:3])) for line in lines]


def test_epochs_are_seen_as_they_come_but_not_written_every_time(clock):
    show = live.live_curves("cpu")
    show("a", {1: (0, epoch(3))})
    assert losses("a") == [(1, 0, 3)]
    show("a", {0: (0, epoch(4))})
    show("b", {0: (0, epoch(9))})
    assert (losses("a"), losses("b")) == ([(1, 0, 3)], [(0, 0, 9)])
    clock[0] += live.PAUSE
    show("a", {0: (1, epoch(2)), 1: (0, epoch(3))})  # the latter again, as after a worker has died
    assert losses("a") == [(0, 0, 4), (0, 1, 2), (1, 0, 3)]


def test_long_curves_are_written_less_often(clock, monkeypatch):
    show, written = live.live_curves("cpu"), []

    def write(path, epochs):
        written.append(len(epochs))
        clock[0] += 1

    monkeypatch.setattr(live, "write_curves", write)
    for number in range(2 * live.SHARE):
        show("a", {0: (number, epoch(1))})
        clock[0] += 1
    assert written == [1, live.SHARE + 1]


def test_training_goes_on_where_they_cannot_be_written(clock):
    CURVES.parent.mkdir()
    CURVES.touch()
    live.live_curves("cpu")("a", {0: (0, epoch(1))})
    assert CURVES.is_file()
