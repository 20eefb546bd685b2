"""Models of random weights, for tests of what hears with them."""

import numpy as np

from stages.audio.front_end import settings
from stages.files import card_path, weights_path
from stages.fingerprints import digest
from stages.learning.network import build_network
from stages.learning.snapshots import save_snapshot
from stages.writing import write_json

CLASSES = ["blues", "classical", "pop"]


def make_model(representation, network="mlp", rate=8000, classes=CLASSES):
    """Write a model of random weights with its card; return the network and the card."""
    shape = {"mfccs": (26,), "melgrams": (21, 128)}[representation]
    model = build_network(network, shape, [16], len(classes), seed=1)
    rng = np.random.default_rng(0)
    card = {
        "fingerprint": "t",
        "params": {},
        "chosen": {"device": "cpu", "run": 0, "epoch": 0, "val_f1_macro": 0.5},
        "data": {
            "fingerprint": "d",
            "dataset": "data/mine",
            "sample_rate": rate,
            "groups": None,
            "unit": "block",
            "split": "given",
            "standardize": True,
            "counts": {},
        },
        "representation": representation,
        "network": network,
        "shape": list(shape),
        "hidden": [16],
        "classes": classes,
        "mean": rng.normal(-1, 1, shape).tolist(),
        "std": rng.uniform(1, 3, shape).tolist(),
        "front_end": settings(representation, shape, rate),
    }
    weights = weights_path(representation)
    save_snapshot(weights, model.state_dict(), "t")
    write_json(card_path(representation), card | {"weights": digest(weights)})
    return model, card
