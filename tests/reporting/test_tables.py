"""Tables: without tracks, with few of them, with a GPU."""

import pytest
from reporting.judged import FEW, HARDWARE, JUDGED, SECONDS, TRACKS, UNLIKE

from stages.common.files import COMPARED, SELECTED, VERDICTS, UserError, timing_path
from stages.common.records import write_by_name
from stages.common.results import Comparison, Selection, Timing
from stages.models.songs import Verdict, write_verdicts
from stages.reporting import tables

CHOICE = {"device": "gpu", "run": 1, "epoch": 3, "val_f1_macro": 0.7}


@pytest.fixture
def metrics(tmp_path, monkeypatch):
    """The metrics of a run on a CPU and a GPU."""
    monkeypatch.chdir(tmp_path)
    Selection(best="other", model="best", representations={"other": CHOICE}).write(SELECTED)
    comparison = Comparison(
        cpu_seconds=2.0,
        gpu_seconds=0.75,
        cpu_all_runs_seconds=10.0,
        gpu_all_runs_seconds=1.5,
        gpu_speedup=10 / 1.5,
        max_val_f1_difference=0.0123,
    )
    write_by_name(COMPARED, {"other": comparison})
    for device, start, steps in (("cpu", 0.5, 600.0), ("gpu", 4.25, 12000.0)):
        timed = {"seconds": SECONDS, "runs_at_once": 1, "all_runs_seconds": 1, "samples_per_second": 1, "threads": 1}
        timed = {"other": timed | {"steps_per_second": steps}}
        Timing(hardware=HARDWARE, start_seconds=start, representations=timed).write(timing_path(device))


def test_headline_without_tracks(metrics):
    row, ensemble = tables.headline({"other": JUDGED})[-2:]
    assert "| **0.680** ± 0.020 | 0.700 [0.610, 0.790] | 0.710 [0.600, 0.800] | tracks unknown |" in row
    assert "gpu, run 1, epoch 3 | 3.5 ± 0.5" in row
    assert ensemble == (
        "| other |  | 0.720 [0.610, 0.790] | 0.710 [0.600, 0.800] | tracks unknown | (0.800) | (0.040) "
        "| gpu, ensemble of 4 runs |  |"
    )


def test_every_figure_is_in_its_own_column(metrics):
    """scores: accuracy, its low and high end, macro F1, its low and high end."""
    assert tables.headline({"other": UNLIKE}) == [
        "| representation | test macro F1, all runs | macro F1 | accuracy | macro F1 by track "
        "| loss (uncalibrated) | calibration error (uncalibrated) | chosen from | epoch, all runs |",
        f"|{' --- |' * 9}",
        "| other | **0.180** ± 0.019 | 0.130 [0.140, 0.150] | 0.100 [0.110, 0.120] | 0.170 "
        "| 1.250 (1.350) | 0.025 (0.045) | gpu, run 1, epoch 3 | 3.5 ± 0.5 |",
        "| other |  | 0.230 [0.240, 0.250] | 0.200 [0.210, 0.220] | 0.270 | (1.500) | (0.035) "
        "| gpu, ensemble of 4 runs |  |",
    ]
    assert tables.baselines_table({"other": UNLIKE}) == [
        "| representation | model | macro F1 | accuracy | macro F1 by track | macro F1, split at random |",
        f"|{' --- |' * 6}",
        "| other | chosen model | 0.130 [0.140, 0.150] | 0.100 [0.110, 0.120] | 0.170 |  |",
        "| other | ensemble | 0.230 [0.240, 0.250] | 0.200 [0.210, 0.220] | 0.270 |  |",
        "| other | majority class | 0.330 [0.340, 0.350] | 0.300 [0.310, 0.320] | 0.370 |  |",
        "| other | logistic regression | 0.430 [0.440, 0.450] | 0.400 [0.410, 0.420] | tracks unknown | 0.460 |",
    ]


def test_headline_of_an_ensemble(metrics):
    Selection(best="other", model="ensemble", representations={"other": CHOICE}).write(SELECTED)
    *_, rule, row = tables.headline({"other": JUDGED})
    assert rule.startswith("| ---")
    assert "gpu, ensemble of 4 runs | 3.5 ± 0.5" in row


@pytest.mark.parametrize(
    ("model", "origin"),
    [("svm", "support vector machine"), ("all", "gpu, ensemble of 4 runs + support vector machine")],
)
def test_headline_of_a_support_vector_machine(metrics, model, origin):
    Selection(best="other", model=model, representations={"other": CHOICE}).write(SELECTED)
    *_, row, ensemble = tables.headline({"other": JUDGED})
    assert f"| {origin} | 3.5 ± 0.5 |" in row
    assert ensemble.endswith("| gpu, ensemble of 4 runs |  |")


def test_a_joint_model_has_no_runs(metrics):
    Selection(best="other", model="all", representations={"other": CHOICE}).write(SELECTED)
    joint = JUDGED.model_copy(update={"runs": None, "ensemble": None, "baselines": None})
    assert tables.headline({"other": JUDGED, "other + one": joint})[-1] == (
        "| other + one |  | 0.700 [0.610, 0.790] | 0.710 [0.600, 0.800] | tracks unknown | 0.900 (0.950) "
        "| 0.050 (0.060) | mean of the others |  |"
    )
    assert [line.split(" | ")[1] for line in tables.baselines_table({"other + one": joint})[2:]] == ["chosen model"]


def test_baselines():
    lines = tables.baselines_table({"other": JUDGED})
    assert [line.split(" | ")[1] for line in lines[2:]] == ["chosen model", "ensemble", "svm rbf"]
    assert lines[-1] == "| other | svm rbf | 0.650 [0.610, 0.790] | 0.710 [0.600, 0.800] | tracks unknown |  |"


CLASSES = ["a", "b*"]
SURE = [Verdict("x/1_2.mp3", "a", "b*", 0.912, [1, 7]), Verdict("5", "b*", "a", 0.75, [3, 0])]
RIGHT = Verdict("9", "a", "a", 0.99, [5, 1])


def test_the_surest_mistakes_by_name(tmp_path, monkeypatch):
    """In Markdown: a class is called b*. Of a representation without songs nothing is said."""
    monkeypatch.chdir(tmp_path)
    write_verdicts(VERDICTS / "other.csv", CLASSES, [*SURE, RIGHT])
    write_verdicts(VERDICTS / "none.csv", CLASSES, [])
    track = TRACKS.model_copy(update={"tracks": 3, "accuracy": 1 / 3})
    known = JUDGED.model_copy(update={"track": track})
    assert tables.mistakes_table({"other": known, "none": JUDGED}, CLASSES) == [
        "| representation | song | class | verdict | probability | seconds |",
        f"|{' --- |' * 6}",
        "| other | x/1_2.mp3 | a | b\\* | 0.91 | b\\* 7, a 1 |",
        "| other | 5 | b\\* | a | 0.75 | a 3 |",
    ]
    assert tables.mistakes_table({"none": JUDGED}, CLASSES) == ["None: songs are unknown, or every verdict is right."]
    for wrong in ({"tracks": 4}, {"accuracy": 2 / 3}):
        other = JUDGED.model_copy(update={"track": track.model_copy(update=wrong)})
        with pytest.raises(UserError, match=r"^data/verdicts/other.csv: was made from other data or parameters"):
            tables.mistakes_table({"other": other}, CLASSES)


def test_few_songs_stand_where_the_interval_was(metrics):
    """In Markdown: the class is called b*."""
    *_, row, ensemble = tables.headline({"other": FEW})
    assert "| 0.700, rests on 2 songs of b\\* | 0.710, rests on 2 songs of b\\* |" in row
    assert "| 0.720, rests on 2 songs of b\\* | 0.710, rests on 2 songs of b\\* |" in ensemble
    row = tables.baselines_table({"other": FEW})[-1]
    assert (
        row
        == "| other | svm rbf | 0.650, rests on 2 songs of b\\* | 0.710, rests on 2 songs of b\\* | tracks unknown |  |"
    )


def test_devices(metrics):
    assert tables.devices_table() == [
        "| representation | one run, CPU | one run, GPU | all runs, CPU | all runs, GPU | all runs: CPU / GPU "
        "| steps/s, CPU | steps/s, GPU | largest difference of validation macro F1 |",
        f"|{' --- |' * 9}",
        "| other | 2.00 s | 0.75 s | 10.00 s | 1.50 s | 6.7 | 600 | 12,000 | 0.0123 |",
        "",
        "Start: CPU 0.50 s, GPU 4.25 s",
    ]
