"""The styles of the demo corpus, as tables: what the pieces of one style have in common.

A genre is a few weighted styles, some leaning towards a neighbour (pop ballad, electric blues, acoustic rock); every
piece draws its own details from its style.
"""

from typing import NamedTuple

CHORDS = {"maj": (0, 4, 7), "min": (0, 3, 7), "7": (0, 4, 7, 10), "5": (0, 7, 12), "dim": (0, 3, 6)}

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 11),
    "pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
}

# One chord a bar, as semitones above the key and a quality; a piece draws one of several.
HARMONIES = {
    "cadences": ("0:maj 5:maj 7:7 0:maj", "0:maj 9:min 2:min 7:7", "0:maj 2:min 11:dim 0:maj"),
    "minor cadences": ("0:min 5:min 7:7 0:min", "0:min 8:maj 2:dim 7:7"),
    "pop": ("0:maj 7:maj 9:min 5:maj", "9:min 5:maj 0:maj 7:maj", "0:maj 9:min 5:maj 7:maj"),
    "rock": ("0:5 10:5 5:5 0:5", "0:5 8:5 10:5 0:5", "0:5 5:5 7:5 5:5"),
    "twelve bars": (
        "0:7 0:7 0:7 0:7 5:7 5:7 0:7 0:7 7:7 5:7 0:7 7:7",
        "0:7 5:7 0:7 0:7 5:7 5:7 0:7 0:7 7:7 5:7 0:7 7:7",
    ),
}

# Which sixteenths of a bar each drum strikes; where the beat swings, they swing with it.
BEATS = {
    "soft": {"kick": (0, 8), "rim": (4, 12), "hat": (0, 4, 8, 12)},
    "pop": {"kick": (0, 6, 8), "snare": (4, 12), "hat": tuple(range(0, 16, 2))},
    "dance": {"kick": (0, 4, 8, 12), "snare": (4, 12), "hat": (2, 6, 10, 14)},
    "rock": {"kick": (0, 8, 10), "snare": (4, 12), "hat": tuple(range(0, 16, 2))},
    "punk": {"kick": (0, 2, 6, 8, 10, 14), "snare": (4, 12), "crash": tuple(range(0, 16, 4))},
    "shuffle": {"kick": (0, 8), "snare": (4, 12), "hat": (0, 2, 4, 6, 8, 10, 12, 14)},
    "brushes": {"kick": (0,), "rim": (4, 12), "hat": (0, 4, 6, 8, 12, 14)},
    "timpani": {"timpani": (0, 8)},
}

# Two lines a style; numbers in pairs are ranges to draw from. Tempo: beats a minute. Swing: where the off-beat eighth
# falls in the beat. Drive: distortion of the electric guitars. Parts: a pattern, the voices that may play it, and how
# likely it plays in any two bars.
TABLE = """
classical | strings    | 3      | 60 130  | cadences       | major            | none    | 0.5   | 0 0   | 0.2 0.5
    sustain: strings 1, melody: strings/flute 0.9, bass: strings 0.8
classical | piano      | 3      | 60 150  | minor cadences | minor            | none    | 0.5   | 0 0   | 0.1 0.4
    arpeggio: piano 0.9, melody: piano 0.9, bass: piano 0.5
classical | orchestra  | 2      | 70 140  | cadences       | major            | timpani | 0.5   | 0 0   | 0.3 0.6
    sustain: strings/brass 1, melody: brass/flute 0.8, arpeggio: strings/flute 0.5, bass: strings 0.9
classical | guitar     | 1.5    | 60 120  | minor cadences | minor            | none    | 0.5   | 0 0   | 0.05 0.25
    arpeggio: nylon 1, melody: nylon/flute 0.7, bass: nylon 0.6
classical | organ      | 1      | 60 110  | cadences       | major            | none    | 0.5   | 0 0   | 0.3 0.6
    sustain: organ 0.8, melody: organ 1, bass: organ 0.8
pop       | synth      | 3      | 95 130  | pop            | pentatonic       | dance   | 0.5   | 0 0   | 0.05 0.25
    sustain: pad 0.9, eighths: synth bass 1, melody: lead/voice 0.8
pop       | ballad     | 2      | 65 95   | pop            | major            | soft    | 0.5   | 0 0   | 0.1 0.4
    arpeggio: piano 0.9, sustain: strings/pad 0.6, melody: voice/piano 0.8, bass: bass 0.7
pop       | acoustic   | 2      | 85 125  | pop            | pentatonic       | soft    | 0.5   | 0 0   | 0.05 0.25
    strum: steel/nylon 1, bass: bass 0.8, melody: voice/flute 0.8
pop       | band       | 2      | 100 140 | pop            | pentatonic       | pop     | 0.5   | 0 3   | 0.05 0.25
    strum: electric/steel 0.9, sustain: pad/organ 0.5, eighths: bass 1, melody: voice/lead 0.8
rock      | hard       | 3      | 100 150 | rock           | minor pentatonic | rock    | 0.5   | 6 20  | 0.05 0.25
    eighths chords: electric 1, eighths: bass 1, melody: electric 0.5
rock      | classic    | 2      | 90 140  | rock           | blues            | rock    | 0.5   | 2 9   | 0.05 0.25
    strum: electric 0.9, sustain: organ 0.5, eighths: bass 1, melody: electric/voice 0.7
rock      | acoustic   | 1.5    | 90 135  | rock           | minor pentatonic | pop     | 0.5   | 1 6   | 0.05 0.25
    strum: steel 1, eighths: bass 0.9, melody: voice/electric 0.7
rock      | punk       | 1.5    | 150 190 | rock           | pentatonic       | punk    | 0.5   | 5 20  | 0.05 0.25
    eighths chords: electric 1, eighths: bass 1, melody: voice 0.5
rock      | blues rock | 1      | 95 135  | twelve bars    | blues            | shuffle | 0.62  | 4 12  | 0.05 0.25
    boogie: electric 1, walking bass: bass 0.9, melody: electric 0.8
blues     | shuffle    | 3      | 85 135  | twelve bars    | blues            | shuffle | 0.66  | 0.5 4 | 0.05 0.25
    boogie: electric/steel 0.9, walking bass: bass 0.9, melody: electric/harmonica 0.8
blues     | slow       | 2      | 55 80   | twelve bars    | blues            | brushes | 0.66  | 0.5 4 | 0.05 0.25
    sustain: organ 0.7, strum: piano 0.6, walking bass: bass 0.9, melody: electric 1
blues     | delta      | 2      | 70 115  | twelve bars    | blues            | none    | 0.64  | 0 0   | 0.05 0.25
    boogie: steel 1, melody: steel/harmonica/voice 0.8, bass: steel 0.5
blues     | electric   | 1.5    | 95 130  | twelve bars    | minor pentatonic | rock    | 0.6   | 1 7   | 0.05 0.25
    strum: electric 0.9, walking bass: bass 1, melody: electric/voice 0.8, sustain: organ/brass 0.4
blues     | piano      | 1.5    | 90 150  | twelve bars    | blues            | brushes | 0.66  | 0 0   | 0.05 0.25
    boogie: piano 1, melody: piano/harmonica 0.9, walking bass: bass 0.6
"""


class Style(NamedTuple):
    """A style; chords, scales and beats are named."""

    weight: float
    tempo: tuple[float, float]
    harmony: str
    scale: str
    beat: str
    swing: float
    drive: tuple[float, float]
    reverb: tuple[float, float]
    parts: tuple[tuple[str, tuple[str, ...], float], ...]


def read_styles(table: str) -> dict[str, dict[str, Style]]:
    """Return the styles of a table by genre and name."""
    lines, styles = table.strip().split("\n"), {}
    for line, parts in zip(lines[::2], lines[1::2], strict=True):
        genre, name, weight, tempo, harmony, scale, beat, swing, *ranges = (cell.strip() for cell in line.split("|"))
        tempo, drive, reverb = (tuple(map(float, each.split())) for each in (tempo, *ranges))
        playing = tuple(map(read_part, parts.split(",")))
        style = Style(float(weight), tempo, harmony, scale, beat, float(swing), drive, reverb, playing)
        styles.setdefault(genre, {})[name] = style
    return styles


def read_part(text: str) -> tuple[str, tuple[str, ...], float]:
    """Return pattern, voices and probability of "pattern: voice/voice 0.9"."""
    pattern, played = text.strip().split(": ")
    voices, probability = played.rsplit(" ", 1)
    return pattern, tuple(voices.split("/")), float(probability)


def read_harmony(text: str) -> list[tuple[int, str]]:
    """Return semitones above the key and quality of each chord of "0:maj 5:min"."""
    return [(int(root), quality) for root, quality in (chord.split(":") for chord in text.split())]


STYLES = read_styles(TABLE)
GENRES = tuple(sorted(STYLES))
