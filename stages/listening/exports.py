"""Exports: what the chosen models were made into for use elsewhere, and whether it still is of the models there now.

`dvc checkout` and `dvc exp apply` bring other models and leave these files as they are.
"""

import sys
from pathlib import Path

from stages.common.files import MODEL, few_of
from stages.common.fingerprints import fingerprint
from stages.common.joint import Joint, read_models
from stages.common.records import Card

PAGE = MODEL / "listen.html"


def onnx_path(representation: str) -> Path:
    """Return where a model's ONNX file is."""
    return MODEL / f"{representation}.onnx"


def fingerprints(cards: dict[str, Card | Joint]) -> dict[Path, str]:
    """Return what each export of these models holds as text: a fingerprint of all cards that it is made of.

    A card holds its weights' own; a joint model is made of its parts' cards too, the page of all that accept audio.
    """
    able = {name: card.model_dump(mode="json") for name, card in cards.items() if card.front_end}
    made_of = {onnx_path(name): [name, *card.get("representations", [])] for name, card in able.items()} | {PAGE: able}
    return {path: fingerprint({name: able[name] for name in names}) for path, names in made_of.items()}


def outdated(cards: dict[str, Card | Joint]) -> list[Path]:
    """Return the exports that are there but of other models than these."""
    holds = fingerprints(cards)
    there = [*sorted(MODEL.glob("*.onnx")), *([PAGE] if PAGE.exists() else [])]
    return [path for path in there if path not in holds or holds[path].encode() not in path.read_bytes()]


def tell_outdated() -> None:
    """Say on stderr which exports are of older models, if any are."""
    old = outdated(read_models())
    if old:
        commands = [f"`genre {'page' if path == PAGE else 'export'}`" for path in old]
        again = " and ".join(dict.fromkeys(commands))
        print(f"predict: {few_of(old)}: of an older model; run {again} again", file=sys.stderr)
