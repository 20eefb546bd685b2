"""The model card's page: it claims nothing of the demo corpus where the data are one's own, and counts songs."""

import pytest
from reporting.judged import FEW, HARDWARE, JUDGED, UNLIKE

from stages.common.files import timing_path
from stages.common.records import PARTS, Card
from stages.common.results import Timing
from stages.reporting.model_card import model_card

CHOICE = {"device": "cpu", "run": 0, "epoch": 2, "val_f1_macro": 0.5}
CARD = Card(
    fingerprint="t",
    weights="w",
    representation="other",
    network="cnn",
    shape=[21, 128],
    hidden=[8],
    classes=["2", "10"],  # numbers, in their order
    mean=[],
    std=[],
    front_end=None,
    params={"lr": 0.1},
    chosen=CHOICE,
    members=[CHOICE],
    vectors=0,
    temperature=1,
    val_f1_macro=0.5,
    data={
        "fingerprint": "d",
        "dataset": "data/mine",
        "sample_rate": None,
        "groups": None,
        "unit": "block",
        "split": "given",
        "standardize": True,
        "counts": {part: {"10": 6, "2": 5} for part in PARTS},
    },
)


@pytest.mark.parametrize(
    ("members", "vectors", "says"),
    [
        (
            1,
            0,
            [
                "| cnn | cpu, run 0, epoch 2 |",
                "\nEach is a single network: the snapshot with the best",
            ],
        ),
        (
            2,
            0,
            [
                "| cnn | cpu, ensemble of 2 runs |",
                "\nEach is an ensemble: the mean of the ",
            ],
        ),
        (
            0,
            7,
            [
                "| svm of 7 vectors | support vector machine |",
                "\nEach is a support vector machine with an RBF kernel.\n",
            ],
        ),
        (
            2,
            7,
            [
                "| cnn + svm of 7 vectors | cpu, ensemble of 2 runs + support vector machine |",
                "best snapshot (with `snapshots: last`, its last), and a support vector machine with an RBF kernel; it "
                "answers with the mean of both.\n",
            ],
        ),
    ],
)
def test_a_card_of_ones_own_data(tmp_path, monkeypatch, members, vectors, says):
    monkeypatch.chdir(tmp_path)
    Timing(hardware=HARDWARE, start_seconds=0, representations={}).write(timing_path("cpu"))
    runs = [CARD.chosen, CARD.chosen.model_copy(update={"run": 1})]
    card = CARD.model_copy(update={"members": runs[:members], "vectors": vectors})
    page = model_card({"other": card}, {"other": JUDGED})
    assert "synthetic" not in page
    assert all(words in page for words in says)
    assert "Its licence is not known" in page
    assert "Split: as given, tracks unknown" in page
    assert "| train | 5 | 6 |" in page
    assert "- model other: unknown" in page  # the front end
    assert "songs" not in page


def test_songs_and_groups_are_counted_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Timing(hardware=HARDWARE, start_seconds=0, representations={}).write(timing_path("cpu"))
    groups, songs = ({part: {"10": n, "2": n + 1} for part in PARTS} for n in (7, 20))
    page = model_card(
        {"other": CARD.model_copy(update={"data": CARD.data.model_copy(update={"groups": groups, "unit": "track"})})},
        {"other": JUDGED},
    )
    assert "| songs | 2 | 10 |\n| --- | --- | --- |\n| train | 8 | 7 |" in page
    data = CARD.data.model_copy(update={"groups": groups, "unit": "group", "songs": songs})
    page = model_card({"other": CARD.model_copy(update={"data": data})}, {"other": JUDGED})
    assert "| songs | 2 | 10 |\n| --- | --- | --- |\n| train | 21 | 20 |" in page
    assert "| groups | 2 | 10 |\n| --- | --- | --- |\n| train | 8 | 7 |" in page


def test_of_many_classes_the_first_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Timing(hardware=HARDWARE, start_seconds=0, representations={}).write(timing_path("cpu"))
    names = [f"c{i:03}" for i in range(500)]
    data = CARD.data.model_copy(update={"counts": {part: dict.fromkeys(names, 5) for part in PARTS}})
    page = model_card({"other": CARD.model_copy(update={"classes": names, "data": data})}, {"other": JUDGED})
    told = ", ".join(names[:10]) + ", and 490 more"
    assert f"\nModels that name the genre of one second of music: {told}.\n" in page
    assert f"\n- One second at a time; 500 classes ({told}).\n" in page


def test_every_figure_is_in_its_own_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Timing(hardware=HARDWARE, start_seconds=0, representations={}).write(timing_path("cpu"))
    split = {"seed": 7, "train": 5, "val": 3, "test": 2}
    data = CARD.data.model_dump() | {"split": split, "standardize": False, "sample_rate": 8000}
    known = CARD.model_dump() | {"data": data, "front_end": {"definition": "d", "sample_rate": 8000}}
    mlp = known | {"representation": "mine", "network": "mlp", "shape": [26], "hidden": [12, 7]}
    mlp["front_end"] = {"definition": "e", "sample_rate": 16000}
    page = model_card({"other": Card(**known), "mine": Card(**mlp)}, {"other": JUDGED, "mine": UNLIKE})
    assert (
        "\n".join(
            [
                "| model | input | network | chosen from | test macro F1, all runs "
                "| macro F1 | accuracy | macro F1 by track |",
                f"|{' --- |' * 8}",
                "| other | 21 x 128 numbers a second | cnn | cpu, run 0, epoch 2 | 0.680 ± 0.020 "
                "| 0.700 [0.610, 0.790] | 0.710 [0.600, 0.800] | tracks unknown |",
                "| mine | 26 numbers a second | mlp 26-12-7-2 | cpu, run 0, epoch 2 | 0.180 ± 0.019 "
                "| 0.130 [0.140, 0.150] | 0.100 [0.110, 0.120] | 0.170 |",
            ]
        )
        in page
    )
    for line in (
        "- Data set: data/mine. Its licence is not known to this program: see where the data set came from.",
        "- Split: drawn with seed 7, stratified by class, tracks unknown; standardized by the training set: no.",
        "- model other: definition d, sample_rate 8000",
        "- model mine: definition e, sample_rate 16000",
        "- lr 0.1",
        "- versions: torch 2",
        "- Audio is analysed at 8000 and 16000 Hz: mono, and nothing above half of that.",
        "- One second at a time; 2 classes (2, 10).",
    ):
        assert line in page.splitlines()


def test_a_joint_model_has_a_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Timing(hardware=HARDWARE, start_seconds=0, representations={}).write(timing_path("cpu"))
    joint = UNLIKE.model_copy(update={"runs": None, "ensemble": None, "baselines": None})
    page = model_card({"other": CARD}, {"other": JUDGED, "other + one": joint})
    scored = " | 0.130 [0.140, 0.150] | 0.100 [0.110, 0.120] | 0.170"
    assert f"| other + one | all of these |  | mean of the others | {scored} |" in page.splitlines()


def test_songs_are_counted_where_they_are_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Timing(hardware=HARDWARE, start_seconds=0, representations={}).write(timing_path("cpu"))
    for n, unit, says in (
        (5, "track", ""),
        (4, "track", "- This is based on fewer than 5 songs of a class: test has 4 of 10."),
        (4, "group", "- This is based on fewer than 5 groups of a class: test has 4 of 10."),
    ):
        called = {"track": "song", "group": "group"}[unit]
        groups = {"train": {"10": 9, "2": 8}, "val": {"10": 5, "2": 6}, "test": {"10": n, "2": 7}}
        card = CARD.model_copy(update={"data": CARD.data.model_copy(update={"groups": groups, "unit": unit})})
        page = model_card({"other": card}, {"other": FEW if says else JUDGED})
        assert f"| {called}s | 2 | 10 |\n| --- | --- | --- |\n| train | 8 | 9 |" in page
        assert f"no {called} in two parts" in page
        assert ("fewer than 5" in page) == bool(says)
        assert says in page
        assert ("| 0.700, rests on 2 songs of b\\* |" in page) == bool(says)
