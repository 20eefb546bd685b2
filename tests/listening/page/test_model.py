"""model: a network's layers and numbers in order; what the page has no operation for is refused."""

import json
import re
from base64 import b64decode
from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn

from stages.audio import decode, silence, timbre
from stages.audio.front_end import FRONT_ENDS, dct_matrix, hann, mel_filters, mfcc_filters
from stages.listening.page import model
from stages.models import scoring
from stages.models.network import build_network

PAGE = ROOT / "stages" / "listening" / "page"
SCRIPTS = {path.stem: path.read_text(encoding="utf-8") for path in PAGE.glob("*.js")}


def keys(table):
    """Return the keys of one of the page's tables."""
    (found,) = re.findall(rf"const {table} = {{\n(.*?)\n}};", "".join(SCRIPTS.values()), re.DOTALL)
    return set(re.findall(r"^  (\w+)[(:]", found, re.MULTILINE))


def test_the_page_has_what_python_has():
    others = set(re.findall(r"^FRONT_ENDS\.(\w+) = ", SCRIPTS["timbre"], re.MULTILINE))
    assert keys("FRONT_ENDS") | others == set(FRONT_ENDS) == set(model.CONSTANTS)
    kinds = re.findall(r'"kind": "(\w+)"', (PAGE / "model.py").read_text(encoding="utf-8"))
    assert keys("LAYERS") == set(kinds)
    ours = {"LOUDEST": decode.LOUDEST, "CANCELLED": decode.CANCELLED, "LOW": decode.LOW}
    ours |= {"LEAST": scoring.LEAST, "GATE": silence.GATE, "MARGIN": silence.MARGIN}
    written = re.findall(
        rf"\b({'|'.join(ours)}) = ([\w.+-]+)", "".join(SCRIPTS[name] for name in ("listen", "mono", "verdict"))
    )
    constants = {name: float(value) for name, value in written}
    assert constants == ours
    constants = {
        name: json.loads(value.replace("Infinity", "null"))
        for name, value in re.findall(r"const (SOFT|ROLLOFF|SPEEDS) = (.+?);", SCRIPTS["timbre"])
    }
    speeds = [[bins.start, bins.stop] for bins in timbre.SPEEDS]
    assert constants == {"SOFT": timbre.SOFT, "ROLLOFF": timbre.ROLLOFF, "SPEEDS": speeds}


def numbers(text, dtype="<f8"):
    return np.frombuffer(b64decode(text), dtype)


def test_numbers_come_through_base64():
    rows = np.array([[1.5, 2], [np.pi, -1e-300], [0, 5]])
    coded = model.matrix(rows)
    assert coded["rows"] == 3
    np.testing.assert_array_equal(numbers(coded["numbers"]).reshape(2, 3), rows.T)
    np.testing.assert_array_equal(numbers(model.encode(rows[:, 0], "<f4"), "<f4"), rows[:, 0].astype(np.float32))


def test_the_constants_are_the_front_ends():
    mfccs, melgrams = model.mfcc_constants(16000), model.mel_constants(16000)
    for coded, expected in (
        (mfccs["filters"], mfcc_filters(16000)),
        (mfccs["dct"], dct_matrix()),
        (melgrams["filters"], mel_filters(16000)),
    ):
        np.testing.assert_array_equal(numbers(coded["numbers"]).reshape(-1, coded["rows"]), expected.T)
    np.testing.assert_array_equal(numbers(melgrams["window"]), hann(800))


def test_the_layers_of_an_mlp():
    network = build_network("mlp", (26,), [16], 3, seed=0)
    (layers,), weights = model.describe(network, (26,))
    assert layers == [
        {"kind": "linear", "inputs": 26, "outputs": 16},
        {"kind": "relu"},
        {"kind": "linear", "inputs": 16, "outputs": 3},
    ]
    np.testing.assert_array_equal(weights, torch.cat([each.flatten() for each in network.state_dict().values()]))


def test_the_layers_of_a_cnn():
    network = build_network("cnn", (21, 128), [], 4, seed=0).eval()
    (layers,), weights = model.describe(network, (21, 128))
    assert [layer["kind"] for layer in layers] == ["convolution", "pool", "relu"] * 4 + ["meanAndMaximum", "linear"]
    sizes = {"channels": 8, "height": 21, "width": 64}
    assert layers[3] == {"kind": "convolution", **sizes, "outputs": 16}
    assert layers[4] == {"kind": "pool", **sizes | {"channels": 16}, "down": 2, "across": 2}
    assert layers[1] == {"kind": "pool", **sizes | {"width": 128}, "down": 1, "across": 2}
    assert layers[12:] == [
        {"kind": "meanAndMaximum", "channels": 64, "height": 2, "width": 8},
        {"kind": "linear", "inputs": 2 * 64 * 8, "outputs": 4},
    ]
    assert len(weights) == sum(9 * a * b + b for a, b in pairwise((1, 8, 16, 32, 64))) + 1024 * 4 + 4


def test_a_batch_norm_becomes_part_of_the_convolution_before_it():
    norm = nn.BatchNorm2d(3).eval()
    for numbers in (*norm.parameters(), norm.running_mean, norm.running_var):
        nn.init.uniform_(numbers, 0.5, 2, generator=torch.Generator().manual_seed(len(numbers)))
    network = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, bias=False), norm, nn.ReLU()).eval()
    x = torch.linspace(-3, 3, 2 * 2 * 5 * 5).view(2, 2, 5, 5)
    layers = list(model.without_norms(network))
    assert [type(layer) for layer in layers] == [nn.Conv2d, nn.ReLU]
    torch.testing.assert_close(nn.Sequential(*layers)(x), network(x), rtol=0, atol=1e-5)


def test_what_trains_alone_is_left_out():
    layers, _ = model.describe(nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 2)), (2, 2))
    assert [layer["kind"] for layer in layers[0]] == ["linear"]


@pytest.mark.parametrize(
    "layer", [nn.Tanh(), nn.MaxPool2d(3), nn.Conv2d(1, 1, 5, padding=2), nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1)]
)
def test_a_layer_that_the_page_does_not_know_is_refused(layer):
    with pytest.raises(TypeError, match=r"the page has no operation for the layer \w+"):
        model.as_layer(layer, (1, 32, 32))
