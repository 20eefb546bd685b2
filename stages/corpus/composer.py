"""Compose the demo corpus: short pieces in the manner of four genres, as lists of notes.

Every piece is drawn from `random.Random(f"{seed}/{genre}/{index}")`, so that any of them can be made alone, in any
process and in any order. A genre is a few weighted styles, some leaning towards a neighbour (pop ballad, electric
blues, acoustic rock); a style is a tempo, a harmony, a scale and the parts that play. Pitches are MIDI numbers, times
are seconds.
"""

from random import Random
from typing import NamedTuple

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


class Style(NamedTuple):
    """What the pieces of one style have in common; every piece draws its own details from it."""

    weight: float
    tempo: tuple[int, int]  # beats a minute
    harmony: str
    scale: str
    parts: tuple[tuple[str, tuple[str, ...], float], ...]  # pattern, voices to draw from, probability in each two bars
    beat: str = ""
    swing: float = 0.5  # where the off-beat eighth falls in the beat
    drive: tuple[float, float] = (0.0, 0.0)  # distortion of the electric guitars
    reverb: tuple[float, float] = (0.05, 0.25)


CHORDS = {"maj": (0, 4, 7), "min": (0, 3, 7), "7": (0, 4, 7, 10), "5": (0, 7, 12), "dim": (0, 3, 6)}

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 11),
    "pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
}

# One chord a bar, as semitones above the key and a quality.
HARMONIES = {
    "cadences": (
        ((0, "maj"), (5, "maj"), (7, "7"), (0, "maj")),
        ((0, "maj"), (9, "min"), (2, "min"), (7, "7")),
        ((0, "maj"), (2, "min"), (11, "dim"), (0, "maj")),
    ),
    "minor cadences": (
        ((0, "min"), (5, "min"), (7, "7"), (0, "min")),
        ((0, "min"), (8, "maj"), (2, "dim"), (7, "7")),
    ),
    "pop": (
        ((0, "maj"), (7, "maj"), (9, "min"), (5, "maj")),
        ((9, "min"), (5, "maj"), (0, "maj"), (7, "maj")),
        ((0, "maj"), (9, "min"), (5, "maj"), (7, "maj")),
    ),
    "rock": (
        ((0, "5"), (10, "5"), (5, "5"), (0, "5")),
        ((0, "5"), (8, "5"), (10, "5"), (0, "5")),
        ((0, "5"), (5, "5"), (7, "5"), (5, "5")),
    ),
    "twelve bars": (
        tuple((root, "7") for root in (0, 0, 0, 0, 5, 5, 0, 0, 7, 5, 0, 7)),
        tuple((root, "7") for root in (0, 5, 0, 0, 5, 5, 0, 0, 7, 5, 0, 7)),
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

STYLES = {
    "classical": {
        "strings": Style(
            3,
            (60, 130),
            "cadences",
            "major",
            (("sustain", ("strings",), 1), ("melody", ("strings", "flute"), 0.9), ("bass", ("strings",), 0.8)),
            reverb=(0.2, 0.5),
        ),
        "piano": Style(
            3,
            (60, 150),
            "minor cadences",
            "minor",
            (("arpeggio", ("piano",), 0.9), ("melody", ("piano",), 0.9), ("bass", ("piano",), 0.5)),
            reverb=(0.1, 0.4),
        ),
        "orchestra": Style(
            2,
            (70, 140),
            "cadences",
            "major",
            (
                ("sustain", ("strings", "brass"), 1),
                ("melody", ("brass", "flute"), 0.8),
                ("arpeggio", ("strings", "flute"), 0.5),
                ("bass", ("strings",), 0.9),
            ),
            beat="timpani",
            reverb=(0.3, 0.6),
        ),
        "guitar": Style(
            1.5,
            (60, 120),
            "minor cadences",
            "minor",
            (("arpeggio", ("nylon",), 1), ("melody", ("nylon", "flute"), 0.7), ("bass", ("nylon",), 0.6)),
        ),
        "organ": Style(
            1,
            (60, 110),
            "cadences",
            "major",
            (("sustain", ("organ",), 0.8), ("melody", ("organ",), 1), ("bass", ("organ",), 0.8)),
            reverb=(0.3, 0.6),
        ),
    },
    "pop": {
        "synth": Style(
            3,
            (95, 130),
            "pop",
            "pentatonic",
            (("sustain", ("pad",), 0.9), ("eighths", ("synth bass",), 1), ("melody", ("lead", "voice"), 0.8)),
            beat="dance",
        ),
        "ballad": Style(
            2,
            (65, 95),
            "pop",
            "major",
            (
                ("arpeggio", ("piano",), 0.9),
                ("sustain", ("strings", "pad"), 0.6),
                ("melody", ("voice", "piano"), 0.8),
                ("bass", ("bass",), 0.7),
            ),
            beat="soft",
            reverb=(0.1, 0.4),
        ),
        "acoustic": Style(
            2,
            (85, 125),
            "pop",
            "pentatonic",
            (("strum", ("steel", "nylon"), 1), ("bass", ("bass",), 0.8), ("melody", ("voice", "flute"), 0.8)),
            beat="soft",
        ),
        "band": Style(
            2,
            (100, 140),
            "pop",
            "pentatonic",
            (
                ("strum", ("electric", "steel"), 0.9),
                ("sustain", ("pad", "organ"), 0.5),
                ("eighths", ("bass",), 1),
                ("melody", ("voice", "lead"), 0.8),
            ),
            beat="pop",
            drive=(0.0, 3.0),
        ),
    },
    "rock": {
        "hard": Style(
            3,
            (100, 150),
            "rock",
            "minor pentatonic",
            (("eighths chords", ("electric",), 1), ("eighths", ("bass",), 1), ("melody", ("electric",), 0.5)),
            beat="rock",
            drive=(6, 20),
        ),
        "classic": Style(
            2,
            (90, 140),
            "rock",
            "blues",
            (
                ("strum", ("electric",), 0.9),
                ("sustain", ("organ",), 0.5),
                ("eighths", ("bass",), 1),
                ("melody", ("electric", "voice"), 0.7),
            ),
            beat="rock",
            drive=(2, 9),
        ),
        "acoustic": Style(
            1.5,
            (90, 135),
            "rock",
            "minor pentatonic",
            (("strum", ("steel",), 1), ("eighths", ("bass",), 0.9), ("melody", ("voice", "electric"), 0.7)),
            beat="pop",
            drive=(1, 6),
        ),
        "punk": Style(
            1.5,
            (150, 190),
            "rock",
            "pentatonic",
            (("eighths chords", ("electric",), 1), ("eighths", ("bass",), 1), ("melody", ("voice",), 0.5)),
            beat="punk",
            drive=(5, 20),
        ),
        "blues rock": Style(
            1,
            (95, 135),
            "twelve bars",
            "blues",
            (("boogie", ("electric",), 1), ("walking bass", ("bass",), 0.9), ("melody", ("electric",), 0.8)),
            beat="shuffle",
            swing=0.62,
            drive=(4, 12),
        ),
    },
    "blues": {
        "shuffle": Style(
            3,
            (85, 135),
            "twelve bars",
            "blues",
            (
                ("boogie", ("electric", "steel"), 0.9),
                ("walking bass", ("bass",), 0.9),
                ("melody", ("electric", "harmonica"), 0.8),
            ),
            beat="shuffle",
            swing=0.66,
            drive=(0.5, 4),
        ),
        "slow": Style(
            2,
            (55, 80),
            "twelve bars",
            "blues",
            (
                ("sustain", ("organ",), 0.7),
                ("strum", ("piano",), 0.6),
                ("walking bass", ("bass",), 0.9),
                ("melody", ("electric",), 1),
            ),
            beat="brushes",
            swing=0.66,
            drive=(0.5, 4),
        ),
        "delta": Style(
            2,
            (70, 115),
            "twelve bars",
            "blues",
            (("boogie", ("steel",), 1), ("melody", ("steel", "harmonica", "voice"), 0.8), ("bass", ("steel",), 0.5)),
            swing=0.64,
        ),
        "electric": Style(
            1.5,
            (95, 130),
            "twelve bars",
            "minor pentatonic",
            (
                ("strum", ("electric",), 0.9),
                ("walking bass", ("bass",), 1),
                ("melody", ("electric", "voice"), 0.8),
                ("sustain", ("organ", "brass"), 0.4),
            ),
            beat="rock",
            swing=0.6,
            drive=(1, 7),
        ),
        "piano": Style(
            1.5,
            (90, 150),
            "twelve bars",
            "blues",
            (("boogie", ("piano",), 1), ("melody", ("piano", "harmonica"), 0.9), ("walking bass", ("bass",), 0.6)),
            beat="brushes",
            swing=0.66,
        ),
    },
}
GENRES = tuple(sorted(STYLES))

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
    harmony = rng.choice(HARMONIES[style.harmony])
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
        if style.beat and rng.random() < 0.95:
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
    "sustain": _sustain,
    "arpeggio": _arpeggio,
    "strum": _strum,
    "eighths chords": _eighths_chords,
    "boogie": _boogie,
    "bass": _bass,
    "eighths": _eighths,
    "walking bass": _walking_bass,
    "melody": _melody,
}


def _drums(rng: Random, beat: str, beats: int):
    return [
        (drum, sixteenth / 4, 1, 60, rng.uniform(0.6, 0.9))
        for drum, sixteenths in BEATS[beat].items()
        for sixteenth in sixteenths
        if sixteenth < 4 * beats and rng.random() < 0.95
    ]
