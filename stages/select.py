"""select: choose, for each representation, the snapshot with the highest validation macro F1.

Over devices, runs and epochs; of equals the CPU's, then the earliest run's, then the earliest epoch's. Copies it to
data/model/REPRESENTATION.safetensors beside a card that rebuilds it, and writes metrics/select.json.
"""

import shutil

from stages.audio.front_end import SAMPLE_RATE, settings
from stages.files import MODEL, SELECTED, card_path, snapshot_path, weights_path
from stages.fingerprints import digest, read_description, read_histories
from stages.learning.snapshots import best_epoch
from stages.records import Card, CardData, Choice, Description, History
from stages.results import Selection
from stages.running import run_stage
from stages.tensors import read_prepared, read_tensors
from stages.writing import replacing_folder


def main() -> None:
    """Choose and copy one model a representation."""
    description = read_description()
    histories = read_histories(description)
    chosen = {name: choose(histories, name) for name in description.representations}
    best = max(chosen, key=lambda name: chosen[name].val_f1_macro)
    with replacing_folder(MODEL) as folder:
        for name, choice in chosen.items():
            source = snapshot_path(choice.device, name, choice.run, choice.epoch)
            read_tensors(source, "np", histories[choice.device].fingerprint)  # a damaged one is refused
            shutil.copyfile(source, folder / weights_path(name).name)
            card = card_of(name, choice, histories[choice.device], description, digest(source))
            card.write(folder / card_path(name).name)
    Selection(best=best, representations=chosen).write(SELECTED)
    for name, choice in chosen.items():
        where = f"{choice.device} run {choice.run} epoch {choice.epoch}"
        print(f"select: {name}: {where}, validation macro F1 {choice.val_f1_macro:.3f}")


def choose(histories: dict[str, History], representation: str) -> Choice:
    """Return a representation's best snapshot: the best of every run's best."""
    candidates = [
        Choice(device=device, run=run, epoch=best, val_f1_macro=epochs[best].val_f1_macro)
        for device, history in histories.items()
        for run, epochs in enumerate(history.representations[representation].runs)
        if epochs  # a run may have diverged in its first epoch
        for best in [best_epoch(epochs)]
    ]
    return max(candidates, key=lambda candidate: candidate.val_f1_macro)  # max keeps the first of equals


def card_of(representation: str, choice: Choice, history: History, description: Description, weights: str) -> Card:
    """Return what rebuilds the model, whose weights have the given digest, and says where it came from."""
    columns = read_prepared(representation, description, "np", ("mean", "std"))
    mean, std = (columns[name].tolist() for name in ("mean", "std"))
    shape, source = description.representations[representation].shape, description.source
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
        chosen=choice,
        data=CardData(fingerprint=description.fingerprint, counts=description.counts, **source.model_dump()),
    )


if __name__ == "__main__":
    run_stage(main)
