"""select: choose, for each representation, the snapshot with the highest validation macro F1.

Over devices, runs and epochs; ties go to the CPU, then to the earliest run, then to the earliest epoch. Copies it to
data/model/REPRESENTATION.safetensors beside a card that rebuilds it, and writes metrics/select.json. With
`model: ensemble`, data/model holds the best snapshot of every run on that device, each tensor's name behind the number
of its snapshot.
"""

import shutil
from pathlib import Path

from stages.audio.front_end import SAMPLE_RATE, settings
from stages.common.files import MODEL, SELECTED, card_path, digest, snapshot_path, weights_path
from stages.common.fingerprints import read_description, read_histories
from stages.common.params import load_params
from stages.common.records import Card, CardData, Choice, Description, History
from stages.common.results import Selection
from stages.common.running import run_stage
from stages.common.tensors import read_prepared, read_tensors
from stages.common.writing import replacing_folder, write_bytes
from stages.models.snapshots import best_choice, best_of_runs, members_of


def main() -> None:
    """Choose and copy one model a representation."""
    description, model = read_description(), load_params().model
    histories = read_histories(description)
    chosen = {name: choose(histories, name) for name in description.representations}
    best = max(chosen, key=lambda name: chosen[name].val_f1_macro)
    with replacing_folder(MODEL) as folder:
        for name, choice in chosen.items():
            history, weights = histories[choice.device], folder / weights_path(name).name
            members = members_of(model, choice, history.representations[name].runs)
            write_weights(weights, name, members, history.fingerprint)
            card = card_of(name, members, history, description, digest(weights))
            card.write(folder / card_path(name).name)
    Selection(best=best, model=model, representations=chosen).write(SELECTED)
    for name, choice in chosen.items():
        where = f"{choice.device} run {choice.run} epoch {choice.epoch}"
        print(f"select: {name}: {where}, validation macro F1 {choice.val_f1_macro:.3f}")


def choose(histories: dict[str, History], representation: str) -> Choice:
    """Return a representation's best snapshot: the best of every run's best."""
    by_device = (best_of_runs(device, each.representations[representation].runs) for device, each in histories.items())
    return best_choice([choice for choices in by_device for choice in choices])


def write_weights(path: Path, representation: str, members: list[Choice], fingerprint: str) -> None:
    """Copy the snapshot of a single member; put those of several into one file, names behind the member's number."""
    from safetensors.numpy import save

    sources = [snapshot_path(each.device, representation, each.run, each.epoch) for each in members]
    states = [read_tensors(source, "np", fingerprint) for source in sources]
    if len(members) == 1:
        shutil.copyfile(sources[0], path)
        return
    tensors = {f"{number}.{name}": tensor for number, state in enumerate(states) for name, tensor in state.items()}
    write_bytes(path, save(tensors, {"fingerprint": fingerprint}))


def card_of(
    representation: str, members: list[Choice], history: History, description: Description, weights: str
) -> Card:
    """Return what rebuilds the model, whose weights have the given digest, and says where it came from."""
    columns = read_prepared(representation, description, "np", ("mean", "std"))
    mean, std = (columns[name].tolist() for name in ("mean", "std"))
    shape, source = description.representations[representation].shape, description.source
    known = source.model_dump(exclude_unset=True)
    return Card(
        fingerprint=history.fingerprint,
        weights=weights,
        representation=representation,
        network=history.representations[representation].network,
        shape=shape,
        hidden=history.params["hidden"],
        classes=description.classes,
        mean=mean,
        std=std,
        front_end=settings(representation, shape, source.sample_rate or SAMPLE_RATE),
        params=history.params,
        chosen=best_choice(members),
        members=members,
        data=CardData(**known, fingerprint=description.fingerprint, counts=description.counts),
    )


if __name__ == "__main__":
    run_stage(main)
