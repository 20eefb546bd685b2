"""Compose the demo corpus: short pieces in the manner of four genres, as lists of notes.

Every piece is drawn from `random.Random(f"{seed}/{genre}/{index}")`, so that any of them can be made alone, in any
process and in any order. Pitches are MIDI numbers, times are seconds.
"""

from random import Random
from typing import NamedTuple

from stages.corpus.styles import BEATS, CHORDS, HARMONIES, SCALES, STYLES, Style, read_harmony

MAX_PITCH = 88  # above it the voices have hardly a harmonic left at 8 kHz; higher notes go down by octaves


class Note(NamedTuple):
    """One note: when it starts and how long it lasts (seconds), what it is and how loud (0 to 1)."""

    voice: str
    start: float
    seconds: float
    pitch: int
    velocity: float


class Piece(NamedTuple):
    """A piece ready to be rendered: its notes, drums among them, and how it was recorded."""

    genre: str
    style: str
    notes: list[Note]
    production: dict[str, float]
    noise_seed: int


# How a genre is usually recorded: bass, presence and treble in dB, and the level of the noise.
RECORDINGS = {
    "classical": (-2, 0, -4, -72),
    "pop": (5, -3, 7, -75),
    "rock": (0, 5, 2, -70),
    "blues": (-3, 3, -8, -60),
}
SPREAD = 0.8  # how far single recordings stray from it: the strongest dial on the corpus's difficulty


def compose(genre: str, index: int, seed: int, seconds: float) -> Piece:
    """Return piece number `index` of a genre, at least `seconds` long; it depends on nothing but its arguments."""
    rng = Random(f"{seed}/{genre}/{index}")
    styles = STYLES[genre]
    name = rng.choices(list(styles), [style.weight for style in styles.values()])[0]
    style = styles[name]
    beat = 60 / rng.uniform(*style.tempo)
    beats = 3 if genre == "classical" and rng.random() < 0.3 else 4
    key = rng.randrange(12)
    harmony = read_harmony(rng.choice(HARMONIES[style.harmony]))
    entry = rng.randrange(len(harmony))
    swing = style.swing + rng.uniform(-0.02, 0.02)
    loudness = rng.uniform(0.55, 1)
    parts = [(pattern, rng.choice(voices), probability) for pattern, voices, probability in style.parts]
    density = rng.uniform(0.35, 0.9)

    notes: list[Note] = []
    start, bar = -rng.uniform(0, beats * beat), 0  # the piece is cut anywhere, not only at a bar line
    playing = parts
    while start < seconds:
        if bar % 2 == 0:
            playing = [part for part in parts if rng.random() < part[2]] or parts[:1]
        root, quality = harmony[(entry + bar) % len(harmony)]
        chord = [key + root + step for step in CHORDS[quality]]
        scale = [key + step for step in SCALES[style.scale]]
        events = [
            (voice, *event)
            for pattern, voice, _ in playing
            for event in PATTERNS[pattern](rng, chord, scale, beats, density)
        ]
        if style.beat != "none" and rng.random() < 0.95:
            events += _drums(rng, style.beat, beats)
        for voice, position, length, pitch, velocity in events:
            whole, fraction = divmod(position, 1)
            swung = fraction * 2 * swing if fraction < 0.5 else swing + (fraction - 0.5) * 2 * (1 - swing)
            late = rng.gauss(0, 0.006)
            at = start + (whole + swung) * beat + late
            octaves_too_high = max(0, -(-(pitch - MAX_PITCH) // 12))
            notes.append(Note(voice, at, length * beat, pitch - 12 * octaves_too_high, velocity * loudness))
        start += beats * beat
        bar += 1
    return Piece(genre, name, notes, _production(rng, genre, style), rng.getrandbits(32))


def _production(rng: Random, genre: str, style: Style) -> dict[str, float]:
    """Draw how the piece was recorded: around its genre's manner, as far from it as SPREAD says."""
    bass, presence, treble, noise = RECORDINGS[genre]
    return {
        "drive": rng.uniform(*style.drive),
        "reverb": rng.uniform(*style.reverb),
        "bass_db": rng.gauss(bass, 4 * SPREAD),
        "presence_db": rng.gauss(presence, 4 * SPREAD),
        "treble_db": rng.gauss(treble, 6 * SPREAD),
        "drums_db": rng.gauss(-3, 4 * SPREAD),
        "level_db": rng.uniform(-24, -14),
        "noise_db": rng.gauss(noise, 6 * SPREAD),
    }


def _near(pitch: int, centre: int) -> int:
    """Move a pitch by octaves to the nearest one to `centre`."""
    return pitch + 12 * round((centre - pitch) / 12)


# A pattern plays one bar: it returns (position in beats, length in beats, pitch, velocity) for each note. Its arguments
# are the piece's generator, the chord and the scale as pitches, the beats in the bar and how busy it is (0 to 1).


def _sustain(rng, chord, scale, beats, density):
    return [(0, beats, _near(pitch, 60), 0.4) for pitch in chord]


def _arpeggio(rng, chord, scale, beats, density):
    order = rng.choice(((0, 2, 1, 2), (0, 1, 2, 1), (2, 1, 0, 1)))
    return [(i / 2, 0.6, _near(chord[order[i % 4]], 60), 0.5) for i in range(2 * beats)]


def _strum(rng, chord, scale, beats, density):
    times = [i / 2 for i in range(2 * beats) if i == 0 or rng.random() < density]
    return [(at, 0.5, _near(p, 57), rng.uniform(0.35, 0.5)) for at in times for p in chord]


def _eighths_chords(rng, chord, scale, beats, density):
    return [(i / 2, 0.45, _near(chord[0], 45) + step, 0.6) for i in range(2 * beats) for step in (0, 7, 12)]


def _boogie(rng, chord, scale, beats, density):
    low = _near(chord[0], 45)
    return [(i / 2, 0.5, low + step, 0.5) for i in range(2 * beats) for step in (0, (7, 7, 9, 9, 10, 10, 9, 9)[i % 8])]


def _bass(rng, chord, scale, beats, density):
    return [(0, beats / 2, _near(chord[0], 40), 0.7), (beats / 2, beats / 2, _near(chord[rng.choice((0, 2))], 40), 0.6)]


def _eighths(rng, chord, scale, beats, density):
    return [(i / 2, 0.5, _near(chord[0], 38), 0.6) for i in range(2 * beats)]


def _walking_bass(rng, chord, scale, beats, density):
    steps = (chord[0], chord[1], chord[2], chord[0] + 9)
    return [(i, 0.95, _near(steps[i % 4], 40), 0.7) for i in range(beats)]


def _melody(rng, chord, scale, beats, density):
    degrees = [pitch + 12 * octave for octave in range(4, 8) for pitch in scale]
    place = rng.randrange(len(scale), 2 * len(scale))
    notes, at = [], 0.0
    while at < beats:
        length = rng.choice((0.5, 0.5, 1, 1, 1.5, 2))
        if rng.random() < density:
            notes.append((at, length, degrees[place], rng.uniform(0.5, 0.8)))
        place = min(max(place + rng.choice((-2, -1, -1, 0, 1, 1, 2)), 0), len(degrees) - 1)
        at += length
    return notes


PATTERNS = {
    pattern.__name__[1:].replace("_", " "): pattern
    for pattern in (_sustain, _arpeggio, _strum, _eighths_chords, _boogie, _bass, _eighths, _walking_bass, _melody)
}


def _drums(rng: Random, beat: str, beats: int):
    return [
        (drum, sixteenth / 4, 1, 60, rng.uniform(0.6, 0.9))
        for drum, sixteenths in BEATS[beat].items()
        for sixteenth in sixteenths
        if sixteenth < 4 * beats and rng.random() < 0.95
    ]
