"""A model as the page holds it: its layers in order, its numbers and the front end's constants as base64, for JSON.

JavaScript has only the operations. What they compute with is made here, by the module that training used.
"""

from base64 import b64encode
from collections.abc import Iterator
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.audio import timbre
from stages.audio.filters import dct_columns, hann, slaney_filters
from stages.audio.front_end import N_FRAMES, dct_matrix, mel_filters, mfcc_bins, mfcc_filters
from stages.common.joint import Joint
from stages.common.records import Card
from stages.models.snapshots import standardization_of

if TYPE_CHECKING:
    import torch


def as_json(card: Card, path: Path, network: "torch.nn.Module") -> dict[str, Any]:
    """Return what the page needs to compute as a model does: the front end, the standardization, the network.

    Args:
        card: of a model that accepts audio.
        path: where the card is.
        network: the chosen one, as `load_chosen` returns it.
    """
    layers, numbers = describe(network, card.shape)
    mean, std = standardization_of(card, path)
    return {
        "name": card.representation,
        "classes": card.classes,
        "rate": card.front_end.sample_rate,
        "frames": N_FRAMES,
        **CONSTANTS[card.representation](card.front_end.sample_rate),
        "mean": encode(mean, "<f8"),
        "std": encode(std, "<f8"),
        "members": layers,
        "temperature": card.temperature,
        "weights": encode(numbers, "<f4"),
    }


def joint_as_json(card: Joint) -> dict[str, Any]:
    """Return what the page needs to average the models of a joint one, which it has too."""
    return {
        "name": card.representation,
        "classes": card.classes,
        "rate": card.front_end.sample_rate,
        "parts": card.representations,
        "temperature": card.temperature,
    }


def mfcc_constants(sample_rate: int) -> dict[str, Any]:
    """Return the matrices of `stages.audio.front_end.mfccs`."""
    bins, filters = mfcc_bins(sample_rate), mfcc_filters(sample_rate)
    return {"filters": matrix(filters), "firstBin": bins.start, "dct": matrix(dct_matrix())}


def mel_constants(sample_rate: int) -> dict[str, Any]:
    """Return the window and the filters of `stages.audio.front_end.melgrams`."""
    window = encode(hann(sample_rate // N_FRAMES), "<f8")
    return {"filters": matrix(mel_filters(sample_rate)), "firstBin": 0, "window": window}


def timbre_constants(sample_rate: int) -> dict[str, Any]:
    """Return what `stages.audio.timbre` computes with; the rows of its DCT are in it over ln 10 / 10: ln in, dB out."""
    frame = timbre.short_frame(sample_rate)
    dct = dct_columns(timbre.N_FILTERS, timbre.N_COEFFICIENTS) * 10 / np.log(10)
    bands = [
        {"first": first, "last": last, "tail": timbre.tail(first, last)}
        for first, last in timbre.contrast_bands(sample_rate)
    ]
    return {
        "filters": matrix(slaney_filters(timbre.N_FILTERS, frame, sample_rate)),
        "dct": matrix(dct),
        "short": encode(hann(frame), "<f8"),
        "long": encode(hann(sample_rate // 5), "<f8"),
        "bands": bands,
    }


CONSTANTS = {"mfccs": mfcc_constants, "melgrams": mel_constants, "timbre": timbre_constants}


def matrix(numbers: np.ndarray) -> dict[str, Any]:
    """Return a matrix column by column: as the page goes through filters and rows of the DCT."""
    return {"rows": len(numbers), "numbers": encode(numbers.T, "<f8")}


def encode(numbers: np.ndarray, dtype: str) -> str:
    """Return numbers as base64 of their bytes, little-endian, as every processor that browsers run on has them."""
    return b64encode(np.ascontiguousarray(numbers, dtype).tobytes()).decode()


def describe(network: "torch.nn.Module", shape: tuple[int, ...]) -> tuple[list[list[dict[str, Any]]], np.ndarray]:
    """Return the members of a model, and all their numbers in order.

    A member is a list of a network's layers, or, of an ensemble in an ensemble, the list of its members.
    """
    import torch

    from stages.models.ensemble import Ensemble

    members, numbers = [], []
    for member in network if isinstance(network, Ensemble) else [network]:
        if isinstance(member, Ensemble):
            inner, own = describe(member, shape)
            members.append(inner)
            numbers.append(own)
            continue
        layers, x = [], torch.zeros(1, *shape)
        for layer in without_norms(member):
            layers += as_layer(layer, tuple(x.shape[1:]))
            numbers += [parameter.detach().numpy().ravel() for parameter in layer.parameters()]  # weight, then bias
            x = layer(x)
        members.append(layers)
    return members, np.concatenate(numbers)


def without_norms(member: "torch.nn.Sequential") -> Iterator["torch.nn.Module"]:
    """Yield the layers of a network that answers, each batch norm made part of the convolution before it."""
    from torch.nn import BatchNorm2d
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for layer, behind in pairwise([*member, None]):
        if isinstance(behind, BatchNorm2d):
            yield fuse_conv_bn_eval(layer, behind)
        elif not isinstance(layer, BatchNorm2d):
            yield layer


def as_layer(layer: "torch.nn.Module", shape: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return what a layer does with samples of a shape, or nothing if it leaves each number as it is.

    Raises:
        TypeError: if the page has no operation for it.
    """
    from torch import nn

    from stages.models.pooling import MeanAndMaximum
    from stages.models.svm import Columns, Kernels

    match layer:
        case Columns() if len(shape) == 1:
            return []
        case Columns():
            return [{"kind": "meanAndDeviation", "times": shape[0], "columns": prod(shape[1:])}]
        case Kernels():
            vectors, columns = layer.vectors.shape
            return [{"kind": "kernels", "vectors": vectors, "columns": columns}]
        case nn.Flatten() | nn.Unflatten() | nn.Dropout() | nn.Dropout2d():
            return []
        case nn.ReLU():
            return [{"kind": "relu"}]
        case nn.Linear():
            return [{"kind": "linear", "inputs": prod(shape), "outputs": layer.out_features}]
        case nn.Conv2d(kernel_size=(3, 3), padding=(1, 1)):
            channels, height, width = shape
            sizes = {"channels": channels, "height": height, "width": width}
            return [{"kind": "convolution", **sizes, "outputs": layer.out_channels}]
        case nn.MaxPool2d(kernel_size=(down, across), stride=stride) if stride == (down, across):
            channels, height, width = shape
            sizes = {"channels": channels, "height": height, "width": width}
            return [{"kind": "pool", **sizes, "down": down, "across": across}]
        case MeanAndMaximum():
            channels, height, width = shape
            return [{"kind": "meanAndMaximum", "channels": channels, "height": height, "width": width}]
    raise TypeError(f"the page has no operation for the layer {layer}")
