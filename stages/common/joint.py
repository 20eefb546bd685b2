"""The joint model: the mean of the probabilities of several representations' models, with `model: all`.

Its card, data/model/all/card.json, names the models that it averages; each has its own card and weights. Its name joins
all of theirs: it is longer than any of them, so that no representation has the same.
"""

from collections.abc import Collection
from pathlib import Path

from stages.common.files import MODEL, UserError, card_path, kind, mixed, read_json
from stages.common.fingerprints import fingerprint, read_cards
from stages.common.records import Card, CardData, Classes, Fingerprint, FrontEnd, Name, Record

JOINT = MODEL / "all" / "card.json"


class Joint(Record):
    """Says which models to average. Fields that a Card has too have the same names."""

    representation: str  # all names
    representations: list[Name]
    weights: Fingerprint  # of all models' weights
    classes: Classes
    front_end: FrontEnd | None  # the first one's; None if one of them is None
    temperature: float  # of the mean, for which the models' own are not used
    val_f1_macro: float
    data: CardData


def has_joint(model: str, representations: Collection[str]) -> bool:
    """Return whether data/model holds a joint model of these representations."""
    return model == "all" and len(representations) > 1


def joint_of(cards: dict[str, Card], temperature: float, val_f1_macro: float) -> Joint:
    """Return the card of the mean of these models, by representation."""
    first = next(iter(cards.values()))
    return Joint(
        representation=" + ".join(cards),
        representations=list(cards),
        weights=_weights_of(cards),
        classes=first.classes,
        front_end=first.front_end if all(card.front_end for card in cards.values()) else None,
        temperature=temperature,
        val_f1_macro=val_f1_macro,
        data=first.data,
    )


def read_model(path: Path) -> tuple[Card | Joint, dict[Path, Card]]:
    """Read a card of a model or of a joint one; return it and the cards, by their paths, whose models it averages."""
    content = read_json(path)
    if not isinstance(content, dict) or "representations" not in content:
        card = Card.read(path)
        return card, {path: card}
    joint = Joint.read(path)
    parts = {path.parents[1] / card_path(name).name: name for name in joint.representations}
    cards = {part: Card.read(part) for part in parts}
    if joint.weights != _weights_of({parts[part]: card for part, card in cards.items()}):
        raise UserError(mixed(path))
    return joint, cards


def read_models() -> dict[str, Card | Joint]:
    """Return the cards of the chosen models by representation, and the joint one's by its own name."""
    cards: dict[str, Card | Joint] = dict(read_cards())
    if kind(JOINT):
        joint, _ = read_model(JOINT)
        cards[joint.representation] = joint
    return cards


def path_of(card: Card | Joint) -> Path:
    """Return where a chosen model's card is."""
    return JOINT if isinstance(card, Joint) else card_path(card.representation)


def _weights_of(cards: dict[str, Card]) -> Fingerprint:
    return fingerprint({name: card.weights for name, card in cards.items()})
