"""What the page says of a model, in plain words."""

from stages.common.files import few_of
from stages.common.joint import Joint
from stages.common.records import NETWORKS, Card
from stages.common.results import Judgement
from stages.models.about import DEMO, LICENCE, describe_split, not_intended


def title(card: Card | Joint, judged: Judgement) -> str:
    """Return how a model is told from the others."""
    return f"{card.representation} (macro F1 {judged.f1_macro:.3f})"


def warning(card: Card | Joint) -> str | None:
    """Return what must be known before anything that a model says is believed."""
    if card.data.dataset != DEMO:
        return None
    return (
        "This is a demo. The model was trained on short pieces that a program composed, and knows nothing of real "
        "music: what it says of a song shows how this page works, no more."
    )


def about(card: Card | Joint, judged: Judgement) -> list[str]:
    """Return what a model was trained on, how good it is and what it is not for, a sentence or two each."""
    train, test = (sum(card.data.counts[part].values()) for part in ("train", "test"))
    songs = f" of {judged.track.tracks} songs" if judged.track else ""
    sure = judged.rests_on or f"95 % interval {judged.f1_macro_low:.3f} to {judged.f1_macro_high:.3f}"
    return [
        f"It is {what_hears(card)} music at {card.front_end.sample_rate} Hz, one second at a time, as "
        f"{what_is_heard(card)}.",
        f"It was trained on {train:,} seconds of {few_of(card.classes)} from {card.data.dataset}. "
        f"{LICENCE[card.data.dataset == DEMO]} Split: {describe_split(card.data)}.",
        f"On {test:,} other seconds{songs}, which had no say in its training, its macro F1 is {judged.f1_macro:.3f} "
        f"({sure}); 1 would be perfect.",
        *(f"Not for: {use[0].lower()}{use[1:]}" for use in not_intended(card)),
    ]


def what_is_heard(card: Card | Joint) -> str:
    """Return what a second of music is to a model."""
    if isinstance(card, Joint):
        return " and as ".join(card.representations)
    return f"{' x '.join(map(str, card.shape))} numbers ({card.representation})"


def what_hears(card: Card | Joint) -> str:
    """Return what a model is, and the verb to it."""
    if isinstance(card, Joint):
        return f"the mean of what {len(card.representations)} models answer, each of which hears"
    network, n = NETWORKS[card.network], len(card.members)
    several = f"the mean of what {n} {network}s answer"
    parts = {0: [], 1: [f"a {network}"]}.get(n, [several]) + (["a support vector machine"] if card.vectors else [])
    if len(parts) > 1:
        return f"the mean of two: {' and '.join(parts)}, which hear"
    return f"{parts[0]}, which hear" if n > 1 else f"{parts[0]} that hears"
