"""compare: two devices, side by side. (test_wiring.py holds what it says where there is but one.)"""

import csv
import re

import pytest

from stages import compare
from stages.common.files import COMPARED, CURVES, SECONDS, UserError, history_path, mixed, read_json, timing_path
from stages.common.records import read_by_name
from stages.common.results import Comparison
from stages.common.writing import write_json


def test_two_devices(trained):
    """The second device's history is the first one's with a known difference, its seconds are known."""
    other = read_json(history_path("cpu"))
    other["representations"]["mfccs"]["runs"][1][2]["val_f1_macro"] -= 0.25
    write_json(history_path("gpu"), other)
    timing = read_json(timing_path("cpu"))
    cpu = {name: dict(timed) for name, timed in timing["representations"].items()}
    for timed in timing["representations"].values():
        spent = dict.fromkeys(timed["seconds"], 3.0) | {"total": 20.0}
        seconds = {part: {"median": n, "min": n, "max": n} for part, n in spent.items()}
        timed |= {"seconds": seconds, "all_runs_seconds": timed["all_runs_seconds"] / 4, "runs_at_once": 2}
    write_json(timing_path("gpu"), timing)
    compare.main()
    found = read_by_name(Comparison, COMPARED)
    for name, difference in {"mfccs": 0.25, "melgrams": 0}.items():
        assert found[name] == Comparison(
            cpu_seconds=cpu[name]["seconds"]["total"]["median"],
            gpu_seconds=20.0,
            cpu_all_runs_seconds=cpu[name]["all_runs_seconds"],
            gpu_all_runs_seconds=cpu[name]["all_runs_seconds"] / 4,
            gpu_speedup=found[name].gpu_speedup,
            max_val_f1_difference=found[name].max_val_f1_difference,
        )
        assert found[name].gpu_speedup == pytest.approx(4)
        assert found[name].max_val_f1_difference == pytest.approx(difference)
    records = read_json(SECONDS)
    assert {(record["what"], record["part"]) for record in records} == {
        (f"{name}, {device}: {what}", part)
        for name in ("mfccs", "melgrams")
        for device, together in (("cpu", 1), ("gpu", 2))
        for what, part in (
            *(("one run", part) for part in ("warmup", "transfer", "train", "validate", "snapshot", "other")),
            (f"all 2 runs, {together} at a time", "all runs"),
        )
    }
    one = [record["seconds"] for record in records if record["what"] == "mfccs, gpu: one run"]
    assert sorted(one) == [3.0] * 5 + [5.0], "they add up to the whole"
    with (CURVES / "mfccs_gpu.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_f1_macro"]) for row in rows] == [
        epoch["val_f1_macro"] for epochs in other["representations"]["mfccs"]["runs"] for epoch in epochs
    ]


def test_times_of_other_representations_are_refused(trained):
    timing = read_json(timing_path("cpu"))
    del timing["representations"]["mfccs"]
    write_json(timing_path("cpu"), timing)
    with pytest.raises(UserError, match=re.escape(mixed(timing_path("cpu")))):
        compare.main()
    assert not COMPARED.exists()
