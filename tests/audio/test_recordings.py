"""recordings: known again in other encodings and cut, and no other music is taken for them."""

from itertools import pairwise

import numpy as np
import pytest
import soxr
from audio.written import write

from stages import demo
from stages.audio.decode import read_blocks
from stages.audio.ffmpeg import open_sound
from stages.audio.recordings import N_BANDS, Energies, find_alike, first_copies
from stages.corpus.styles import GENRES

RATE = 44100


def words_of(blocks, rate):
    energies = Energies(rate)
    for block in blocks:
        energies.add(block)
    return energies.words()


@pytest.fixture(scope="module")
def songs():
    """Six pieces of music of 32 seconds, at 44.1 kHz, of several tracks of the demo's each."""
    tracks = [[demo.sound(genre, number) for number in range(6)] for genre in GENRES]
    whole = [np.concatenate(each) / 32768 for each in zip(*tracks, strict=True)]
    return [soxr.resample(song, demo.RATE, RATE) for song in whole]


@pytest.mark.parametrize("rate", [8000, 22050])
def test_a_recording_is_known_in_other_encodings_and_cut_and_nothing_else_is_taken_for_it(songs, tmp_path, rate):
    """From the start, from elsewhere, 15 seconds alone; whichever comes first."""
    files = []

    def add(name, sound):
        write(tmp_path / name, sound, f"a.{name.rsplit('.')[-1]}")
        files.append(tmp_path / name)

    first = songs[0]
    add("clip.opus", soxr.resample(first[int(14.4 * RATE) : int(29.4 * RATE)], RATE, 48000))
    for i, song in enumerate(songs):
        add(f"{i}.wav", song)
    add("whole.mp3", first)
    add("whole, softer.ogg", first / 4)
    add("cut.m4a", first[int(3.37 * RATE) :])
    words = []
    for path in files:
        with open_sound(path) as sound:
            words.append(words_of(read_blocks(sound.pieces(), rate), rate))
    of_first = {"0.wav", "whole.mp3", "whole, softer.ogg", "cut.m4a"}
    assert {files[one].name: files[other].name for one, other in find_alike(words).items()} == dict.fromkeys(
        of_first, "clip.opus"
    )


def test_a_word_says_how_neighbouring_bands_change(songs):
    """As loops over frames and bands give it, in pieces of any length; other blocks, the same words."""
    rate = 8000
    sound = soxr.resample(songs[1], RATE, rate)[: 3 * rate].astype(np.float32)
    edges = [300 * (2000 / 300) ** (band / N_BANDS) for band in range(N_BANDS + 1)]
    frequency = np.arange(2001) * rate / 4000
    energies = []
    for start in range(0, len(sound) - 3999, 1000):
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(4000) / 3999)
        power = np.abs(np.fft.rfft(sound[start : start + 4000] * window)) ** 2
        bands = pairwise(edges)
        energies.append([np.log(power[(low <= frequency) & (frequency < high)].sum() + 1e-6) for low, high in bands])
    expected = []
    for before, now in pairwise(energies):
        bits = [now[i + 1] - now[i] > before[i + 1] - before[i] for i in range(N_BANDS - 1)]
        expected.append(int("".join(map(str, map(int, bits))), 2))
    for pieces in (1, 7, 60):
        assert words_of(np.array_split(sound, pieces), rate).tolist() == expected


def test_silence_and_what_is_short_are_nothing_to_know_a_recording_by(songs):
    silence = np.zeros(30 * RATE)
    padded = [np.concatenate(parts) for parts in ((songs[0], silence), (silence, songs[1]), (silence, songs[2]))]
    short = [song[: 9 * RATE] for song in (songs[3], songs[3])]
    assert find_alike([words_of([sound.astype(np.float32)], RATE) for sound in [*padded, *short]]) == {}
    assert find_alike([words_of([], RATE)] * 2) == find_alike([]) == {}


def test_a_sound_is_the_first_that_is_one_recording_with_it(songs):
    """Of those known, none is compared with another; of the others, none with any but them."""
    first, other = (text_of(song) for song in songs[:2])
    cut, short = text_of(songs[0][2 * RATE :]), text_of(songs[0][: 9 * RATE])
    texts = {"first": first, "cut": cut, "other": other, "short": short, "cut of other": text_of(songs[1][RATE:])}
    of_itself = dict(zip(texts, texts, strict=True))
    assert first_copies(texts) == of_itself | {"cut": "first", "cut of other": "other"}
    assert first_copies(texts, known=3) == of_itself | {"cut of other": "other"}
    assert first_copies(texts, known=1) == of_itself | {"cut": "first"}
    assert first_copies({}) == {}


def text_of(song):
    energies = Energies(RATE)
    assert sum(map(len, energies.through(np.array_split(song.astype(np.float32), 5)))) == len(song)
    return energies.text()
