"""Pictures: as large as what they show, and the same again."""

import numpy as np
import pytest
from drawn import legend, size
from matplotlib.axes import Axes
from PIL import Image

from stages.reporting import pictures


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


def points(line):
    return [tuple(map(float, point)) for point in line.get_xydata()]


def test_learning_curves_are_the_runs_macro_f1_by_epoch(tmp_path, panels):
    """Of each device in its own colour, once in the legend."""
    scores = {"cpu": [[0.2, 0.4], [0.3]], "gpu": [[0.2, 0.5], [0.1, 0.6]]}
    curves = {
        device: [
            {"run": run, "epoch": epoch, "train_loss": 7, "val_loss": 8, "val_accuracy": 0.9, "val_f1_macro": f1}
            for run, own in enumerate(runs)
            for epoch, f1 in enumerate(own)
        ]
        for device, runs in scores.items()
    }
    pictures.learning_curves(tmp_path / "a.png", {"mfccs": curves, "other": {"cpu": curves["cpu"]}})
    one, other = panels()
    expected = [list(map(tuple, enumerate(map(float, run)))) for runs in scores.values() for run in runs]
    assert [points(line) for line in one.lines] == expected
    assert [points(line) for line in other.lines] == expected[:2]
    assert [line.get_color() for line in one.lines] == [pictures.COLOURS[0]] * 2 + [pictures.COLOURS[5]] * 2
    assert legend(one) == {pictures.COLOURS[0].lower(): "CPU", pictures.COLOURS[5].lower(): "GPU"}
    assert (one.get_title(), one.get_xlabel(), other.get_title()) == ("mfccs", "epoch", "other")
    assert one.get_ylabel().startswith("validation macro F1")


def test_a_confusion_shades_the_share_of_the_actual_class(tmp_path, panels):
    pictures.confusion(tmp_path / "a.png", {"mfccs": ["x", "y"]}, {"mfccs": np.array([[3, 1], [5, 15]])})
    (axes,) = panels()
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0.25, 0.75]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "actual")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["x", "y"]
    assert [(text.get_position(), text.get_text()) for text in axes.texts] == [
        ((0, 0), "3\n75%"), ((1, 0), "1\n25%"), ((0, 1), "5\n25%"), ((1, 1), "15\n75%")
    ]  # fmt: skip
    assert [text.get_color() for text in axes.texts] == ["white", "black", "black", "white"]


def test_intervals_lie_around_their_values_and_a_hollow_mark_is_the_split_at_random(tmp_path, panels):
    rows = [
        {"representation": "a", "model": "svm", "f1_macro": 0.7, "low": 0.6, "high": 0.8, "split_at_random": 0.9},
        {"representation": "b", "model": "net", "f1_macro": 0.5, "low": None, "high": None, "split_at_random": None},
    ]
    pictures.intervals(tmp_path / "a.png", rows, "model", "f1_macro", "macro F1")
    one, other = panels()
    assert [points(line) for line in one.lines] == [[(0.6, 0), (0.8, 0)], [(0.7, 0)], [(0.9, 0)]]
    assert [line.get_fillstyle() for line in one.lines[1:]] == ["full", "none"]
    assert [points(line) for line in other.lines] == [[(0.5, 0)]]
    assert [axes.get_yticklabels()[0].get_text() for axes in (one, other)] == ["svm", "net"]
    assert (one.get_title(), other.get_title(), one.get_xlabel()) == ("a", "b", "macro F1")


def test_reliability_is_accuracy_over_confidence_and_marks_are_as_large_as_their_samples(tmp_path, panels):
    bins = [(10, 0.35, 0.5), (30, 0.85, 0.7)]
    keys = ("samples", "confidence", "accuracy")
    rows = [{"representation": "a"} | dict(zip(keys, each, strict=True)) for each in bins]
    pictures.reliability(tmp_path / "a.png", [*rows, rows[0] | {"representation": "b"}])
    one, other = panels()
    diagonal, line = one.lines
    assert (points(diagonal), points(line)) == ([(0, 0), (1, 1)], [(0.35, 0.5), (0.85, 0.7)])
    assert one.collections[0].get_offsets().tolist() == [[0.35, 0.5], [0.85, 0.7]]
    assert one.collections[0].get_sizes().tolist() == [10 + 300 / 4, 10 + 300 * 3 / 4]
    assert points(other.lines[1]) == [(0.35, 0.5)]
    assert (one.get_ylabel(), one.get_xlabel().split()[0]) == ("accuracy", "confidence")


def test_numbers_in_a_confusion_can_be_read_on_every_shade(tmp_path, panels):
    """By the contrast ratio of WCAG 2.2, of 4 and more."""
    pictures.confusion(tmp_path / "a.png", {"a": list("abcde")}, {"a": np.arange(25).reshape(5, 5) ** 2})
    (axes,) = panels()
    shades = axes.images[0].to_rgba(axes.images[0].get_array())[..., :3].reshape(-1, 3)
    linear = np.where(shades <= 0.04045, shades / 12.92, ((shades + 0.055) / 1.055) ** 2.4)
    for luminance, text in zip(linear @ [0.2126, 0.7152, 0.0722], axes.texts, strict=True):
        dark, light = sorted([luminance, {"black": 0, "white": 1}[text.get_color()]])
        assert (light + 0.05) / (dark + 0.05) > 4


def test_marks_at_0_and_1_are_whole(tmp_path):
    """As many pixels have the colours of marks there as in the middle."""

    def coloured(name, values, draw):
        rows = [{"low": None, "high": None, "c": "x"} | row for row in values]
        draw(tmp_path / name, [{"representation": "a"} | row for row in rows])
        picture = np.asarray(Image.open(tmp_path / name).convert("RGB")).astype(int)
        return [(abs(picture - colour).sum(axis=2) < 60).sum() for colour in ([0, 114, 178], [213, 94, 0])]

    def intervals(path, rows):
        pictures.intervals(path, rows, "c", "v", "F1")

    inner, outer = ([{"v": v, "split_at_random": 1 - v} for v in values] for values in ([0.3, 0.7], [0, 1]))
    assert coloured("b.png", outer, intervals) == pytest.approx(coloured("a.png", inner, intervals), rel=0.1)
    inner, outer = ([{"confidence": v, "accuracy": 0.5, "samples": 9} for v in values] for values in ([0.5], [1]))
    marks = [coloured(name, values, pictures.reliability)[0] for name, values in (("c.png", inner), ("d.png", outer))]
    assert marks[1] == pytest.approx(marks[0], rel=0.1)


def test_panels_are_in_the_order_of_the_tables(tmp_path, panels):
    rows = [{"representation": name, "confidence": 0.5, "accuracy": 0.5, "samples": 1} for name in ("a", "b", "a + b")]
    pictures.reliability(tmp_path / "a.png", rows)
    assert [axes.get_title() for axes in panels()] == ["a", "a + b", "b"]
    pictures.intervals(tmp_path / "b.png", [row | {"low": None} for row in rows], "accuracy", "accuracy", "F1")
    assert [axes.get_title() for axes in panels()[-3:]] == ["a", "a + b", "b"]


def test_seconds_are_stacked_in_the_order_of_the_parts(tmp_path, panels):
    spent = {"warmup": 1, "transfer": 2, "train": 4, "validate": 8, "snapshot": 16, "other": 32}
    rows = [{"what": "one run", "part": part, "seconds": n} for part, n in spent.items()]
    pictures.seconds(tmp_path / "a.png", [*rows[::-1], {"what": "all runs", "part": "all runs", "seconds": 40}])
    (axes,) = panels()
    bars = [(round(bar.get_y() + bar.get_height() / 2), bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert [bar for bar in bars if bar[2]] == [
        (0, 0, 1),
        (0, 1, 2),
        (0, 3, 4),
        (0, 7, 8),
        (0, 15, 16),
        (0, 31, 32),
        (1, 0, 40),
    ]
    assert [(text.get_position(), text.get_text()) for text in axes.texts] == [
        ((63, 0), " 63.00 s"), ((40, 1), " 40.00 s")
    ]  # fmt: skip
    assert legend(axes) == {colour.lower(): part for part, colour in pictures.PART_COLOURS.items()}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one run", "all runs"]
