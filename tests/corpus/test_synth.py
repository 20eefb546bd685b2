"""The synthesiser: in tune, never clipped, as loud as asked, and the same int16 samples on every machine."""

import hashlib

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from stages.corpus.composer import Piece, compose
from stages.corpus.styles import GENRES
from stages.corpus.synth import DRUMS, RATE, VOICES, render, tone


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("pitch", [45, 57, 69])
def test_voices_are_in_tune_to_two_cents(voice, pitch):
    sound = tone(voice, pitch)[RATE // 10 : RATE // 10 + RATE]
    asked = 440 * 2 ** ((pitch - 69) / 12)
    t = np.arange(len(sound)) / RATE
    window = np.hanning(len(sound))

    def minus_strength(cents):
        return -abs(np.sum(window * sound * np.exp(-2j * np.pi * asked * 2 ** (cents / 1200) * t)))

    grid = np.arange(-60, 61, 2.0)
    coarse = min(grid, key=minus_strength)
    cents = minimize_scalar(minus_strength, bounds=(coarse - 2, coarse + 2), method="bounded").x
    assert abs(cents) < 2


@pytest.mark.parametrize("name", [*VOICES, *DRUMS])
def test_notes_in_the_bank_are_loud_and_finite(name):
    sound = tone(name, 60)
    assert np.isfinite(sound).all()
    assert 0.1 < np.abs(sound).max() < 1.2


@pytest.mark.parametrize("genre", GENRES)
def test_tracks_do_not_clip_and_are_as_loud_as_drawn(genre):
    for index in range(5):
        piece = compose(genre, index, seed=1, seconds=8)
        sound = render(piece, 8)
        assert sound.shape == (8 * RATE,)
        assert sound.dtype == np.int16
        assert np.abs(sound.astype(int)).max() < 32767
        loudness = 20 * np.log10(np.sqrt(np.mean((sound / 32768) ** 2)))
        assert loudness == pytest.approx(piece.production["level_db"], abs=1.5)
        seconds = (sound.reshape(8, RATE) / 32768) ** 2
        assert (seconds.mean(axis=1) > 1e-8).all()


def test_a_piece_without_notes_is_as_silent_as_its_noise_floor():
    production = compose("pop", 0, seed=1, seconds=1).production | {"noise_db": -60}
    sound = render(Piece("pop", "none", [], production, noise_seed=1), 1) / 32768
    assert 20 * np.log10(sound.std()) == pytest.approx(-60, abs=0.5)


def test_the_samples_are_the_same_everywhere():
    sounds = b"".join(render(compose(genre, 0, seed=1, seconds=2), 2).tobytes() for genre in GENRES)
    assert hashlib.sha256(sounds).hexdigest() == "e4ae547c6e7ec893bcd9ce5ff198acf06e2f266dcbfc2638b8df6db5093f2dad"
