"""The timeline of a song: the classes' probabilities, stacked over its time."""

import numpy as np
from drawn import legend

from stages.common.drawing import COLOURS
from stages.listening.timeline import timeline


def test_a_timeline_stacks_the_classes_up_to_the_end_of_the_last_second(tmp_path, panels):
    """The legend names them from the top one down."""
    starts, probabilities = np.array([0, 0.5, 1]), np.array([[0.1, 0.9], [0.6, 0.4], [0.3, 0.7]])
    timeline(tmp_path / "a.png", "a song", starts, probabilities, ["blues", "_rock"])
    (axes,) = panels()
    lower, upper = (area.get_paths()[0] for area in axes.collections)
    for time, share in ((0.25, 0.1), (0.75, 0.6), (1.25, 0.3), (1.9, 0.3)):
        assert lower.contains_point((time, share - 0.01))
        assert upper.contains_point((time, share + 0.01))
        assert upper.contains_point((time, 0.99))
    assert all(len(area.get_paths()) == 1 for area in axes.collections)
    assert (axes.get_title(), axes.get_xlim(), axes.get_ylim()) == ("a song", (0, 2), (0, 1))
    assert list(legend(axes).items()) == [
        (COLOURS[1].lower(), "_rock"), (COLOURS[0].lower(), "blues")
    ]  # fmt: skip
    assert [axes.xaxis.get_major_formatter()(second) for second in (0, 61, 3600)] == ["0:00", "1:01", "60:00"]


def test_silent_stretches_are_blank_and_a_second_between_them_is_drawn(tmp_path, panels):
    probabilities = np.full((6, 2), np.nan)
    probabilities[[1, 4, 5]] = [0.25, 0.75]
    timeline(tmp_path / "a.png", "a song", np.arange(6), probabilities, ["blues", "rock"])
    (axes,) = panels()
    spans = [(0, 1, False), (1, 2, True), (2, 4, False), (4, 6, True)]
    for area, share in zip(axes.collections, (0.1, 0.9), strict=True):
        for start, end, drawn in spans:
            for time in (start + 0.01, end - 0.01):
                assert any(path.contains_point((time, share)) for path in area.get_paths()) == drawn, time
    assert axes.get_xlim() == (0, 6)


def test_classes_beyond_the_colours_are_striped(tmp_path, panels):
    """As on the page: 32 classes look different."""
    classes = [f"genre {number}" for number in range(32)]
    timeline(tmp_path / "a.png", "a song", np.arange(2), np.full((2, 32), 1 / 32), classes)
    (axes,) = panels()
    looks = [(tuple(area.get_facecolor().ravel()), area.get_hatch()) for area in axes.collections]
    assert len(set(looks)) == 32
    assert {hatch for _, hatch in looks[: len(COLOURS)]} == {None}
    entries = axes.get_legend().get_patches()[::-1]
    assert [(entry.get_facecolor(), entry.get_hatch()) for entry in entries] == looks
