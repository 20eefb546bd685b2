"""The page: the models as one HTML file that names the genres of songs in a browser, `genre page`.

Writes data/model/listen.html. The song never leaves the browser: the file's Content-Security-Policy forbids every
request.
"""

import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from stages.audio.sounds import sound_suffixes
from stages.common.drawing import COLOURS
from stages.common.files import EVALUATED, MODEL, SELECTED, UserError, card_path, mixed
from stages.common.joint import Joint, read_models
from stages.common.records import Card, read_by_name
from stages.common.results import Judgement, Selection
from stages.common.writing import write_bytes
from stages.listening.exports import PAGE, fingerprints
from stages.listening.listener import check_front_end
from stages.listening.page import model, words
from stages.models.snapshots import load_chosen

HERE = Path(__file__).parent
SCRIPTS = (  # a name stands in front of its uses
    *("elements.js", "verdict.js", "containers.js", "decode.js", "mono.js", "workers.js", "songs.js", "microphone.js"),
    *("files.js", "table.js", "chart.js", "song.js", "saving.js", "picture.js", "page.js"),
)
LISTENER = ("listen.js", "fourier.js", "resample.js", "front_ends.js", "timbre.js", "network.js")  # the worker


def write_page() -> None:
    """Write the page."""
    cards = {name: card for name, card in read_models().items() if card.front_end}
    if not cards:
        raise UserError(f"{MODEL}: found no model that accepts audio; run `make repro` first")
    judged = read_judged(cards)
    best_first = sorted(cards.values(), key=lambda card: -card.val_f1_macro)
    models = [describe(card, judged[card.representation]) for card in best_first]
    content = assemble(models, fingerprints(cards)[PAGE]).encode()
    write_bytes(PAGE, content)
    print(f"page: {PAGE}: {len(content) / 1e6:.1f} MB, {' and '.join(cards)}; open it in a browser, drop songs on it")


def read_judged(cards: dict[str, Card | Joint]) -> dict[str, Judgement]:
    """Return how these models did on the test set."""
    judged, chosen = read_by_name(Judgement, EVALUATED), Selection.read(SELECTED).representations
    for name, card in cards.items():
        if isinstance(card, Card) and chosen.get(name) != card.chosen:
            raise UserError(mixed(SELECTED))
        if name not in judged:
            raise UserError(mixed(EVALUATED))
    return judged


def describe(card: Card | Joint, judged: Judgement) -> dict[str, Any]:
    """Return all that the page holds of a model."""
    said = {"title": words.title(card, judged), "warning": words.warning(card), "about": words.about(card, judged)}
    if isinstance(card, Joint):
        return said | model.joint_as_json(card)
    path = card_path(card.representation)
    check_front_end(card, path)
    return said | model.as_json(card, path, load_chosen(card, path))


def assemble(models: list[dict[str, Any]], fingerprint: str) -> str:
    """Return the page: one file that needs no other.

    Args:
        models: what `describe` returns of each; the first is the one that listens unless another is chosen.
        fingerprint: of all of them.
    """
    script = "".join(map(read, SCRIPTS))
    style = read("style.css")
    policy = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; media-src blob:; worker-src blob:"
    policy += f"; script-src {hashed(script)}; style-src {hashed(style)}"
    held = {"models": models, "colours": COLOURS, "suffixes": sorted(sound_suffixes())}
    data = json.dumps(held, allow_nan=False).replace("<", "\\u003c")  # no </script>
    parts = {"policy": policy, "fingerprint": fingerprint, "style": style, "script": script}
    parts |= {"data": data, "listener": "".join(map(read, LISTENER))}
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], read("page.html"))


def read(name: str) -> str:
    """Return one of the page's files."""
    return (HERE / name).read_text(encoding="utf-8")


def hashed(inline: str) -> str:
    """Return what a Content-Security-Policy calls a script or a style that may stand in the page."""
    return f"'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}'"
