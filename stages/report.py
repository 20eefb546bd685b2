"""report: what a run gave, as pages to read: metrics/report.md with metrics/pictures/*.png, metrics/model_card.md."""

from typing import Any

from stages.common.files import COMPARED, EVALUATED, FEATURES, METRICS, SELECTED, UserError, mixed, timing_path
from stages.common.fingerprints import check_card, check_params, read_cards, read_description, read_histories
from stages.common.joint import read_models
from stages.common.params import Params
from stages.common.records import Card, Description, History, read_by_name
from stages.common.results import Comparison, Judgement, Selection, Timing
from stages.common.running import run_stage
from stages.common.writing import write_bytes
from stages.models.snapshots import check_chosen
from stages.reporting import model_card, page

REPORT = METRICS / "report.md"
MODEL_CARD = METRICS / "model_card.md"


def main() -> None:
    """Write the pages."""
    description, selection = read_description(), Selection.read(SELECTED)
    histories, cards, judged = read_histories(description), read_cards(), read_by_name(Judgement, EVALUATED)
    check_models(cards, description, selection, histories)
    check_figures(cards, judged, histories)
    page.draw(judged)
    write_bytes(REPORT, page.report(judged, params_of(description, histories["cpu"], selection)).encode())
    write_bytes(MODEL_CARD, model_card.model_card(cards, judged).encode())
    print(f"report: {REPORT}, {MODEL_CARD}, pictures in {page.PICTURES}")


def params_of(description: Description, history: History, selection: Selection) -> dict[str, Any]:
    """Return the parameters that the results rest on, as params.yaml has them."""
    used = description.params | history.params | {"model": selection.model}
    if description.source.dataset == str(FEATURES):
        used["audio"] = {"sample_rate": description.source.sample_rate}
    return {key: used[key] for key in Params.model_fields if key in used}


def check_models(
    cards: dict[str, Card], description: Description, selection: Selection, histories: dict[str, History]
) -> None:
    """Check that the models are those that were chosen from what was trained with these data and parameters."""
    check_params(SELECTED, {"model": selection.model}, ("model",))
    for name, card in cards.items():
        check_card(card, description, histories)
        check_chosen(card, name, selection, histories)


def check_figures(cards: dict[str, Card], judged: dict[str, Judgement], histories: dict[str, History]) -> None:
    """Check that the figures in metrics/ are of these models."""
    for name, card in cards.items():
        if name in judged and judged[name].f1.keys() != set(card.classes):
            raise UserError(mixed(EVALUATED))
    if judged.keys() != read_models().keys():
        raise UserError(mixed(EVALUATED))
    found = {COMPARED: read_by_name(Comparison, COMPARED)}
    found |= {timing_path(device): Timing.read(timing_path(device)).representations for device in histories}
    for path, names in found.items():
        if names.keys() != cards.keys():
            raise UserError(mixed(path))


if __name__ == "__main__":
    run_stage(main)
