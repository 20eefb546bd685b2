"""The model card as a page, metrics/model_card.md, from the cards of data/model/ and the files in metrics/.

What such a page says: Mitchell et al., Model Cards for Model Reporting (2019).
"""

import math

from stages.common.files import MODEL, few_of, timing_path
from stages.common.records import UNITS, Card, few_songs
from stages.common.results import Judgement, Timing
from stages.models.about import DEMO, LICENCE, describe_split, not_intended, origin
from stages.reporting.tables import SCORES, cells_of, listed, table, text


def model_card(cards: dict[str, Card], judged: dict[str, Judgement]) -> str:
    """Return model_card.md."""
    card = next(iter(cards.values()))
    data, classes = card.data, few_of([text(name) for name in card.classes])
    rates = sorted({each.front_end.sample_rate for each in cards.values() if each.front_end})
    versions = Timing.read(timing_path("cpu")).hardware.versions
    lines = ["# Model card", "", f"Models that name the genre of one second of music: {classes}.", "", "## Models", ""]
    head = ["model", "input", "network", "chosen from", "test macro F1, all runs", *SCORES]
    rows = [model_row(name, each, judged[name]) for name, each in cards.items()]
    rows += [joint_row(name, result) for name, result in judged.items() if name not in cards]
    lines += table(head, rows)
    lines += ["", f"Brackets and ±: see [the report](report.md). Files: `{MODEL}/MODEL.safetensors` and `.json`."]
    lines += [made_of(card)]
    lines += ["", "## Intended use", ""]
    lines += ["- To show how such a pipeline is built, judged and compared.", *FOR[data.dataset == DEMO]]
    lines += ["", "## Not intended", ""]
    lines += [f"- {use}" for use in not_intended(card)]
    lines += ["", "## Data", "", f"- Data set: {text(data.dataset)}. {LICENCE[data.dataset == DEMO]}"]
    lines += [
        f"- Split: {describe_split(data)}; standardized by the training set: {'yes' if data.standardize else 'no'}."
    ]
    for what, counts in {"samples": data.counts, "songs": data.songs, f"{UNITS[data.unit]}s": data.groups}.items():
        if counts:
            rows = [[part, *(str(n[name]) for name in card.classes)] for part, n in counts.items()]
            lines += ["", *table([what, *map(text, card.classes)], rows)]
    lines += ["", "## Front end", ""]
    lines += [
        f"- model {text(name)}: {listed(each.front_end.model_dump()) if each.front_end else 'unknown'}"
        for name, each in cards.items()
    ]
    lines += ["", "## Training", "", f"- {listed(card.params)}", f"- versions: {listed(versions)}"]
    lines += ["", "## Limits", ""]
    if rates:
        lines += [f"- Audio is analysed at {' and '.join(map(str, rates))} Hz: mono, and nothing above half of that."]
    few = few_songs(data)
    if few:
        lines += [f"- This is based on {text(few)}. Scores on so few depend on luck."]
    lines += [f"- One second at a time; {len(card.classes)} classes ({classes})."]
    lines += [
        "- A probability is not a measure of how typical a song is; its calibration is in [the report](report.md)."
    ]
    return "\n".join(lines) + "\n"


# For a model of no, one and several networks.
NETWORKS_OF = (
    [],
    [
        "a single network: the snapshot with the best macro F1 on the validation set "
        "(with `snapshots: last`, of the last)"
    ],
    ["an ensemble: the mean of the probabilities of every run's best snapshot (with `snapshots: last`, its last)"],
)
# For the demo corpus, True, and for any other data set, False.
FOR = {
    True: ["- To try the commands without any data of one's own."],
    False: ["- To name the genre of recordings like those of the training set."],
}


def made_of(card: Card) -> str:
    """Return what the models are, as a sentence."""
    machine = ["a support vector machine with an RBF kernel"] if card.vectors else []
    parts = [*NETWORKS_OF[min(len(card.members), 2)], *machine]
    return f"Each is {', and '.join(parts)}{'; it answers with the mean of both' if len(parts) > 1 else ''}."


def model_row(name: str, card: Card, result: Judgement) -> list[str]:
    """Return the cells of a model's line."""
    sizes = "-".join(map(str, [math.prod(card.shape), *card.hidden, len(card.classes)]))
    network = [f"mlp {sizes}" if card.network == "mlp" else card.network] if card.members else []
    machine = [f"svm of {card.vectors} vectors"] if card.vectors else []
    return [
        text(name),
        f"{' x '.join(map(str, card.shape))} numbers a second",
        " + ".join([*network, *machine]),
        origin(card.chosen, len(card.members), card.vectors),
        f"{result.runs.f1_macro_mean:.3f} ± {result.runs.f1_macro_std:.3f}",
        *cells_of(result, result),
    ]


def joint_row(name: str, result: Judgement) -> list[str]:
    """Return the cells of the joint model's line."""
    return [text(name), "all of these", "", "mean of the others", "", *cells_of(result, result)]
