"""Render the demo corpus: a piece becomes 16-bit sound at 16 kHz.

An instrument is a bank of notes, each rendered once a process and then cut to length and mixed: Karplus-Strong strings
(Karplus and Strong, Computer Music Journal 1983), additive voices, noise drums. Then distortion for the electric
guitars, equaliser, reverb, level and noise, as drawn by the composer.

The sound is quantised to int16 before anything else uses it: floats differ between processors in the last bits, the
quantised sound does not.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from stages.corpus.composer import Piece

RATE = 16000
LONGEST = 3 * RATE  # samples of a note in a bank


def render(piece: Piece, seconds: float) -> np.ndarray:
    """Return the piece's first `seconds` as mono int16, shape (seconds * 16000,)."""
    length = round(seconds * RATE)
    buses = {"clean": np.zeros(length), "guitar": np.zeros(length), "drums": np.zeros(length)}
    for note in piece.notes:
        start = round(note.start * RATE)
        sound = _sounding(note.voice, note.pitch, note.seconds)
        first, last = max(0, -start), min(len(sound), length - start)
        if first < last:
            bus = buses["drums" if note.voice in DRUMS else "guitar" if note.voice == "electric" else "clean"]
            bus[start + first : start + last] += note.velocity * sound[first:last]
    return _master(buses, piece)


def tone(voice: str, pitch: int) -> np.ndarray:
    """Return a note of a voice as it stands in the bank: 3 s, peak 1, shape (48000,)."""
    return DRUMS[voice]() if voice in DRUMS else VOICES[voice][0](pitch)


@cache
def _bank(voice: str, pitch: int) -> np.ndarray:
    return tone(voice, pitch).astype(np.float32)


def _sounding(voice: str, pitch: int, seconds: float) -> np.ndarray:
    """Cut a note of the bank to its length, with the voice's attack and release."""
    if voice in DRUMS:
        return _bank(voice, 0)
    _, attack, release = VOICES[voice]
    held = min(round(seconds * RATE), LONGEST - release)
    sound = _bank(voice, pitch)[: held + release].copy()
    sound[:attack] *= np.linspace(0, 1, attack)
    sound[-release:] *= np.linspace(1, 0, release)
    return sound


def _master(buses: dict[str, np.ndarray], piece: Piece) -> np.ndarray:
    from scipy.fft import irfft, next_fast_len, rfft

    production = piece.production
    guitar = buses["guitar"]
    if production["drive"] > 0:
        guitar = np.tanh(production["drive"] * guitar) / np.tanh(production["drive"])
    mix = buses["clean"] + guitar + 10 ** (production["drums_db"] / 20) * buses["drums"]
    n = next_fast_len(len(mix) + RATE)
    spectrum = rfft(mix, n) * _equaliser(n, production) * (1 + production["reverb"] * _room(n))
    sound = irfft(spectrum, n)[: len(mix)]
    sound *= 10 ** (production["level_db"] / 20) / (np.sqrt(np.mean(sound**2)) + 1e-9)
    hiss = np.random.default_rng(piece.noise_seed).random(len(sound)) - 0.5
    sound += 10 ** (production["noise_db"] / 20) * np.sqrt(12) * hiss
    loud = np.maximum(np.abs(sound) / 0.9, 1)  # nothing may clip: peaks above 0.9 are bent below 1
    sound = np.where(loud > 1, np.sign(sound) * (1 - 0.1 / loud), sound)
    return np.round(32767 * sound).astype(np.int16)


def _equaliser(n: int, production: dict[str, float]) -> np.ndarray:
    """Return the gain of each bin: a low shelf below 200 Hz, a bell at 1200 Hz, a high shelf above 2500 Hz."""
    octaves = np.log2(np.maximum(np.fft.rfftfreq(n, 1 / RATE), 20) / 1000)
    low = 1 / (1 + np.exp(4 * (octaves + 2.3)))
    bell = np.exp(-0.5 * ((octaves - 0.26) / 0.7) ** 2)
    high = 1 / (1 + np.exp(-4 * (octaves - 1.3)))
    gain = low * production["bass_db"] + bell * production["presence_db"] + high * production["treble_db"]
    return 10 ** (gain / 20)


@cache
def _room(n: int) -> np.ndarray:
    """Return the spectrum of a room's impulse response: 0.8 s of decaying noise."""
    from scipy.fft import rfft

    t = np.arange(int(0.8 * RATE)) / RATE
    answer = (np.random.default_rng(1).random(len(t)) - 0.5) * np.exp(-6 * t)
    return rfft(answer / np.sqrt(np.sum(answer**2)), n)


def _frequency(pitch: int) -> float:
    return 440 * 2 ** ((pitch - 69) / 12)


def _pluck(pitch: int, softness: float, sustain: float) -> np.ndarray:
    """Karplus-Strong: a burst of noise runs round a delay line of one period through a soft low-pass.

    The loop delays by P + 1 + s samples: P whole periods' samples, 1 for the symmetric low-pass (a, 1 - 2a, a), s by
    linear interpolation, so that the note is in tune to a cent.
    """
    period = RATE / _frequency(pitch)
    whole = int(period) - 1
    s = period - 1 - whole
    gain = 0.001 ** (1 / (sustain * _frequency(pitch)))  # 60 dB down after `sustain` seconds
    loop = gain * np.convolve((softness, 1 - 2 * softness, softness), (1 - s, s))
    noise = np.random.default_rng(pitch).random(whole + 3) - 0.5
    sound = np.zeros(LONGEST + whole + 3)
    sound[: whole + 3] = np.convolve(noise, (0.25, 0.5, 0.25), "same")
    for start in range(whole + 3, len(sound), whole):
        stop = min(start + whole, len(sound))
        sound[start:stop] = sum(c * sound[start - whole - j : stop - whole - j] for j, c in enumerate(loop))
    return _peak(sound[-LONGEST:] - sound[-LONGEST:].mean())


class Timbre(NamedTuple):
    """What an additive voice sounds like: harmonic k has the strength k**-roll_off."""

    roll_off: float
    odd: float  # weakens the even harmonics
    vibrato: float
    decay: float  # 1/s; damps harmonic k by decay * k
    breath: float


def _additive(pitch: int, timbre: Timbre) -> np.ndarray:
    """Sum harmonics."""
    roll_off, odd, vibrato, decay, breath = timbre
    t = np.arange(LONGEST) / RATE
    phase = 2 * np.pi * _frequency(pitch) * t + vibrato * _frequency(pitch) / 5 * np.sin(2 * np.pi * 5 * t)
    turn = np.exp(1j * phase - decay * t)  # harmonic k is its k-th power: Horner's rule needs one exp for all of them
    total = np.zeros(LONGEST, complex)
    for k in range(min(24, int(0.45 * RATE / _frequency(pitch))), 0, -1):
        total += k**-roll_off * (1 - odd if k % 2 == 0 else 1)
        total *= turn
    sound = total.imag
    sound = _peak(sound)
    return sound + breath * (np.random.default_rng(pitch).random(LONGEST) - 0.5) if breath else sound


def _peak(sound: np.ndarray) -> np.ndarray:
    return sound / np.abs(sound).max()


# voice: how a note sounds, its attack and its release in samples
VOICES = {
    "strings": (lambda pitch: _additive(pitch, Timbre(1.3, 0, 0.004, 0, 0.02)), 1200, 2400),
    "flute": (lambda pitch: _additive(pitch, Timbre(2.2, 0.3, 0.004, 0, 0.06)), 800, 1200),
    "brass": (lambda pitch: _additive(pitch, Timbre(0.9, 0, 0.002, 0, 0.01)), 600, 1200),
    "organ": (lambda pitch: _additive(pitch, Timbre(1.0, 0.4, 0, 0, 0)), 200, 800),
    "harmonica": (lambda pitch: _additive(pitch, Timbre(0.7, 0.3, 0.005, 0, 0.05)), 500, 800),
    "voice": (lambda pitch: _additive(pitch, Timbre(1.5, 0.1, 0.006, 0, 0.05)), 900, 1200),
    "pad": (lambda pitch: _additive(pitch, Timbre(1.1, 0, 0.002, 0, 0.01)), 2400, 3200),
    "lead": (lambda pitch: _additive(pitch, Timbre(0.8, 0.8, 0.003, 0, 0)), 100, 600),
    "synth bass": (lambda pitch: _additive(pitch, Timbre(1.0, 0, 0, 0.6, 0)), 50, 400),
    "piano": (lambda pitch: _additive(pitch, Timbre(1.4, 0, 0, 0.5, 0)), 40, 1600),
    "bass": (lambda pitch: _additive(pitch, Timbre(1.7, 0, 0, 0.6, 0)), 80, 600),
    "nylon": (lambda pitch: _pluck(pitch, 0.22, 3), 16, 800),
    "steel": (lambda pitch: _pluck(pitch, 0.06, 4), 16, 800),
    "electric": (lambda pitch: _pluck(pitch, 0.1, 6), 16, 600),
}


def _sweep(high: float, low: float, fall: float, decay: float) -> np.ndarray:
    t = np.arange(RATE // 2) / RATE
    phase = 2 * np.pi * (low * t + (high - low) / fall * (1 - np.exp(-fall * t)))
    return np.sin(phase) * np.exp(-decay * t)


def _noise(decay: float, bright: bool) -> np.ndarray:
    t = np.arange(RATE // 2) / RATE
    noise = np.random.default_rng(round(decay)).random(len(t)) - 0.5
    noise = np.diff(noise, n=2, prepend=0, append=0)[: len(t)] if bright else noise
    return _peak(noise * np.exp(-decay * t))


DRUMS = {
    "kick": lambda: _sweep(160, 48, 30, 12),
    "timpani": lambda: _sweep(110, 90, 10, 5),
    "snare": lambda: 0.5 * _sweep(240, 180, 20, 18) + 0.6 * _noise(16, bright=False),
    "rim": lambda: 0.4 * _sweep(900, 800, 20, 60) + 0.3 * _noise(45, bright=False),
    "hat": lambda: 0.35 * _noise(40, bright=True),
    "crash": lambda: 0.4 * _noise(7, bright=True),
}
