"""model_card: the cards of data/model/ as a page to read, metrics/model_card.md.

What such a page says: Mitchell et al., Model Cards for Model Reporting (2019).
Every figure comes from the cards and from metrics/. Run by `make report`, after `dvc repro`.
"""

import math

from stages.files import METRICS, MODEL, UserError, read_json, run_stage, write_bytes
from stages.report import listed, track_f1, with_interval

CARD = METRICS / "model_card.md"
DEMO = "data/demo"


def main() -> None:
    """Write the page.

    Raises:
        UserError: if there is no model.
    """
    cards = {path.stem: read_json(path) for path in sorted(MODEL.glob("*.json"))}
    if not cards:
        raise UserError(f"{MODEL}: found no model; run `dvc repro` first")
    write_bytes(CARD, model_card(cards, read_json(METRICS / "evaluate.json")).encode())
    print(f"model_card: {CARD}")


def model_card(cards: dict[str, dict], evaluated: dict) -> str:
    """Return model_card.md."""
    card = next(iter(cards.values()))
    data, classes = card["data"], ", ".join(card["classes"])
    rates = sorted({each["front_end"]["sample_rate"] for each in cards.values() if each["front_end"]})
    versions = read_json(METRICS / "train_cpu.json")["hardware"]["versions"]
    lines = ["# Model card", "", f"Models that name the genre of one second of music: {classes}.", "", "## Models", ""]
    lines += ["| model | hears | network | chosen from | test macro F1 | accuracy | macro F1, all runs | by track |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    lines += [model_row(name, each, evaluated[name]) for name, each in cards.items()]
    lines += ["", f"Brackets and ±: see [the report](report.md). Files: `{MODEL}/MODEL.safetensors` and `.json`."]
    lines += ["", "## What they are for", ""]
    lines += ["- To show how such a pipeline is built, judged and compared.", *FOR[data["dataset"] == DEMO]]
    lines += ["", "## What they are not for", ""]
    lines += [
        f"- Music of other genres: a model knows {len(card['classes'])} names and gives one of them to anything, noise "
        "and speech too.",
        "- Decisions about people or payments: one second is little, and genres are a matter of convention.",
        *NOT_FOR[data["dataset"] == DEMO],
    ]
    lines += ["", "## Data", "", f"- Data set: `{data['dataset']}`. {LICENCE[data['dataset'] == DEMO]}"]
    lines += [
        f"- Split: {split_told(data)}; standardized by the training part: {'yes' if data['standardize'] else 'no'}."
    ]
    lines += ["", "| samples | " + " | ".join(card["classes"]) + " |", "|---" * (1 + len(card["classes"])) + "|"]
    lines += [f"| {part} | " + " | ".join(map(str, data["counts"][part].values())) + " |" for part in data["counts"]]
    lines += ["", "## Front end", ""]
    lines += [
        f"- {name}: {listed(each['front_end']) if each['front_end'] else 'unknown'}" for name, each in cards.items()
    ]
    lines += ["", "## Training", "", f"- {listed(card['params'])}", f"- versions: {listed(versions)}"]
    lines += ["", "## Limits", ""]
    if rates:
        lines += [f"- Sound is heard at {' and '.join(map(str, rates))} Hz: nothing above half of that, and no stereo."]
    lines += [f"- One second at a time; {len(card['classes'])} classes ({classes})."]
    lines += [
        "- A probability is not a measure of how typical a song is; its calibration is in [the report](report.md)."
    ]
    return "\n".join(lines) + "\n"


# What is said of the demo corpus, True, and of any other data set, False.
FOR = {
    True: ["- To try the commands without any data of one's own."],
    False: ["- To name the genre of recordings like those of the training part."],
}
NOT_FOR = {
    True: ["- Real music: the demo corpus is synthetic and says nothing about it. Train on recordings first."],
    False: ["- Recordings unlike those of the training part, before they have been judged on some."],
}
LICENCE = {
    True: "Composed and rendered by this program: it holds no recording and no composition of anybody else.",
    False: "Its licence is not known to this program: see where the data set came from.",
}


def model_row(name: str, card: dict, result: dict) -> str:
    """Return a model's line of the table."""
    choice, runs = card["chosen"], result["runs"]
    sizes = "-".join(map(str, [math.prod(card["shape"]), *card["hidden"], len(card["classes"])]))
    network = f"mlp {sizes}" if card["network"] == "mlp" else card["network"]
    return (
        f"| {name} | {' x '.join(map(str, card['shape']))} numbers a second "
        f"| {network} "
        f"| {choice['device']}, run {choice['run']}, epoch {choice['epoch']} "
        f"| {with_interval(result, 'f1_macro')} | {with_interval(result, 'accuracy')} "
        f"| {runs['f1_macro_mean']:.3f} ± {runs['f1_macro_std']:.3f} | {track_f1(result)} |"
    )


def split_told(data: dict) -> str:
    """Return how the data were split, as a phrase."""
    how = "as given" if data["split"] == "given" else f"drawn with seed {data['split']['seed']}, stratified by class"
    tracks = "tracks unknown" if data["groups"] is None else f"none of {data['groups']} tracks in two parts"
    return f"{how}, {tracks}"


if __name__ == "__main__":
    run_stage(main)
