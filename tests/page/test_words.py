"""words: the figures, what they rest on, and a warning where they say nothing of real music."""

from models import make_model
from reporting.judged import JUDGED

from stages.files import card_path
from stages.page import words
from stages.records import Card
from stages.results import Tracks


def test_it_says_what_the_figures_rest_on(workplace):
    make_model("mfccs")
    card = Card.read(card_path("mfccs"))
    assert words.title(card, JUDGED) == "mfccs (macro F1 0.700)"
    said = " ".join(words.about(card, JUDGED))
    assert "a multilayer perceptron that hears music at 8000 Hz, one second at a time, as 26 numbers (mfccs)" in said
    assert "trained on 3,000 seconds of blues, classical, pop from data/mine" in said
    assert "On 60 other seconds, which had no say in its training, its macro F1 is 0.700, 95 % interval 0.610" in said
    tracks = Tracks(accuracy=0.7, f1_macro=0.7, tracks=12)
    assert "On 60 other seconds of 12 songs, which" in " ".join(
        words.about(card, JUDGED.model_copy(update={"track": tracks}))
    )


def test_a_demo_is_called_one(workplace):
    make_model("mfccs")
    card = Card.read(card_path("mfccs"))
    assert words.warning(card) is None
    demo = card.model_copy(update={"data": card.data.model_copy(update={"dataset": "data/demo"})})
    assert "knows nothing of real music" in words.warning(demo)
    assert "Not for: real music" in " ".join(words.about(demo, JUDGED))
