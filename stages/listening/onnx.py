"""ONNX: one file from sound to probabilities, `genre export`.

Writes data/model/REPRESENTATION.onnx for every chosen model that hears sound. Input `samples`: (n, sample_rate) float32
in [-1, 1], mono, one second each; the course's sample_rate is 8000 Hz. Output `probabilities`: (n, classes). The front
end, the standardization and the names of the classes (metadata `classes`) are inside: a front end that does not match
is how exported music models fail in silence.
"""

import json
import logging
import warnings

import numpy as np
import torch
from torch import nn

from stages.audio.front_end import N_FRAMES, dct_matrix, hann, mel_filters, mfcc_bins, mfcc_filters
from stages.common.files import MODEL, UserError, card_path, few_of
from stages.common.fingerprints import read_cards
from stages.common.records import Card
from stages.common.writing import replacing
from stages.listening.exports import onnx_path
from stages.listening.listener import check_front_end
from stages.models.snapshots import load_chosen, standardization_of


class Mfccs(nn.Module):
    """`stages.audio.front_end.mfccs` in operations that ONNX has: the Fourier transform is a product of matrices."""

    def __init__(self, sample_rate: int) -> None:
        """Keep the matrices."""
        super().__init__()
        bins = mfcc_bins(sample_rate)
        self.cosine, self.sine = (nn.Buffer(part[:, bins].contiguous()) for part in fourier(sample_rate // N_FRAMES))
        self.filters = nn.Buffer(torch.from_numpy(mfcc_filters(sample_rate)))
        self.dct = nn.Buffer(torch.from_numpy(dct_matrix()))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Map (n, sample_rate) float64 samples to (n, 26)."""
        centred = samples - samples.mean(dim=1, keepdim=True)
        centred = centred / (centred.abs().amax(dim=1, keepdim=True) + 1e-10)
        frames = centred.unflatten(1, (N_FRAMES, -1))
        frames = frames - frames[:, :, :1]  # changes bin 0 alone, and makes silent frames exactly zero
        magnitude = torch.sqrt((frames @ self.cosine) ** 2 + (frames @ self.sine) ** 2)
        coefficients = torch.log(magnitude @ self.filters + np.finfo(np.float64).eps) @ self.dct
        mean = coefficients.mean(dim=1)
        deviation = torch.sqrt(((coefficients - mean[:, None]) ** 2).mean(dim=1))
        return torch.cat([mean, deviation], dim=1)


class Melgrams(nn.Module):
    """`stages.audio.front_end.melgrams` in operations that ONNX has."""

    def __init__(self, sample_rate: int) -> None:
        """Keep the matrices."""
        super().__init__()
        self.frame = sample_rate // N_FRAMES
        window = torch.from_numpy(hann(self.frame))[:, None]
        self.cosine, self.sine = (nn.Buffer(window * part) for part in fourier(self.frame))
        self.filters = nn.Buffer(torch.from_numpy(mel_filters(sample_rate)))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Map (n, sample_rate) float64 samples to (n, 21, 128)."""
        before = torch.zeros_like(samples[:, : self.frame // 2])
        after = torch.zeros_like(samples[:, : self.frame - self.frame // 2])
        frames = torch.cat([before, samples, after], dim=1).unflatten(1, (N_FRAMES + 1, self.frame))
        power = (frames @ self.cosine) ** 2 + (frames @ self.sine) ** 2
        mel = (power @ self.filters).clamp(min=1e-10)
        decibels = torch.log(mel / mel.amax(dim=(1, 2), keepdim=True)) * (10 / np.log(10))
        return decibels.clamp(min=-80)


MODULES = {"mfccs": Mfccs, "melgrams": Melgrams}


class SoundToProbabilities(nn.Module):
    """Front end, standardization, network and softmax in one."""

    def __init__(self, card: Card, network: nn.Module) -> None:
        """Put the parts together as the model's card says."""
        super().__init__()
        self.front_end, self.network = MODULES[card.representation](card.front_end.sample_rate), network
        # Not "mean": ONNX wants names of its own for tensors and for operations.
        self.columns_mean, self.columns_std = (
            nn.Buffer(torch.from_numpy(numbers)) for numbers in standardization_of(card, card_path(card.representation))
        )

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Map (n, sample_rate) float32 samples to (n, classes) probabilities; the front end works in float64."""
        x = (self.front_end(samples.double()) - self.columns_mean) / self.columns_std
        return torch.softmax(self.network(x.float()), dim=1)


def fourier(frame: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosines and sines of the discrete Fourier transform of a frame, each (frame, bins), float64."""
    angle = 2 * np.pi * np.outer(np.arange(frame), np.arange(frame // 2 + 1)) / frame
    return torch.from_numpy(np.cos(angle)), torch.from_numpy(np.sin(angle))


def export() -> None:
    """Export every model that hears sound.

    Raises:
        UserError: if the exporter is not installed or there is no model.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch.onnx needs it
    except ImportError as error:
        raise UserError(f"export needs the package {error.name}: pip install onnx onnxscript") from None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    warnings.simplefilter("ignore", FutureWarning)
    cards = [card for card in read_cards().values() if card.front_end]
    if not cards:
        raise UserError(f"{MODEL}: found no model that hears sound; run `make repro` first")
    for card in cards:
        check_front_end(card, card_path(card.representation))
        model = SoundToProbabilities(card, load_chosen(card, card_path(card.representation))).eval()
        path = onnx_path(card.representation)
        sample_rate = card.front_end.sample_rate
        with replacing(path) as temporary:
            program = torch.onnx.export(
                model,
                (torch.zeros(2, sample_rate),),
                input_names=["samples"],
                output_names=["probabilities"],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                dynamo=True,
                optimize=False,  # the optimizer takes + 2e-16 and + 1e-10 for + 0, and silence becomes NaN
                verbose=False,
            )
            proto = program.model_proto
            metadata = {"classes": json.dumps(card.classes), "sample_rate": str(sample_rate), "weights": card.weights}
            onnx.helper.set_model_props(proto, metadata | {"front_end": card.front_end.model_dump_json()})
            onnx.save(proto, temporary)
        classes = f"{len(card.classes)} classes: {few_of(card.classes)}"
        print(f"export: {path}: {path.stat().st_size / 2**20:.1f} MiB, {classes}")
