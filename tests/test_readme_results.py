"""The README's results: every figure in its own place, of figures of which no two are the same."""

from reporting.judged import HARDWARE, UNLIKE

from bench.guides import results
from stages.common.files import COMPARED, EVALUATED, SELECTED, timing_path
from stages.common.records import write_by_name
from stages.common.results import Comparison, Selection, Timing


def test_every_figure_is_in_its_own_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    choice = {"device": "cpu", "run": 1, "epoch": 3, "val_f1_macro": 0.7}
    Selection(best="other", model="best", representations={"other": choice}).write(SELECTED)
    write_by_name(EVALUATED, {"other": UNLIKE})
    seconds = {"cpu_seconds": 1.25, "gpu_seconds": 2.25, "cpu_all_runs_seconds": 3.25, "gpu_all_runs_seconds": 4.25}
    compared = Comparison(**seconds, gpu_speedup=5.25, max_val_f1_difference=6.25)
    write_by_name(COMPARED, {"other": compared})
    for device, python in (("cpu", "3.12"), ("gpu", "3.13")):
        hardware = HARDWARE.model_copy(update={"versions": {"python": python, "torch": "2.13"}})
        Timing(hardware=hardware, start_seconds=0, representations={}).write(timing_path(device))
    *table, _, rivals, _, small = results().rstrip().split("\n")
    assert [line.split(" | ")[1] for line in table[2:]] == ["**0.180** ± 0.019", ""]
    assert (
        rivals
        == "The best of the baselines on the same split, macro F1: other: logistic regression, 0.430 [0.440, 0.450]."
    )
    assert small == (
        "<sub>a processor, 2 cores; Python 3.12, torch 2.13. Seconds on the CPU: other 1.25 a run, 3.25 all runs. "
        "Runs and epochs count from 0.</sub>"
    )
