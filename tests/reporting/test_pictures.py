"""Pictures: as large as what they show, and the same again."""

import struct

import numpy as np
import pytest
from matplotlib.axes import Axes

from stages.reporting import pictures


def size(path):
    return struct.unpack(">II", path.read_bytes()[16:24])


def test_pictures_grow_with_what_they_show_and_are_the_same_again(tmp_path):
    def draw(name, classes):
        matrix = np.full((len(classes), len(classes)), 3) + 20 * np.eye(len(classes), dtype=int)
        pictures.confusion(tmp_path / name, {"mfccs": classes}, {"mfccs": matrix})

    draw("few.png", ["a", "b"])
    draw("many.png", [f"genre {i}" for i in range(12)])
    draw("again.png", ["a", "b"])
    assert size(tmp_path / "many.png") > size(tmp_path / "few.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "few.png").read_bytes()


def test_a_class_without_samples_is_drawn_too(tmp_path):
    with np.errstate(all="raise"):
        pictures.confusion(tmp_path / "a.png", {"mfccs": ["a", "b"]}, {"mfccs": np.array([[3, 1], [0, 0]])})
    assert size(tmp_path / "a.png") > (100, 100)


@pytest.fixture
def written(monkeypatch):
    """What is written into pictures: texts in cells, names at axes, titles."""
    texts, names, titles, real = [], [], [], Axes.set
    monkeypatch.setattr(Axes, "text", lambda self, x, y, text, **_: texts.append(text))
    monkeypatch.setattr(Axes, "set_yticks", lambda self, ticks, labels: names.extend(labels))
    monkeypatch.setattr(Axes, "set", lambda self, **given: titles.append(given["title"]) or real(self, **given))
    return texts, names, titles


def test_a_cell_of_a_confusion_is_a_count_and_its_share_of_the_actual_class(tmp_path, written):
    """Rows are the actual classes, and the first one is at the top."""
    pictures.confusion(tmp_path / "a.png", {"a": ["x", "y"]}, {"a": np.array([[3, 1], [5, 15]])})
    assert written[0] == ["3\n75%", "1\n25%", "5\n25%", "15\n75%"]
    assert written[1] == ["x", "y"]


@pytest.mark.parametrize(("n", "cells", "named"), [(30, 900, 30), (31, 0, 16), (500, 0, 30)])
def test_a_confusion_of_many_classes_has_no_text_and_is_no_larger(tmp_path, written, n, cells, named):
    texts, names, titles = written
    pictures.confusion(tmp_path / "a.png", {"a": [f"g{i}" for i in range(n)]}, {"a": np.eye(n, dtype=int)})
    assert size(tmp_path / "a.png") == (round(120 * (1.6 + 0.8 * 30)), round(120 * (1 + 0.7 * 30)))
    assert (len(texts), len(names)) == (cells, named)
    assert titles == ["a" if n == named else f"a: {n} classes, one in {-(-n // 30)} named"]


def test_of_many_classes_the_lowest_are_drawn_and_the_title_says_so(tmp_path, written):
    rows = [{"low": 0, "high": 1, "class": f"g{i}", "f1": i * 7 % 500 / 500} for i in range(500)]
    records = [{"representation": name, **row} for name, own in (("a", rows), ("b", rows[:30])) for row in own]
    pictures.intervals(tmp_path / "f1.png", records, "class", "f1", "F1")
    _, names, titles = written
    assert titles == ["a: the 30 lowest of 500", "b"]
    assert names[:30] == sorted((f"g{i}" for i in range(500)), key=lambda name: int(name[1:]) * 7 % 500)[:30]
    assert names[30:] == [f"g{i}" for i in range(30)]
    assert size(tmp_path / "f1.png") == (round(120 * 2 * 4.6), round(120 * (1.2 + 0.4 * 30)))


def test_a_value_without_an_interval_is_drawn_without(tmp_path, monkeypatch):
    drawn, real = [], Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda self, x, *rest, **how: drawn.append(x) or real(self, x, *rest, **how))
    rows = [{"low": 0.5, "high": 0.9, "f1": 0.7}, {"low": None, "high": None, "f1": 0.6}]
    pictures.intervals(
        tmp_path / "f1.png", [{"representation": "a", "class": "b"} | row for row in rows], "class", "f1", "F1"
    )
    assert drawn == [[0.5, 0.9], 0.7, 0.6]
