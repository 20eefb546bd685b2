"""report: what a run gave, as pages to read: `python -m stages.report`, after `dvc repro`.

Writes metrics/report.md with metrics/pictures/*.png and metrics/model_card.md. `python -m stages.report readme` fills
the marked blocks of README.md and of the other guides from what was measured.
"""

import sys

from stages.files import EVALUATED, METRICS, MODEL, UserError, run_stage, write_bytes
from stages.records import Card, Judgement, read_by_name
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
    cards = {path.stem: Card.read(path) for path in sorted(MODEL.glob("*.json"))}
    if not cards:
        raise UserError(f"{MODEL}: found no model; run `dvc repro` first")
    judged = read_by_name(Judgement, EVALUATED)
    page.draw(judged)
    write_bytes(REPORT, page.report(judged).encode())
    write_bytes(MODEL_CARD, model_card.model_card(cards, judged).encode())
    print(f"report: {REPORT}, {MODEL_CARD}, pictures in {page.PICTURES}")


if __name__ == "__main__":
    run_stage(main)
