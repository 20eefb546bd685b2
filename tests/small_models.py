"""Models that accept audio, of random weights, and seconds of sound that are hard to hear alike."""

from functools import cache

import numpy as np
import torch
from reporting.judged import JUDGED

from stages import demo
from stages.audio.decode import to_clips
from stages.audio.front_end import FRONT_ENDS, settings, shape_of
from stages.common.files import EVALUATED, SELECTED, card_path, digest, weights_path
from stages.common.joint import JOINT, joint_of
from stages.common.records import Card, write_by_name
from stages.common.writing import write_json
from stages.corpus.styles import GENRES
from stages.corpus.synth import RATE
from stages.models.ensemble import together
from stages.models.network import build_network
from stages.models.snapshots import save_snapshot
from stages.models.svm import Svm

CLASSES = ["blues", "classical", "pop"]
CHOSEN = {"device": "cpu", "run": 0, "epoch": 0, "val_f1_macro": 0.5}
TEMPERATURE = 0.7  # of each model
SPREAD = 2  # of a class's logits over the cases: a model that is sure of what it says


@cache
def cases(rate):
    """Return seconds at a rate, int16, by what they are: music, and what front ends stumble over."""
    music = {genre: to_clips(demo.sound(genre, 0) / 32768, RATE, rate)[3] for genre in GENRES}
    one = music["rock"] / np.abs(music["rock"]).max()
    time = np.arange(rate) / rate
    sounds = music | {
        "silence": np.zeros(rate),
        "half silence": np.where(time < 0.5, one, 0),
        "half silence, off the middle": np.where(time < 0.5, one / 2, 0) + 0.1,
        "clipping": np.clip(9 * one, -1, 1),
        "one click": np.where(np.arange(rate) == rate // 3, 1, 0),
        "full scale": np.sign(np.sin(2 * np.pi * 97 * (time + 1e-5))),
        "very soft": 3e-4 * one,
    }
    return {name: np.clip(np.round(32768 * sound), -32768, 32767).astype(np.int16) for name, sound in sounds.items()}


def make_model(representation, network="mlp", rate=8000, hidden=(16,), classes=CLASSES, members=1, vectors=0):
    """Write a model of so many networks and support vectors that hears the cases differently; return it and its card.

    The logits that it returns are yet to be divided by the temperature.
    """
    shape = shape_of(representation, rate)
    networks = [build_network(network, shape, list(hidden), len(classes), seed=1 + i).eval() for i in range(members)]
    features = FRONT_ENDS[representation](np.stack(list(cases(rate).values())) / 32768)
    mean, std = features.mean(axis=0), np.maximum(features.std(axis=0), 0.1)
    x = torch.from_numpy(((features - mean) / std).astype(np.float32))
    for each in networks:
        unsettle(each, x)
        sharpen(each, x)
    machine = [make_machine(x, vectors, len(classes))] if vectors else []
    model = together([*([together(networks)] if networks else []), *machine])
    card = {
        "fingerprint": "t",
        "params": {},
        "chosen": CHOSEN,
        "members": [CHOSEN | {"run": run} for run in range(members)],
        "vectors": vectors,
        "temperature": TEMPERATURE,
        "val_f1_macro": 0.5,
        "data": {
            "fingerprint": "d",
            "dataset": "data/mine",
            "sample_rate": rate,
            "groups": None,
            "unit": "block",
            "split": "given",
            "standardize": True,
            "counts": {part: dict.fromkeys(classes, n) for part, n in {"train": 1000, "val": 10, "test": 20}.items()},
        },
        "representation": representation,
        "network": network,
        "shape": list(shape),
        "hidden": list(hidden),
        "classes": classes,
        "mean": mean.tolist(),
        "std": std.tolist(),
        "front_end": settings(representation, shape, rate),
    }
    weights = weights_path(representation)
    save_snapshot(weights, model.state_dict(), "t")
    write_json(card_path(representation), card | {"weights": digest(weights)})
    return model, card


def make_joint(*representations):
    """Write the card of the mean of models that are there; return it."""
    cards = {name: Card.read(card_path(name)) for name in representations}
    joint = joint_of(cards, TEMPERATURE, 0.6)
    joint.write(JOINT)
    return joint


@torch.no_grad()
def make_machine(x, vectors, n_classes):
    """Return a support vector machine of random numbers that tells samples x apart."""
    machine, generator = Svm(vectors, tuple(x.shape[1:]), n_classes), torch.Generator().manual_seed(0)
    columns, kernels, last = machine
    rows = columns(x)
    kernels.centre.copy_(rows.mean(dim=0))
    kernels.scale.copy_(rows.std(dim=0).clamp(min=0.1))
    kernels.vectors.copy_(torch.randn(kernels.vectors.shape, generator=generator))
    kernels.gamma.fill_(0.5 / rows.shape[1])
    last.weight.copy_(torch.randn(last.weight.shape, generator=generator))
    sharpen(machine, x)
    return machine


@torch.no_grad()
def unsettle(model, x):
    """Give each batch norm what it finds in samples x, and a scale and a shift of its own."""
    draw = torch.Generator().manual_seed(0)
    for norm in (layer for layer in model if isinstance(layer, torch.nn.BatchNorm2d)):
        norm.weight.uniform_(-1, 1, generator=draw)
        norm.bias.uniform_(-1, 1, generator=draw)
    for _ in range(30):
        model.train()(x)
    model.eval()


@torch.no_grad()
def sharpen(model, x):
    """Spread a model's logits over samples x, around 0."""
    last = model[-1]
    last.bias.zero_()
    logits = model(x)
    scale = SPREAD / logits.std(dim=0)
    last.weight *= scale[:, None]
    last.bias -= scale * logits.mean(dim=0)


def judge(*representations):
    """Write that models were chosen and judged."""
    chosen = {name: CHOSEN for name in representations if " + " not in name}
    write_json(SELECTED, {"best": representations[0], "model": "best", "representations": chosen})
    write_by_name(EVALUATED, dict.fromkeys(representations, JUDGED))
