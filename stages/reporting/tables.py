"""Tables in Markdown, and the phrases that several pages share."""

import re
from typing import Any

from stages.common.files import COMPARED, SELECTED, VERDICTS, UserError, few_of, mixed, shown, timing_path
from stages.common.records import read_by_name, read_or_skipped
from stages.common.results import Baseline, Calibration, Comparison, Judged, Judgement, Scored, Selection, Timing
from stages.models.about import origin
from stages.models.snapshots import has_machine
from stages.models.songs import Verdict, read_verdicts, surest_mistakes

SCORES = ("macro F1", "accuracy", "macro F1 by track")  # the heads of `cells_of`
# What Markdown would take for markup; an underscore within a word is none.
MARKUP = re.compile(r"[\\`*\[\]<>|~$&]|(?<![^\W_])_|_(?![^\W_])")


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table's lines; a cell is Markdown."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def text(name: Any) -> str:
    """Return a name that somebody gave as Markdown that shows it as it is, in a table or behind other text."""
    lines = [MARKUP.sub(r"\\\g<0>", shown(line, len(line))) for line in re.split(r"\r\n|\r|\n", str(name))]
    return "<br>".join(lines)


def with_interval(scored: Scored, score: str, judged: Judgement) -> str:
    """Return a model's accuracy or f1_macro with its interval, or with what it rests on if that is too little.

    The model is the one judged, its ensemble or one of its baselines.
    """
    value, low, high = (getattr(scored, f"{score}{end}") for end in ("", "_low", "_high"))
    return f"{value:.3f}, {text(judged.rests_on)}" if judged.rests_on else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def listed(content: dict[str, Any]) -> str:
    """Return `key value, key value` as Markdown."""
    return text(", ".join(f"{key} {value}" for key, value in content.items()))


def read_timings() -> dict[str, Any]:
    """Return each device's Timing, or why it was skipped."""
    return {"cpu": Timing.read(timing_path("cpu")), "gpu": read_or_skipped(Timing, timing_path("gpu"))}


def headline(judged: dict[str, Judgement]) -> list[str]:
    """Return the table of what the chosen models reach on the test set, and the ensembles beside them."""
    selection = Selection.read(SELECTED)
    head = ["representation", "test macro F1, all runs", *SCORES]
    head += ["loss (uncalibrated)", "calibration error (uncalibrated)", "chosen from", "epoch, all runs"]
    rows = []
    for name, result in judged.items():
        fit = [f"{fitted} ({raw})" for fitted, raw in zip(fit_of(result), fit_of(result.uncalibrated), strict=True)]
        if name not in selection.representations:
            rows.append([text(name), "", *cells_of(result, result), *fit, "mean of the others", ""])
            continue
        choice, runs, all_members = selection.representations[name], result.runs, result.ensemble.members
        members = {"best": 1, "ensemble": all_members, "svm": 0, "all": all_members}[selection.model]
        machine = has_machine(selection.model)
        f1 = f"**{runs.f1_macro_mean:.3f}** ± {runs.f1_macro_std:.3f}"
        epochs = f"{runs.best_epoch_mean:.1f} ± {runs.best_epoch_std:.1f}"
        rows.append([text(name), f1, *cells_of(result, result), *fit, origin(choice, members, machine), epochs])
        if members < all_members or machine:
            fit = [f"({raw})" for raw in fit_of(result.ensemble)]
            rows.append([text(name), "", *cells_of(result.ensemble, result), *fit, origin(choice, all_members, 0), ""])
    return table(head, rows)


def fit_of(judged: Calibration) -> list[str]:
    """Return loss and calibration error as text."""
    return [f"{judged.loss:.3f}", f"{judged.expected_calibration_error:.3f}"]


def cells_of(scored: Judged | Baseline, judged: Judgement) -> list[str]:
    """Return a model's SCORES, as `with_interval` takes it, as cells."""
    track = f"{scored.track.f1_macro:.3f}" if scored.track else "tracks unknown"
    return [with_interval(scored, "f1_macro", judged), with_interval(scored, "accuracy", judged), track]


def baselines_table(judged: dict[str, Judgement]) -> list[str]:
    """Return the table of the chosen model beside the ensemble and the baselines."""
    rows = []
    for name, result in judged.items():
        for model, scored in result.models.items():
            at_random = getattr(scored, "f1_macro_split_at_random", None)
            cells = [text(name), model.replace("_", " "), *cells_of(scored, result)]
            rows.append([*cells, "" if at_random is None else f"{at_random:.3f}"])
    head = ["representation", "model", *SCORES, "macro F1, split at random"]
    return table(head, rows)


def mistakes_table(judged: dict[str, Judgement], classes: list[str]) -> list[str]:
    """Return the table of the surest of the chosen models' mistakes on whole songs of the test set."""
    rows = []
    for name, result in judged.items():
        path = VERDICTS / f"{name}.csv"
        verdicts = list(read_verdicts(path, classes))
        share = sum(each.verdict == each.actual for each in verdicts) / max(1, len(verdicts))
        if result.track and (result.track.tracks, result.track.accuracy) != (len(verdicts), share):
            raise UserError(mixed(path))
        for each in surest_mistakes(verdicts):
            names = map(text, (name, each.song, each.actual, each.verdict))
            rows.append([*names, f"{each.probability:.2f}", seconds_of(each, classes)])
    head = ["representation", "song", "class", "verdict", "probability", "seconds"]
    return table(head, rows) if rows else ["None: songs are unknown, or every verdict is right."]


def seconds_of(verdict: Verdict, classes: list[str]) -> str:
    """Return how many seconds of a song were taken for which class, the most frequent first, as Markdown."""
    taken = sorted(zip(verdict.seconds, classes, strict=True), key=lambda each: -each[0])
    return text(few_of([f"{name} {n}" for n, name in taken if n]))


def devices_table() -> list[str]:
    """Return the table of the devices' seconds."""
    compared, timings = read_by_name(Comparison, COMPARED), read_timings()
    head = ["representation", "one run, CPU", "one run, GPU", "all runs, CPU", "all runs, GPU", "all runs: CPU / GPU"]
    head += ["steps/s, CPU", "steps/s, GPU", "largest difference of validation macro F1"]

    def cell(value: float | None, digits: int, unit: str = "") -> str:
        return "not measured" if value is None else f"{value:,.{digits}f}{unit}"

    rows = []
    for name, row in compared.items():
        seconds = [row.cpu_seconds, row.gpu_seconds, row.cpu_all_runs_seconds, row.gpu_all_runs_seconds]
        cells = [text(name), *(cell(value, 2, " s") for value in seconds), cell(row.gpu_speedup, 1)]
        for timing in timings.values():
            cells.append(cell(timing.representations[name].steps_per_second if isinstance(timing, Timing) else None, 0))
        rows.append([*cells, cell(row.max_val_f1_difference, 4)])
    starts = {device: getattr(timing, "start_seconds", None) for device, timing in timings.items()}
    start = ", ".join(f"{device.upper()} {cell(value, 2, ' s')}" for device, value in starts.items())
    return [*table(head, rows), "", f"Start: {start}"]
