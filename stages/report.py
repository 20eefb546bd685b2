"""report: what a run gave, as pages to read: `python -m stages.report`, after `dvc repro`.

Writes metrics/report.md with metrics/pictures/*.png and metrics/model_card.md. `python -m stages.report readme` fills
the marked blocks of README.md and of the other guides from what was measured.
"""

import sys

from stages.common.files import COMPARED, EVALUATED, METRICS, MODEL, SELECTED, UserError, timing_path
from stages.common.fingerprints import check_card, check_params, read_cards, read_description, read_histories
from stages.common.records import Card, read_by_name
from stages.common.results import Comparison, Judgement, Selection, Timing
from stages.common.running import run_command
from stages.common.tensors import mixed
from stages.common.writing import write_bytes
from stages.exports import tell_outdated
from stages.models.snapshots import check_chosen
from stages.reporting import model_card, page, readme

REPORT = METRICS / "report.md"
MODEL_CARD = METRICS / "model_card.md"


def main() -> None:
    """Write the pages, or fill the guides.

    Raises:
        UserError: if there is no model.
    """
    if sys.argv[1:] == ["readme"]:
        readme.fill_all()
        return
    if sys.argv[1:]:
        raise UserError(f"usage: python -m stages.report [readme], found {' '.join(sys.argv[1:])}")
    cards = read_cards()
    if not cards:
        raise UserError(f"{MODEL}: found no model; run `dvc repro` first")
    judged = read_by_name(Judgement, EVALUATED)
    check_together(cards, judged)
    page.draw(judged)
    write_bytes(REPORT, page.report(judged).encode())
    write_bytes(MODEL_CARD, model_card.model_card(cards, judged).encode())
    print(f"report: {REPORT}, {MODEL_CARD}, pictures in {page.PICTURES}")
    tell_outdated("report")


def check_together(cards: dict[str, Card], judged: dict[str, Judgement]) -> None:
    """Hold that the models, the parameters and the figures in metrics/ are of one run.

    Raises:
        UserError: if one of them is of another.
    """
    description, selection = read_description(), Selection.read(SELECTED)
    histories = read_histories(description)
    check_params(SELECTED, {"model": selection.model}, ("model",))
    for name, card in cards.items():
        check_card(card, description, histories)
        check_chosen(card, name, selection, histories)
        if name in judged and judged[name].f1.keys() != set(card.classes):
            raise UserError(mixed(EVALUATED))
    told = {EVALUATED: judged, COMPARED: read_by_name(Comparison, COMPARED)}
    told |= {timing_path(device): Timing.read(timing_path(device)).representations for device in histories}
    for path, names in told.items():
        if names.keys() != cards.keys():
            raise UserError(mixed(path))


if __name__ == "__main__":
    run_command(main)
