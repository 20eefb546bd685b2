"""The joint model's card: what it names, and that it is of the models that are there."""

import json

import pytest
from small_models import make_joint, make_model

from stages.common.files import UserError, card_path
from stages.common.fingerprints import read_cards
from stages.common.joint import JOINT, has_joint, joint_of, path_of, read_model, read_models
from stages.common.records import Card
from stages.common.writing import write_json


@pytest.fixture
def joint(workplace):
    for representation in ("melgrams", "mfccs"):
        make_model(representation)
    return make_joint("melgrams", "mfccs")


def test_it_is_called_by_all_names_and_leads_to_all_cards(joint):
    assert joint.representation == "melgrams + mfccs"
    cards = {card_path(name): card for name, card in read_cards().items()}
    assert read_model(JOINT) == (joint, cards)
    assert read_models() == read_cards() | {"melgrams + mfccs": joint}
    assert [path_of(card) for card in read_models().values()] == [*cards, JOINT]
    for path, card in cards.items():
        assert read_model(path) == (card, {path: card})


def test_without_one_there_are_the_others(joint):
    JOINT.unlink()
    assert read_models() == read_cards()


def test_it_is_refused_beside_other_models(joint):
    card = json.loads(card_path("mfccs").read_text())
    write_json(card_path("mfccs"), card | {"weights": "0" * 64})
    with pytest.raises(UserError, match=f"{JOINT}: was made from other data or parameters"):
        read_models()
    card_path("mfccs").unlink()
    with pytest.raises(UserError, match=f"{card_path('mfccs')}: not found"):
        read_model(JOINT)


def test_damage_is_named(joint):
    write_json(JOINT, json.loads(JOINT.read_text()) | {"temperature": "warm"})
    with pytest.raises(UserError, match=f"{JOINT}: temperature: Input should be a valid number"):
        read_models()
    write_json(JOINT, [1])
    with pytest.raises(UserError, match=f"{JOINT}: the file: Input should be a valid dictionary"):
        read_models()


def test_it_accepts_audio_if_all_do(joint):
    assert joint.front_end == Card.read(card_path("melgrams")).front_end
    cards = read_cards()
    deaf = cards | {"mfccs": cards["mfccs"].model_copy(update={"front_end": None})}
    assert joint_of(deaf, 1.0, 0.5).front_end is None


def test_only_all_of_several_representations_has_one():
    assert has_joint("all", ["a", "b"])
    assert not has_joint("all", ["a"])
    assert not has_joint("svm", ["a", "b"])
