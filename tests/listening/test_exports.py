"""exports: an export of a model that is no longer there is named, and how it is made anew.

Files that hold what exports do stand in for them; test_agreement.py looks at real ones.
"""

import pytest
import soundfile
from small_models import cases, judge, make_joint, make_model

from stages import cli
from stages.common.files import card_path, read_json
from stages.common.fingerprints import read_cards
from stages.common.joint import JOINT, read_models
from stages.common.writing import write_json
from stages.listening import exports

BOTH = "melgrams + mfccs"


@pytest.fixture
def exported(workplace):
    """Two models and what they would be exported as."""
    for representation in ("melgrams", "mfccs"):
        make_model(representation)
    stand_in()


@pytest.fixture
def joined(exported):
    """These, and their joint model."""
    make_joint("melgrams", "mfccs")
    stand_in()


def stand_in():
    for path, text in exports.fingerprints(read_models()).items():
        path.write_text(text)
    assert exports.outdated(read_models()) == []


def change_card(representation, **changed):
    path = card_path(representation)
    write_json(path, read_json(path) | changed)


def of_page(cards):
    return exports.fingerprints(cards)[exports.PAGE]


def test_exports_of_other_models_are_named(exported, capsys):
    exports.tell_outdated()
    assert capsys.readouterr().err == ""
    change_card("mfccs", weights="0" * 64)
    exports.tell_outdated()
    assert capsys.readouterr().err == (
        "predict: data/model/mfccs.onnx, data/model/listen.html: of an older model; run `genre export` and "
        "`genre page` again\n"
    )
    card_path("mfccs").unlink()
    assert exports.outdated(read_cards()) == [exports.onnx_path("mfccs"), exports.PAGE]


@pytest.mark.parametrize("changed", [{"temperature": 0.8}, {"mean": [1.0] * 26}, {"classes": ["a", "b", "c"]}])
def test_a_card_counts_as_the_weights_do(joined, changed):
    """Of the joint model that of each part."""
    change_card("mfccs", **changed)
    assert exports.outdated(read_models()) == [*map(exports.onnx_path, (BOTH, "mfccs")), exports.PAGE]


def test_the_joint_models_temperature_is_its_own(joined):
    write_json(JOINT, read_json(JOINT) | {"temperature": 0.8})
    assert exports.outdated(read_models()) == [exports.onnx_path(BOTH), exports.PAGE]


def test_the_page_is_of_the_models_that_hear_sound_each_under_its_name(workplace):
    for representation in ("melgrams", "mfccs"):
        make_model(representation)
    cards = read_cards()
    swapped = dict(zip(cards, reversed(cards.values()), strict=True))
    assert len({of_page(some) for some in (cards, {"mfccs": cards["mfccs"]}, {}, swapped)}) == 4
    deaf = cards["mfccs"].model_copy(update={"front_end": None})
    assert of_page(cards | {"other": deaf}) == of_page(cards)


def test_predict_says_so(workplace, capsys):
    make_model("mfccs")
    judge("mfccs")
    exports.onnx_path("mfccs").write_bytes(b"of another model")
    soundfile.write("a.wav", cases(8000)["rock"], 8000)
    cli.run(["predict", "a.wav"])
    assert "predict: data/model/mfccs.onnx: of an older model; run `genre export` again\n" in capsys.readouterr().err


def test_without_exports_there_is_nothing_to_say(workplace, capsys):
    exports.tell_outdated()
    make_model("mfccs")
    exports.tell_outdated()
    assert capsys.readouterr().err == ""
