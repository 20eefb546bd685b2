"""Drawing: a picture is PNG on white, the same again; what somebody named is shown as it is, and warns of nothing."""

import warnings

import numpy as np
import pytest
from matplotlib import pyplot

from stages.common.drawing import LABEL, drawing, label


def test_a_picture_is_opaque_white_and_the_same_again(tmp_path):
    for name in ("one.png", "again.png"):
        with drawing(tmp_path / name, 2, 2, 1) as axes:
            assert len(axes) == 2
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    pixels = pyplot.imread(tmp_path / "one.png")
    assert pixels.shape == (120, 2 * 2 * 120, 4)
    assert (pixels[0, 0] == 1).all()


def test_a_name_is_no_formula_and_letters_that_no_font_has_warn_of_nothing(tmp_path):
    with warnings.catch_warnings(action="error"), drawing(tmp_path / "a.png", 1, 2, 1) as (axes,):
        axes.set_title("$x$ \U0001f941")
        assert axes.title.get_parse_math() is False


def test_what_fails_leaves_no_picture_and_no_figure_open(tmp_path):
    (tmp_path / "a.png").write_bytes(b"kept")
    with pytest.raises(ZeroDivisionError), drawing(tmp_path / "a.png", 1, 2, 1):
        raise ZeroDivisionError
    assert (tmp_path / "a.png").read_bytes() == b"kept"
    assert pyplot.get_fignums() == []


def test_a_label_is_one_line_and_not_too_long():
    assert label("a\nb") == "a\\nb"
    assert label("c" * 100) == "c" * (LABEL - 1) + "…"
    assert np.unique([len(label("d" * n)) for n in (LABEL, LABEL + 1)]) == LABEL
