"""The composer: any piece alone, the same every time, and all of it playable."""

import pytest

from stages.corpus.composer import MAX_PITCH, PATTERNS, compose
from stages.corpus.styles import GENRES, STYLES
from stages.corpus.synth import DRUMS, VOICES


def test_a_piece_depends_on_nothing_but_its_arguments():
    alone = compose("blues", 7, seed=3, seconds=8)
    for index in (0, 7, 2):
        compose("rock", index, seed=3, seconds=8)
    assert compose("blues", 7, seed=3, seconds=8) == alone
    assert compose("blues", 8, seed=3, seconds=8) != alone
    assert compose("blues", 7, seed=4, seconds=8) != alone


@pytest.mark.parametrize("genre", GENRES)
def test_pieces_fill_their_time_with_playable_notes(genre):
    styles = set()
    for index in range(40):
        piece = compose(genre, index, seed=1, seconds=8)
        styles.add(piece.style)
        assert all(note.voice in VOICES or note.voice in DRUMS for note in piece.notes)
        assert all(24 <= note.pitch <= MAX_PITCH for note in piece.notes)
        assert all(note.seconds > 0 and 0 < note.velocity <= 1 for note in piece.notes)
        assert max(note.start + note.seconds for note in piece.notes) > 6
    assert styles == set(STYLES[genre])


def test_styles_name_patterns_that_exist():
    assert {part[0] for styles in STYLES.values() for style in styles.values() for part in style.parts} <= set(PATTERNS)
