"""The tables of styles are read as they are written, and name only what there is."""

import pytest

from stages.corpus.composer import PATTERNS
from stages.corpus.styles import BEATS, CHORDS, HARMONIES, SCALES, STYLES, Style, read_harmony, read_styles
from stages.corpus.synth import DRUMS, VOICES


def test_a_style_is_read():
    table = """
jazz | trio | 1.5 | 60 130 | pop | major | none | 0.66 | 0 2 | 0.1 0.3
    walking bass: bass 0.9, melody: piano/voice 1
"""
    parts = (("walking bass", ("bass",), 0.9), ("melody", ("piano", "voice"), 1.0))
    assert read_styles(table) == {
        "jazz": {"trio": Style(1.5, (60, 130), "pop", "major", "none", 0.66, (0, 2), (0.1, 0.3), parts)}
    }
    with pytest.raises(ValueError, match="shorter"):
        read_styles("jazz | trio | 1.5 | 60 130 | pop | major | none | 0.66 | 0 2 | 0.1 0.3")


def test_a_harmony_is_read():
    assert read_harmony("0:maj 10:5 7:7") == [(0, "maj"), (10, "5"), (7, "7")]


def test_every_name_in_the_tables_is_known():
    styles = [style for own in STYLES.values() for style in own.values()]
    assert {style.harmony for style in styles} == set(HARMONIES)
    assert {style.scale for style in styles} == set(SCALES)
    assert {style.beat for style in styles} == {"none", *BEATS}
    assert {pattern for style in styles for pattern, _, _ in style.parts} == set(PATTERNS)
    assert {voice for style in styles for _, voices, _ in style.parts for voice in voices} <= set(VOICES)
    assert {quality for each in HARMONIES.values() for text in each for _, quality in read_harmony(text)} == set(CHORDS)
    assert {drum for beat in BEATS.values() for drum in beat} == set(DRUMS)
