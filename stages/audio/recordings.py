"""Recordings: one is known again in another encoding, or cut, by 16 bits for each eighth of a second of it.

A bit says whether the difference between two neighbouring bands' energies (ln, 17 bands from 300 to 2000 Hz, frames of
half a second) grows or falls: after Haitsma and Kalker, A Highly Robust Audio Fingerprinting System (ISMIR 2002). Two
stretches of 10 seconds or more are one recording if fewer than LIKE of their bits differ; of unrelated ones half would.
"""

from collections.abc import Iterable, Iterator

import numpy as np

N_BANDS = 17
FRAMES_A_SECOND = 8
LEAST = 10 * FRAMES_A_SECOND  # frames that two recordings have in common
LIKE = 0.35  # as there
CANDIDATES = 20  # places where most words are equal, which are compared bit by bit
SOFT = 1e-6  # of an energy, before its logarithm


class Energies:
    """The energies of a sound that comes in pieces: `words` then are what it is known by, `text` as JSON has them."""

    def __init__(self, sample_rate: int) -> None:
        """Expect sound at a sampling rate."""
        self.hop = sample_rate // FRAMES_A_SECOND
        self.window = np.hanning(4 * self.hop).astype(np.float32)
        edges = np.geomspace(300, 2000, N_BANDS + 1)
        self.edges = np.searchsorted(np.fft.rfftfreq(4 * self.hop, 1 / sample_rate), edges)
        self.left, self.found = np.zeros(0, np.float32), []

    def through(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the blocks of a sound, each added."""
        for block in blocks:
            self.add(block)
            yield block

    def add(self, sound: np.ndarray) -> None:
        """Add a piece of the sound, shape (n,)."""
        from scipy.fft import rfft

        self.left = np.concatenate([self.left, sound])
        n = (len(self.left) - len(self.window)) // self.hop + 1
        if n > 0:
            frames = np.lib.stride_tricks.sliding_window_view(self.left, len(self.window))[:: self.hop][:n]
            power = np.abs(rfft(frames * self.window, axis=1)[:, : self.edges[-1]]) ** 2
            self.found.append(np.log(np.add.reduceat(power, self.edges[:-1], axis=1) + SOFT))
            self.left = self.left[n * self.hop :]

    def words(self) -> np.ndarray:
        """Return 16 bits for each frame but the first, uint16, shape (frames - 1,); 0 where nothing changes."""
        energies = np.concatenate(self.found or [np.zeros((1, N_BANDS), np.float32)])
        bits = np.diff(np.diff(energies, axis=1), axis=0) > 0
        return np.packbits(bits, axis=1).view(">u2")[:, 0].astype(np.uint16)

    def text(self) -> str:
        """Return the words in hexadecimal."""
        return self.words().tobytes().hex()


def first_copies(texts: dict[str, str], known: int = 0) -> dict[str, str]:
    """Return which recording each sound is: the first that is one with it, given their texts by the hashes of sounds.

    If the first so many are known, each of the others is compared with these alone.
    """
    sounds = list(texts)
    alike = find_alike([np.frombuffer(bytes.fromhex(text), np.uint16) for text in texts.values()], known)
    return {sound: sounds[alike.get(number, number)] for number, sound in enumerate(sounds)}


def find_alike(songs: list[np.ndarray], known: int = 0) -> dict[int, int]:
    """Return which songs are a recording that an earlier one is, and that one, by number, given each song's words.

    If the first so many are known, each of the others is compared with these alone.
    """
    words, starts = np.concatenate([*songs, np.zeros(0, np.uint16)]), np.cumsum([0, *map(len, songs)])
    owner, n = np.repeat(np.arange(len(songs)), np.diff(starts)), 2 * len(words)
    order = np.argsort(words, kind="stable")
    alike = {}
    for number, own in enumerate(songs[known:], known):
        first, last = (np.searchsorted(words, own, side, sorter=order) for side in ("left", "right"))
        at = np.repeat(np.arange(len(own)), last - first)
        rank = np.arange(len(at)) - np.repeat(np.cumsum(last - first) - last, last - first)
        there = order[rank]
        earlier = (there < starts[known or number]) & (words[there] > 0)
        there, at = there[earlier], at[earlier]
        places, votes = np.unique(owner[there] * n + there - at + len(words), return_counts=True)
        for place in places[np.argsort(-votes, kind="stable")][:CANDIDATES].tolist():
            other, begin = place // n, place % n - len(words)  # where the song would begin among all words
            if differ(own, songs[other], begin - int(starts[other])) < LIKE:
                alike[number] = alike.get(other, other)
                break
    return alike


def differ(one: np.ndarray, other: np.ndarray, offset: int) -> float:
    """Return the share of bits that differ where `one` begins at `offset` in `other`; 1 if they share too little."""
    begin, end = max(0, -offset), min(len(one), len(other) - offset)
    if end - begin < LEAST:
        return 1.0
    pair = one[begin:end], other[begin + offset : end + offset]
    told = (pair[0] > 0) & (pair[1] > 0)
    return float(np.bitwise_count(pair[0] ^ pair[1])[told].mean() / 16) if told.sum() >= LEAST else 1.0
