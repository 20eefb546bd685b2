"""select: choose, for each representation, the snapshot with the highest validation macro F1, and make the model of it.

Over devices, runs and epochs (or the runs' last epochs, if only those are kept); ties go to the CPU, then to the
earliest run, then to the earliest epoch. With `model: best` it is the model; `ensemble` takes the best snapshot of
every run on that device, `svm` a support vector machine, which learns the training set here (10,000 samples drawn at
random if there are more), `all` the mean of that ensemble's probabilities and the machine's.
data/model/REPRESENTATION.safetensors holds the weights, each tensor's name prefixed with the number of its model where
there are several, beside a card that rebuilds it. With `all`, of several representations, a joint model
(stages/common/joint.py) is the mean of the probabilities of theirs.

The validation set also gives a model its temperature (stages/models/calibration.py). Writes metrics/select.json.
"""

import stages  # isort: skip # noqa: F401 # stops a Python that takes this file for its own module, or has no packages
import shutil
from pathlib import Path

import numpy as np
import torch

from stages.audio.front_end import SAMPLE_RATE, settings
from stages.common.files import MODEL, SELECTED, card_path, digest, snapshot_path, weights_path
from stages.common.fingerprints import read_description, read_histories
from stages.common.joint import JOINT, Joint, has_joint, joint_of
from stages.common.params import load_params
from stages.common.records import Card, CardData, Choice, Description, History
from stages.common.results import MOST_SAMPLES, Selection
from stages.common.running import run_stage
from stages.common.tensors import read_prepared, read_tensors
from stages.common.writing import replacing_folder, write_bytes
from stages.models import svm
from stages.models.about import origin
from stages.models.calibration import fit_temperature
from stages.models.ensemble import log_mean_probability
from stages.models.judging import answer
from stages.models.scoring import count, scores
from stages.models.snapshots import best_of_runs, has_machine, load_chosen, members_of

SEED = 0  # of the samples drawn where there are more


def main() -> None:
    """Choose and make one model a representation."""
    torch.set_num_threads(1)
    description, model = read_description(), load_params().model
    histories = read_histories(description)
    chosen = {name: choose(histories, name) for name in description.representations}
    cards, answers = {}, {}
    with replacing_folder(MODEL) as folder:
        for name, choice in chosen.items():
            history, weights = histories[choice.device], folder / weights_path(name).name
            members = members_of(model, choice, history, name)
            machine = learn(name, description, history.params["class_weights"]) if has_machine(model) else None
            write_weights(weights, name, members, machine, history.fingerprint)
            vectors = len(machine[1].vectors) if machine else 0
            made = {"weights": digest(weights), "members": members, "vectors": vectors}
            path, card = folder / card_path(name).name, card_of(name, choice, history, description, made)
            answers[name], *classes = validate(card, path, description)
            cards[name] = card.model_copy(update=judge(answers[name], *classes))
            cards[name].write(path)
        if has_joint(model, cards):
            joint = joint_of(cards, **judge(log_mean_probability(answers.values()), *classes))
            joint.write(folder / JOINT.relative_to(MODEL))
            cards[joint.representation] = joint
    best = max(chosen, key=lambda name: cards[name].val_f1_macro)
    Selection(best=best, model=model, representations=chosen).write(SELECTED)
    report(cards)


def report(cards: dict[str, Card | Joint]) -> None:
    """Print what was chosen."""
    for name, card in cards.items():
        joint = isinstance(card, Joint)
        what = "mean of the others" if joint else origin(card.chosen, len(card.members), card.vectors)
        figures = f"temperature {card.temperature:.2f}, validation macro F1 {card.val_f1_macro:.3f}"
        print(f"select: {name}: {what}, {figures}")


def choose(histories: dict[str, History], representation: str) -> Choice:
    """Return a representation's best snapshot; ties go to the first."""
    choices = [each for device, history in histories.items() for each in best_of_runs(device, history, representation)]
    return max(choices, key=lambda choice: choice.val_f1_macro)


def learn(representation: str, description: Description, class_weights: str) -> svm.Svm:
    """Return a support vector machine that learnt the training set, calibrated by the validation set."""
    data = read_prepared(representation, description, "pt", ("train_x", "train_y", "val_x", "val_y"))
    y = data["train_y"].numpy()
    rows = some_of(y) if len(y) > MOST_SAMPLES else slice(None)
    class_weight = {"none": None, "balanced": "balanced"}[class_weights]
    machine = svm.fit(data["train_x"].numpy()[rows], y[rows], class_weight)
    svm.calibrate(machine, *(data[key] for key in ("val_x", "val_y", "train_y")))
    return machine


def some_of(y: np.ndarray) -> np.ndarray:
    """Draw MOST_SAMPLES rows of classes y, shape (n,), and add the first of each class: none may be missing."""
    drawn = np.random.default_rng(SEED).choice(len(y), MOST_SAMPLES, replace=False)
    return np.union1d(drawn, np.unique(y, return_index=True)[1])


def write_weights(
    path: Path, representation: str, members: list[Choice], machine: svm.Svm | None, fingerprint: str
) -> None:
    """Copy the snapshot of a single member; of several models put the weights of all into one file."""
    from safetensors.numpy import save

    sources = [snapshot_path(each.device, representation, each.run, each.epoch) for each in members]
    states = [read_tensors(source, "np", fingerprint) for source in sources]
    if len(members) == 1 and not machine:
        shutil.copyfile(sources[0], path)
        return
    networks = [numbered(states)] if states else []
    machines = [{name: tensor.numpy() for name, tensor in machine.state_dict().items()}] if machine else []
    write_bytes(path, save(numbered([*networks, *machines]), {"fingerprint": fingerprint}))


def numbered(states: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return several models' tensors as one's, each name prefixed by its model's number; a single one's as they are."""
    if len(states) == 1:
        return states[0]
    return {f"{number}.{name}": tensor for number, state in enumerate(states) for name, tensor in state.items()}


def card_of(representation: str, choice: Choice, history: History, description: Description, model: dict) -> Card:
    """Return what rebuilds a model, given as the card has it, and says where it came from; it is yet to be judged."""
    columns = read_prepared(representation, description, "np", ("mean", "std"))
    mean, std = (columns[name].tolist() for name in ("mean", "std"))
    shape, source = description.representations[representation].shape, description.source
    known = source.model_dump(exclude_unset=True)
    return Card(
        fingerprint=history.fingerprint,
        representation=representation,
        network=history.representations[representation].network,
        shape=shape,
        hidden=history.params["hidden"],
        classes=description.classes,
        mean=mean,
        std=std,
        front_end=settings(representation, shape, source.sample_rate or SAMPLE_RATE),
        params=history.params,
        chosen=choice,
        temperature=1,
        val_f1_macro=0,
        data=CardData(**known, fingerprint=description.fingerprint, counts=description.counts),
        **model,
    )


def validate(card: Card, path: Path, description: Description) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a model's logits on the validation set, and the classes there and in training; `path` is its card's."""
    data = read_prepared(card.representation, description, "pt", ("val_x", "val_y", "train_y"))
    return answer(load_chosen(card, path), data["val_x"]), data["val_y"], data["train_y"]


def judge(logits: torch.Tensor, y: torch.Tensor, train_y: torch.Tensor) -> dict[str, float]:
    """Return the temperature and macro F1 of answers to the validation set, of classes y."""
    counts = count(y.numpy(), logits.argmax(dim=1).numpy(), logits.shape[1])
    return {"temperature": fit_temperature(logits, y, train_y), "val_f1_macro": scores(counts)["f1_macro"]}


if __name__ == "__main__":
    run_stage(main)
