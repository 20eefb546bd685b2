"""The listener: from songs to their genres and the probabilities of their seconds, by a chosen model.

    listener = Listener("data/model/melgrams.json")
    song = listener("song.mp3")
    song = listener.hear(samples, sample_rate)

A song's verdict is the mean of its seconds' log-probabilities, scaled to add up to 1 again (stages/models/scoring.py);
silent ones (stages/audio/silence.py) have no vote. Smoothing changes the seconds, not the verdict.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stages.audio.container import DecodeError
from stages.audio.decode import hashing, read_blocks, sound_hash, why_unusable, windows
from stages.audio.ffmpeg import open_sound
from stages.audio.front_end import FRONT_ENDS, settings
from stages.audio.pieces import MAX_CHANNELS, MAX_RATE, MIN_RATE, Piece, piece_samples
from stages.audio.recordings import Energies
from stages.audio.silence import is_silent
from stages.common.files import MODEL, UserError, few_of, shown
from stages.common.joint import path_of, read_model, read_models
from stages.common.records import Card
from stages.models.scoring import smoothed, verdict
from stages.models.snapshots import load_chosen, standardization_of

if TYPE_CHECKING:
    import torch

UNKNOWN = "unknown"  # the genre of a song whose likeliest class is not likely enough


class Song(NamedTuple):
    """A model's result for a song."""

    path: Path | None  # None if it was an array
    genre: str  # the likeliest class, or UNKNOWN
    probabilities: dict[str, float]  # of the song as a whole, by class
    starts: np.ndarray  # where each window of a second starts, in seconds, shape (n,)
    seconds: np.ndarray  # each window's probabilities, shape (n, classes); NaN where it is silent
    silent: np.ndarray  # whether each window is, shape (n,), bool
    problem: str = ""  # what of a file could not be decoded
    sound: str = ""  # a hash of what was decoded, as in data/features/tracks.csv
    words: str = ""  # what it is known by in another encoding, or cut, if that was asked for

    @property
    def silent_seconds(self) -> float:
        """How much of it is silent: a window stands for the time until the next one starts, the last for a second."""
        return round(float(np.diff(self.starts, append=self.starts[-1] + 1)[self.silent].sum()), 3)


class Listener:
    """A chosen model, which gets songs in the form of its training data; several threads may share one."""

    def __init__(
        self,
        card: str | Path,
        hop: float = 1.0,
        unknown: float = 0.0,
        smooth: float = 0.0,
        as_in_data_sets: bool = False,
    ) -> None:
        """Load a model.

        Args:
            card: the path of its card; its weights are expected beside it.
            hop: seconds from the start of one window to the next one's.
            unknown: the probability below which a song's genre is UNKNOWN.
            smooth: seconds; a window's probabilities become the mean, by their logarithms, of those that start at most
                half of it before or after.
            as_in_data_sets: the rest at the end, of half a second or more, is no window, and a song carries the words
                by which its recording is recognized.
        """
        path = Path(card)
        self.settings = path, hop, unknown, smooth, as_in_data_sets
        self.card, cards = read_model(path)
        for place, each in cards.items():
            check_front_end(each, place)
        if not 0.001 <= hop < 3600:
            raise UserError(f"hop: found {hop:g}, expected seconds from 0.001, say 0.5")
        if not 0 <= unknown <= 1:
            raise UserError(f"unknown: found {unknown:g}, expected a probability, say 0.6")
        if not 0 <= smooth <= 3600:
            raise UserError(f"smooth: found {smooth:g}, expected seconds up to 3600, say 5")
        if unknown and UNKNOWN in map(str.casefold, self.card.classes):
            raise UserError(
                f"unknown: {path}: a class has this name, and songs of unknown genre could not be told "
                "apart from its own; rename the class, or leave the threshold out"
            )
        self.parts = [
            (FRONT_ENDS[each.representation], *standardization_of(each, place), load_chosen(each, place))
            for place, each in cards.items()
        ]
        self.sample_rate, self.unknown = self.card.front_end.sample_rate, unknown
        self.as_in_data_sets = as_in_data_sets
        self.hop = round(hop * self.sample_rate)  # samples
        self.reach = int(smooth * self.sample_rate / 2 // self.hop)  # windows on either side

    @property
    def genres(self) -> list[str]:
        """Every genre that a song may be given."""
        return [*self.card.classes, *([UNKNOWN] if self.unknown else [])]

    def __call__(self, path: str | Path) -> Song:
        """Analyse a sound file."""
        try:
            with open_sound(Path(path)) as sound:
                return self._hear(sound.pieces(), Path(path), sound.problem)
        except (DecodeError, OSError) as error:
            raise UserError(f"{path}: {why_unusable(error)}") from None

    def hear(self, samples: np.ndarray, sample_rate: int) -> Song:
        """Analyse an array as if it came from a file: floating point in [-1, 1] or int16, (n,) or (n, channels)."""
        samples = np.asarray(samples)
        if not (samples.dtype.kind == "f" or (samples.dtype.kind == "i" and samples.dtype.itemsize == 2)):
            raise UserError(f"samples: found {samples.dtype}, expected floating point in [-1, 1] or int16")
        columns = samples[:, None] if samples.ndim == 1 else samples
        if columns.ndim != 2 or not 1 <= columns.shape[1] <= MAX_CHANNELS:
            raise UserError(f"samples: found shape {samples.shape}, expected (n,) or (n, channels)")
        if not MIN_RATE <= sample_rate <= MAX_RATE or sample_rate != int(sample_rate):
            raise UserError(
                f"sample_rate: found {sample_rate}, expected a whole number of Hz from {MIN_RATE} to {MAX_RATE}"
            )
        try:
            return self._hear(pieces_of(columns, int(sample_rate)), None)
        except DecodeError as error:
            raise UserError(f"samples: {error}") from None

    def _hear(self, pieces: Iterable[Piece], path: Path | None, problem: Callable[[], str] = str) -> Song:
        import torch

        heard, quiet, sound, energies = [], [], sha256(), Energies(self.sample_rate)
        blocks = hashing(read_blocks(pieces, self.sample_rate), sound)
        if self.as_in_data_sets:
            blocks = energies.through(blocks)
        with torch.inference_mode():
            for clips in windows(blocks, self.sample_rate, self.hop, keep_rest=not self.as_in_data_sets):
                logits = self._answer(clips).double() / self.card.temperature
                heard.append(torch.softmax(logits, dim=1).numpy())
                quiet.append(is_silent(clips))
        if not heard:
            raise DecodeError(problem() or f"is shorter than {'a' if self.as_in_data_sets else 'half a'} second")
        seconds, silent = np.concatenate(heard), np.concatenate(quiet)
        if silent.all():
            gaps = self.hop > self.sample_rate  # between the windows, where there may be sound
            raise DecodeError("is silent in every window; choose a smaller hop" if gaps else "is silent throughout")
        seconds[silent] = np.nan
        starts = np.arange(len(seconds)) * self.hop / self.sample_rate
        whole, classes = verdict(seconds[~silent]), self.card.classes
        genre = classes[whole.argmax()] if whole.max() >= self.unknown else UNKNOWN
        if self.reach:
            seconds = smoothed(seconds, silent, self.reach)
        by_class = dict(zip(classes, whole.tolist(), strict=True))
        words = energies.text() if self.as_in_data_sets else ""
        return Song(path, genre, by_class, starts, seconds, silent, problem(), sound_hash(sound), words)

    def _answer(self, clips: np.ndarray) -> "torch.Tensor":
        import torch

        from stages.models.ensemble import log_mean_probability

        logits = []
        for front_end, mean, std, model in self.parts:
            logits.append(model(torch.from_numpy(((front_end(clips) - mean) / std).astype(np.float32))))
        return log_mean_probability(logits) if len(logits) > 1 else logits[0]


def pieces_of(samples: np.ndarray, sample_rate: int) -> Iterator[Piece]:
    """Yield an array, shape (n, channels), in pieces as those of a file."""
    n = piece_samples(sample_rate, samples.shape[1])
    for start in range(0, len(samples), n):
        yield samples[start : start + n].T, sample_rate


def choose_card(representation: str | None) -> Path:
    """Return the card of the model asked for, or, of those that accept audio, of the best on the validation set."""
    cards = read_models()
    if not cards:
        raise UserError(f"{MODEL}: found no model; run `make repro` first")
    if representation and representation not in cards:
        raise UserError(f"--representation: found {representation}, expected one of {few_of(cards)}")
    asked = [cards[representation]] if representation else list(cards.values())
    able = [card for card in asked if card.front_end] or asked
    return path_of(max(able, key=lambda card: card.val_f1_macro))


def check_front_end(card: Card, path: Path) -> None:
    """Check that the model of the card at `path` accepts audio, and was trained with the front end here."""
    if not card.front_end:
        raise UserError(
            f"{path}: found {card.representation} of {' x '.join(map(str, card.shape))} numbers, which cannot be made "
            f"from audio here; expected one of {', '.join(FRONT_ENDS)}, as the front end makes them"
        )
    if settings(card.representation, card.shape, card.front_end.sample_rate) != card.front_end.model_dump():
        raise UserError(
            f"{path}: was trained with another front end than the one here ({shown(card.front_end)}); run `make repro`"
        )
