"""words: the figures, what they rest on, and a warning where they say nothing of real music."""

from reporting.judged import JUDGED, TRACKS
from small_models import make_joint, make_model

from stages.common.files import card_path
from stages.common.records import Card
from stages.listening.page import words


def test_it_says_what_the_figures_rest_on(workplace):
    make_model("mfccs")
    card = Card.read(card_path("mfccs"))
    assert words.title(card, JUDGED) == "mfccs (macro F1 0.700)"
    said = " ".join(words.about(card, JUDGED))
    assert "a multilayer perceptron that hears music at 8000 Hz, one second at a time, as 26 numbers (mfccs)" in said
    assert "trained on 3,000 seconds of blues, classical, pop from data/mine" in said
    assert "On 60 other seconds, which had no say in its training, its macro F1 is 0.700 (95 % interval 0.610" in said
    assert "On 60 other seconds of 11 songs, which" in " ".join(
        words.about(card, JUDGED.model_copy(update={"track": TRACKS}))
    )


def test_of_many_classes_the_first_are_named(workplace):
    make_model("mfccs", classes=[f"c{i:03}" for i in range(500)])
    said = words.about(Card.read(card_path("mfccs")), JUDGED)[1]
    assert (
        " seconds of c000, c001, c002, c003, c004, c005, c006, c007, c008, c009, and 490 more from data/mine." in said
    )


def test_few_songs_stand_in_place_of_an_interval(workplace):
    make_model("mfccs")
    few = JUDGED.model_copy(update={"groups": {"a": 9, "b": 2}, "blocks": None, "track": TRACKS})
    said = " ".join(words.about(Card.read(card_path("mfccs")), few))
    assert "its macro F1 is 0.700 (rests on 2 songs of b); 1 would" in said
    assert "interval" not in said


def test_an_ensemble_is_called_one(workplace):
    make_model("mfccs", members=3)
    said = words.about(Card.read(card_path("mfccs")), JUDGED)[0]
    assert said.startswith("It is the mean of what 3 multilayer perceptrons answer, which hear music at 8000 Hz")


def test_a_support_vector_machine_is_called_one(workplace):
    said = []
    for members in (0, 1, 2):
        make_model("mfccs", members=members, vectors=5)
        said.append(words.about(Card.read(card_path("mfccs")), JUDGED)[0])
    alone, beside, of_several = said
    assert alone.startswith("It is a support vector machine that hears music at 8000 Hz")
    assert beside.startswith("It is the mean of two: a multilayer perceptron and a support vector machine, which hear")
    mean = "the mean of what 2 multilayer perceptrons answer"
    assert of_several.startswith(f"It is the mean of two: {mean} and a support vector machine, which hear")


def test_a_joint_model_is_called_one(workplace):
    for representation in ("melgrams", "mfccs"):
        make_model(representation)
    joint = make_joint("melgrams", "mfccs")
    assert words.title(joint, JUDGED) == "melgrams + mfccs (macro F1 0.700)"
    assert words.about(joint, JUDGED)[0] == (
        "It is the mean of what 2 models answer, each of which hears music at 8000 Hz, one second at a time, as "
        "melgrams and as mfccs."
    )


def test_a_demo_is_called_one(workplace):
    make_model("mfccs")
    card = Card.read(card_path("mfccs"))
    assert words.warning(card) is None
    demo = card.model_copy(update={"data": card.data.model_copy(update={"dataset": "data/demo"})})
    assert "knows nothing of real music" in words.warning(demo)
    assert "Not for: real music" in " ".join(words.about(demo, JUDGED))
