"""What every page says about a model: what it is not for, where its data come from, how they were split."""

from stages.common.records import UNITS, Card, CardData, Choice

DEMO = "data/demo"
# For the demo corpus, True, and for any other data set, False.
NOT_FOR = {
    True: "Real music: the demo corpus is synthetic and says nothing about it. Train on recordings first.",
    False: "Recordings unlike those of the training set, before it has been judged on some (genre judge FOLDER).",
}
LICENCE = {
    True: "Composed and rendered by this program: it holds no recording and no composition of anybody else.",
    False: "Its licence is not known to this program: see where the data set came from.",
}


def not_intended(card: Card) -> list[str]:
    """Return what a model is not for."""
    return [
        f"Music of other genres: a model knows {len(card.classes)} names and gives one of them to anything, noise "
        "and speech too.",
        "Decisions about people or payments: one second is little, and genres are a matter of convention.",
        NOT_FOR[card.data.dataset == DEMO],
    ]


def origin(choice: Choice, members: int, vectors: int) -> str:
    """Return where a model comes from, given its best snapshot and how many networks and support vectors it has."""
    alone = f"{choice.device}, run {choice.run}, epoch {choice.epoch}"
    several = f"{choice.device}, ensemble of {members} runs"
    networks = {0: [], 1: [alone]}.get(members, [several])
    return " + ".join([*networks, *(["support vector machine"] if vectors else [])])


def describe_split(data: CardData) -> str:
    """Return how the data were split, as a phrase."""
    how = "as given" if data.split == "given" else f"drawn with seed {data.split.seed}, stratified by class"
    return f"{how}, {'tracks unknown' if data.unit == 'block' else f'no {UNITS[data.unit]} in two parts'}"
