"""Pictures: as large as what they show, and the same again."""

import struct

import numpy as np

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
