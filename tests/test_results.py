"""Results: names that people give may be like keys of our own."""

import json

from stages.records import Choice
from stages.results import PARTS_OF_TIME, Baselines, Selection, Timing

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
