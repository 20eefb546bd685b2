"""What is said of a model: which data forbid what, and how they were split."""

import pytest
from reporting.test_model_card import CARD

from stages.models.about import DEMO, LICENCE, NOT_FOR, describe_split, not_intended, origin


@pytest.mark.parametrize(("dataset", "demo"), [(DEMO, True), ("data/mine", False)])
def test_a_model_of_the_demo_is_not_for_real_music(dataset, demo):
    card = CARD.model_copy(update={"data": CARD.data.model_copy(update={"dataset": dataset})})
    genres, people, recordings = not_intended(card)
    assert genres.startswith("Music of other genres: a model knows 2 names")
    assert people.startswith("Decisions about people or payments")
    assert recordings == NOT_FOR[demo]
    assert NOT_FOR.keys() == LICENCE.keys() == {True, False}


@pytest.mark.parametrize(
    ("split", "unit", "says"),
    [
        ("given", "block", "as given, tracks unknown"),
        ("given", "group", "as given, no group in two parts"),
        (
            {"seed": 7, "train": 3, "val": 1, "test": 1},
            "track",
            "drawn with seed 7, stratified by class, no song in two parts",
        ),
    ],
)
def test_the_split_is_described(split, unit, says):
    about = type(CARD.data)(**CARD.data.model_dump() | {"split": split, "unit": unit})
    assert describe_split(about) == says


@pytest.mark.parametrize(
    ("members", "vectors", "says"),
    [
        (1, 0, "cpu, run 0, epoch 2"),
        (3, 0, "cpu, ensemble of 3 runs"),
        (0, 9, "support vector machine"),
        (1, 9, "cpu, run 0, epoch 2 + support vector machine"),
        (3, 9, "cpu, ensemble of 3 runs + support vector machine"),
    ],
)
def test_a_model_comes_from_networks_a_support_vector_machine_or_both(members, vectors, says):
    assert origin(CARD.chosen, members, vectors) == says
