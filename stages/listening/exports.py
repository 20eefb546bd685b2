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


def of_page(cards: dict[str, Card | Joint]) -> str:
    """Return the fingerprint of all models that accept audio, which the page holds."""
    return fingerprint({name: card.weights for name, card in cards.items() if card.front_end})


def outdated(cards: dict[str, Card | Joint]) -> list[Path]:
    """Return the exports that are there but of other models than these: each holds its model's fingerprint as text."""
    holds = {onnx_path(name): card.weights for name, card in cards.items()} | {PAGE: of_page(cards)}
    there = [*sorted(MODEL.glob("*.onnx")), *([PAGE] if PAGE.exists() else [])]
    return [path for path in there if path not in holds or holds[path].encode() not in path.read_bytes()]


def tell_outdated() -> None:
    """Say on stderr which exports are of older models, if any are."""
    old = outdated(read_models())
    if old:
        commands = [f"`genre {'page' if path == PAGE else 'export'}`" for path in old]
        again = " and ".join(dict.fromkeys(commands))
        print(f"predict: {few_of(old)}: of an older model; run {again} again", file=sys.stderr)
