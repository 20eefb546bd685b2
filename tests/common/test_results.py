"""Results: names that people give may be like keys of our own; what scores rest on where that is little."""

import json

import pytest
from reporting.judged import JUDGED, TRACKS

from stages.common.records import Choice
from stages.common.results import PARTS_OF_TIME, Baselines, Selection, Timing

NAMES = ("best", "cpu", "threads", "hardware", "representations", "fingerprint", "seconds")
CHOICE = Choice(device="cpu", run=1, epoch=2, val_f1_macro=0.5)
SECONDS = {part: {"median": 1, "min": 1, "max": 1} for part in PARTS_OF_TIME}
HARDWARE = {"cpu": "a", "cores": 2, "instruction_set": "b", "versions": {}}
TIMED = {"seconds": SECONDS, "runs_at_once": 1, "all_runs_seconds": 1, "steps_per_second": 1, "samples_per_second": 1}


def test_names_like_keys_of_our_own_lose_nothing(tmp_path):
    path, timed = tmp_path / "a.json", TIMED | {"threads": 1}
    for record in (
        Selection(best="best", model="best", representations=dict.fromkeys(NAMES, CHOICE)),
        Baselines(fingerprint="f", params={}, representations={name: {} for name in NAMES}),
        Timing(hardware=HARDWARE, start_seconds=1, representations=dict.fromkeys(NAMES, timed)),
    ):
        record.write(path)
        assert type(record).read(path) == record
        assert set(json.loads(path.read_text())["representations"]) == set(NAMES)


@pytest.mark.parametrize(
    ("units", "says"),
    [
        ({"groups": {"a": 9, "b": 5}}, None),
        ({"groups": {"a": 3, "b": 2, "c": 4}, "track": TRACKS}, "rests on 2 songs of b"),
        ({"groups": {"a": 9, "b": 4}, "track": TRACKS}, "rests on 4 songs of b"),
        ({"groups": {"a": 1, "b": 1}, "track": TRACKS}, "rests on 1 song of a"),
        ({"groups": {"a": 9, "b": 4}}, "rests on 4 groups of b"),
        ({"groups": {"a": 9, "b": 4}, "songs": {"a": 9, "b": 8}, "track": TRACKS}, "rests on 4 groups of b"),
        ({"blocks": {"a": 5, "b": 7}}, None),
        ({"blocks": {"a": 6, "b": 1}}, "rests on 1 block of b"),
    ],
)
def test_scores_of_few_songs_say_what_they_rest_on(units, says):
    assert JUDGED.model_copy(update={"groups": None, "blocks": None} | units).rests_on == says
