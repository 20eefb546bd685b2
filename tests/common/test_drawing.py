"""Drawing: a picture is PNG on white, the same again; what somebody named is shown as it is, and warns of nothing."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from conftest import ROOT
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager
from matplotlib.image import imread

from stages.common.drawing import LABEL, drawing, label


def test_a_picture_is_opaque_white_and_the_same_again(tmp_path):
    for name in ("one.png", "again.png"):
        with drawing(tmp_path / name, 2, 2, 1) as axes:
            assert len(axes) == 2
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    pixels = imread(tmp_path / "one.png")
    assert pixels.shape == (120, 2 * 2 * 120, 4)
    assert (pixels[0, 0] == 1).all()


def test_a_name_is_no_formula(tmp_path):
    with drawing(tmp_path / "a.png", 1, 2, 1) as (axes,):
        axes.set_title("$x$")
        assert axes.title.get_parse_math() is False


@pytest.fixture
def font(tmp_path):
    """An installed font of one letter, a filled square for a letter that Unicode does not have."""
    builder = FontBuilder(1000)
    pen = TTGlyphPen(None)
    for number, point in enumerate([(0, 0), (0, 1000), (1000, 1000), (1000, 0)]):
        (pen.lineTo if number else pen.moveTo)(point)
    pen.closePath()
    square, empty = pen.glyph(), TTGlyphPen(None).glyph()
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord("\u0378"): "square"})
    builder.setupGlyf({".notdef": empty, "square": square})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "square": (1000, 0)})
    builder.setupHorizontalHeader(ascent=1000, descent=0)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=1000)
    builder.setupPost()
    builder.save(tmp_path / "squares.ttf")
    before = list(fontManager.ttflist)
    fontManager.addfont(tmp_path / "squares.ttf")
    yield
    fontManager.ttflist[:] = before
    fontManager._findfont_cached.cache_clear()


def drawn(path, title):
    with warnings.catch_warnings(action="error"), drawing(path, 1, 2, 1) as (axes,):
        axes.set_title(title)
        axes.set_axis_off()
    return imread(path)[..., 0] == 0


def test_a_letter_is_taken_from_whichever_font_has_it(tmp_path, font, capsys):
    square = drawn(tmp_path / "a.png", "\u0378")
    assert capsys.readouterr().err == ""
    rows, columns = (np.flatnonzero(square.any(axis=axis)) for axis in (1, 0))
    assert len(rows) > 10
    assert square[rows[1] : rows[-1], columns[1] : columns[-1]].all(), "a filled square"


def test_letters_that_no_font_has_are_reported(tmp_path, capsys):
    drawn(tmp_path / "a.png", "blues \u0378\u0379\u0378")
    told = f"{tmp_path / 'a.png'}: no font has \\u0378, \\u0379; install one, say Noto Sans\n"
    assert capsys.readouterr().err == told
    drawn(tmp_path / "b.png", "blues")
    assert capsys.readouterr().err == ""


def test_what_fails_leaves_the_picture_that_was_there(tmp_path):
    (tmp_path / "a.png").write_bytes(b"kept")
    with pytest.raises(ZeroDivisionError), drawing(tmp_path / "a.png", 1, 2, 1):
        raise ZeroDivisionError
    assert (tmp_path / "a.png").read_bytes() == b"kept"


def test_a_label_is_one_line_and_not_too_long():
    assert label("a\nb") == "a\\nb"
    assert label("c" * 100) == "c" * (LABEL - 1) + "…"
    assert np.unique([len(label("d" * n)) for n in (LABEL, LABEL + 1)]) == LABEL


def test_a_home_that_may_not_be_written_to_is_nobodys_trouble(tmp_path):
    """A file stands for it: root may write into any folder."""
    (tmp_path / "home").write_text("")
    code = (
        "from pathlib import Path; from stages.common.drawing import drawing\nwith drawing(Path('a.png'), 1, 2, 1): 0"
    )
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), str(tmp_path / "home"))
    environment = os.environ | homes | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
