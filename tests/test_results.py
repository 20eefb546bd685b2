"""Results: names that people give may be like keys of our own."""

import json

from stages.records import Choice
from stages.results import Baselines, Selection, Timing

NAMES = ("best", "cpu", "threads", "hardware", "representations", "fingerprint", "seconds")
CHOICE = Choice(device="cpu", run=1, epoch=2, val_f1_macro=0.5)
TIMED = {"seconds": {}, "runs_at_once": 1, "all_runs_seconds": 1, "steps_per_second": 1, "samples_per_second": 1}


def test_names_like_keys_of_our_own_lose_nothing(tmp_path):
    path, timed = tmp_path / "a.json", TIMED | {"threads": 1}
    for record in (
        Selection(best="best", representations=dict.fromkeys(NAMES, CHOICE)),
        Baselines(fingerprint="f", representations={name: {} for name in NAMES}),
        Timing(hardware={"cpu": "a"}, start_seconds=1, representations=dict.fromkeys(NAMES, timed)),
    ):
        record.write(path)
        assert type(record).read(path) == record
        assert set(json.loads(path.read_text())["representations"]) == set(NAMES)
