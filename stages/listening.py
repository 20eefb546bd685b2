"""listening: from songs to the probabilities of their seconds, as a chosen model hears them; given data/model/."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from stages import tasks
from stages.audio.decode import DecodeError, open_sound, read_blocks, why_unusable, windows
from stages.audio.front_end import FRONT_ENDS, SHAPES, settings
from stages.files import MODEL, UserError, card_path, shown
from stages.fingerprints import read_cards
from stages.learning.snapshots import load_chosen, standardization_of
from stages.records import Card


class Song(NamedTuple):
    """What was heard in a song: where its windows start (s) and each one's probabilities, shape (windows, classes)."""

    path: Path
    starts: np.ndarray
    probabilities: np.ndarray


def load_card(representation: str | None) -> Card:
    """Return the card of the model asked for, or of the one with the best validation macro F1.

    Raises:
        UserError: if there is no such model, or none that hears sound as this program does.
    """
    cards = read_cards()
    if not cards:
        raise UserError(f"{MODEL}: found no model; run `make repro` first")
    if representation and representation not in cards:
        raise UserError(f"--representation: found {representation}, expected one of {', '.join(cards)}")
    asked = [cards[representation]] if representation else list(cards.values())
    able = [card for card in asked if card.front_end]
    if not able:
        known = " and ".join(f"{name} of {' x '.join(map(str, shape))}" for name, shape in SHAPES.items())
        raise UserError(
            f"{MODEL}: found no front end for {', '.join(card.representation for card in asked)}, expected {known}: "
            "those alone can be made from sound here"
        )
    best = max(able, key=lambda card: card.chosen.val_f1_macro)
    check_front_end(best)
    return best


def check_front_end(card: Card) -> None:
    """Hold that a model that hears sound was trained behind the front end here.

    Raises:
        UserError: if it was not.
    """
    if settings(card.representation, card.shape, card.front_end.sample_rate) != card.front_end.model_dump():
        raise UserError(
            f"{card_path(card.representation)}: was trained behind another front end than the one here "
            f"({shown(card.front_end)}); run `make repro`"
        )


def make_listener(card: Card, hop_seconds: float):
    """Return a function that hears a file as the model heard its training data, and returns a Song."""
    import torch

    model, (mean, std) = load_chosen(card), standardization_of(card)
    front_end, sample_rate = FRONT_ENDS[card.representation], card.front_end.sample_rate
    hop = round(hop_seconds * sample_rate)

    @torch.inference_mode()
    def listen(path: Path) -> Song:
        heard = []
        with open_sound(path) as sound:
            for clips in windows(read_blocks(sound, sample_rate), sample_rate, hop):
                x = torch.from_numpy(((front_end(clips) - mean) / std).astype(np.float32))
                heard.append(torch.softmax(model(x).double(), dim=1).numpy())
        if not heard:
            raise DecodeError("is shorter than half a second")
        probabilities = np.concatenate(heard)
        return Song(path, np.arange(len(probabilities)) * hop / sample_rate, probabilities)

    return listen


def listen_to_all(
    paths: list[Path], listen: Callable[[Path], Song], progress: tqdm
) -> Iterator[tuple[Path, Song | str]]:
    """Yield each song, or why it cannot be heard, in the order of the paths, as soon as those before it are there.

    Songs are heard side by side, each by one thread: for batches this small several would only wait for each other.
    """
    import torch
    from threadpoolctl import threadpool_limits

    def hear(numbered: tuple[int, Path]) -> tuple[int, Song | str]:
        try:
            return numbered[0], listen(numbered[1])
        except Exception as error:  # whatever is wrong with one song, the others go on
            return numbered[0], why_unusable(error)

    torch.set_num_threads(1)
    waiting: dict[int, Song | str] = {}
    following = iter(range(len(paths)))
    number = next(following, None)
    with threadpool_limits(1):
        for heard in tasks.on_threads(hear, list(enumerate(paths))):
            waiting |= [heard]
            progress.update()
            while number in waiting:
                yield paths[number], waiting.pop(number)
                number = next(following, None)
