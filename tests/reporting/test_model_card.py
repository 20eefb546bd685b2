"""The model card's page: it claims nothing of the demo corpus where the data are one's own."""

import pytest
from reporting.judged import HARDWARE, JUDGED

from stages.files import timing_path
from stages.records import PARTS, Card
from stages.reporting.model_card import model_card
from stages.results import Timing

CHOICE = {"device": "cpu", "run": 0, "epoch": 2, "val_f1_macro": 0.5}


@pytest.mark.parametrize(
    ("members", "says"),
    [(1, ["| cpu, run 0, epoch 2 |", "single network"]), (2, ["| cpu, ensemble of 2 runs |", "is an ensemble"])],
)
def test_a_card_of_ones_own_data(tmp_path, monkeypatch, members, says):
    monkeypatch.chdir(tmp_path)
    Timing(hardware=HARDWARE, start_seconds=0, representations={}).write(timing_path("cpu"))
    card = Card(
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
        members=[CHOICE, CHOICE | {"run": 1}][:members],
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
    page = model_card({"other": card}, {"other": JUDGED})
    assert "synthetic" not in page
    assert all(words in page for words in says)
    assert "Its licence is not known" in page
    assert "Split: as given, tracks unknown" in page
    assert "| train | 5 | 6 |" in page
    assert "- model other: unknown" in page  # the front end
