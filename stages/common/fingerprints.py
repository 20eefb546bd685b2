"""Fingerprints: what was made from what, so that no figure ever comes from mixed inputs.

dataset.json, history.json and the model's card each say what they were made from. A stage that reads two of them, or
one and params.yaml, compares them: a killed `dvc` may leave a stage running, which writes later.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from stages.common.files import DESCRIPTION, MODEL, UserError, card_path, history_path, mixed, shown
from stages.common.params import PARAMS, PREPARING, TRAINING, load_params
from stages.common.records import Card, Description, History, Shape, read_or_skipped


def fingerprint(*inputs: Any) -> str:
    """Return a hash of any JSON content, as 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:32]


def check_card(card: Card, description: Description, histories: dict[str, History]) -> None:
    """Check that a chosen model was trained on these data, in a run of these histories."""
    history = histories.get(card.chosen.device)
    trained = history and history.fingerprint == card.fingerprint
    about = description.representations.get(card.representation)
    says = (card.data.fingerprint, card.classes, card.data.counts, Shape(shape=card.shape))
    if not trained or says != (description.fingerprint, description.classes, description.counts, about):
        raise UserError(mixed(card_path(card.representation)))


def of_training(data: str, params: dict[str, Any]) -> str:
    """Return the fingerprint of what is learnt from prepared data, given theirs."""
    return fingerprint(data, params)


def check_params(path: Path, made_with: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Check that params.yaml still has the parameters that a file was made with."""
    now = load_params().model_dump(mode="json", include=set(keys))
    for key in keys:
        if key not in made_with or made_with[key] != now[key]:
            found, expected = shown(made_with.get(key)), shown(now[key])
            raise UserError(f"{path}: was made with {key}: {found}, {PARAMS} has {expected}; run `dvc repro`")


def read_description() -> Description:
    """Read dataset.json, and check that it is of the data that params.yaml asks for."""
    description = Description.read(DESCRIPTION)
    check_params(DESCRIPTION, description.params, PREPARING)
    return description


def read_histories(description: Description) -> dict[str, History]:
    """Read each device's history, but for a skipped one, and check that it is of these data and of params.yaml."""
    histories = {"cpu": History.read(history_path("cpu")), "gpu": read_or_skipped(History, history_path("gpu"))}
    learnt = {device: history for device, history in histories.items() if isinstance(history, History)}
    for device, history in learnt.items():
        check_params(history_path(device), history.params, TRAINING)
        runs, epochs = history.params["runs"], history.params["epochs"]
        belongs = history.fingerprint == of_training(description.fingerprint, history.params)
        belongs &= history.representations.keys() == description.representations.keys()
        for each in history.representations.values():
            belongs &= len(each.runs) == runs and 0 < max(map(len, each.runs)) <= epochs
        if not belongs:
            raise UserError(mixed(history_path(device)))
    return learnt


def read_cards() -> dict[str, Card]:
    """Return the cards of the chosen models by representation; none where there are no models."""
    cards = {}
    for path in sorted(MODEL.iterdir()) if MODEL.is_dir() else ():
        if path.suffix == ".json":
            cards[path.stem] = Card.read(path)
            if cards[path.stem].representation != path.stem:
                raise UserError(mixed(path))
    return cards
