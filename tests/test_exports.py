"""exports: an export of a model that is no longer there is named, and how it is made anew."""

import json
import sys

import pytest
import soundfile
from small_models import cases, judge, make_model

import stages.page.__main__ as page
from stages import export, exports, predict, report
from stages.common.files import card_path
from stages.common.fingerprints import read_cards
from stages.common.writing import write_json


@pytest.fixture
def exported(workplace):
    """Two models and all that they are exported as."""
    for representation in ("melgrams", "mfccs"):
        make_model(representation)
    judge("melgrams", "mfccs")
    export.main()
    page.main()


def test_exports_of_other_models_are_named(exported, capsys):
    exports.tell_outdated("predict")
    assert capsys.readouterr().err == ""
    card = json.loads(card_path("mfccs").read_text())
    write_json(card_path("mfccs"), card | {"weights": "0" * 64})
    exports.tell_outdated("predict")
    assert capsys.readouterr().err == (
        "predict: data/model/mfccs.onnx, data/model/listen.html: of an older model; `python -m stages.export` and "
        "`python -m stages.page` again\n"
    )
    card_path("mfccs").unlink()
    assert exports.outdated(read_cards()) == [exports.onnx_path("mfccs"), exports.PAGE]


def test_the_page_is_of_the_models_that_hear_sound_each_under_its_name(exported):
    cards = read_cards()
    assert len({exports.of_page(cards), exports.of_page({"mfccs": cards["mfccs"]}), exports.of_page({})}) == 3
    assert exports.of_page(cards) != exports.of_page({"mfccs": cards["melgrams"], "melgrams": cards["mfccs"]})
    deaf = cards["mfccs"].model_copy(update={"front_end": None})
    assert exports.of_page(cards | {"other": deaf}) == exports.of_page(cards)


def test_predict_and_report_say_so(workplace, monkeypatch, capsys):
    make_model("mfccs")
    judge("mfccs")
    exports.onnx_path("mfccs").write_bytes(b"of another model")
    soundfile.write("a.wav", cases(8000)["rock"], 8000)
    monkeypatch.setattr(sys, "argv", ["predict", "a.wav"])
    predict.main()
    for part in ("check_together", "page.draw"):
        monkeypatch.setattr(f"stages.report.{part}", lambda *_: None)
    for part in ("page.report", "model_card.model_card"):
        monkeypatch.setattr(f"stages.report.{part}", lambda *_: "")
    monkeypatch.setattr(sys, "argv", ["report"])
    report.main()
    said = capsys.readouterr().err
    for who in ("predict", "report"):
        assert f"{who}: data/model/mfccs.onnx: of an older model; `python -m stages.export` again\n" in said


def test_without_exports_there_is_nothing_to_say(workplace, capsys):
    exports.tell_outdated("report")
    make_model("mfccs")
    exports.tell_outdated("report")
    assert capsys.readouterr().err == ""
