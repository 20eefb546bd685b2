"""ONNX: one file from sound to probabilities, `genre export`.

Writes data/model/REPRESENTATION.onnx for every chosen model that accepts audio. Input `samples`: (n, sample_rate)
float32 in [-1, 1], mono, one second each; the course's sample_rate is 8000 Hz. Output `probabilities`: (n, classes).
The front end, the standardization and the names of the classes (metadata `classes`) are inside: with a front end that
does not match, an exported model fails without a word.
"""

import json
import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import pad

from stages.audio import timbre
from stages.audio.filters import bins_of, dct_columns, hann, slaney_filters
from stages.audio.front_end import N_FRAMES, dct_matrix, mel_filters, mfcc_bins, mfcc_filters
from stages.common.files import MODEL, UserError, few_of
from stages.common.joint import path_of, read_model, read_models
from stages.common.records import Card
from stages.common.writing import replacing
from stages.listening.exports import fingerprints, onnx_path
from stages.listening.listener import check_front_end
from stages.models.ensemble import together
from stages.models.snapshots import load_chosen, standardization_of


class Mfccs(nn.Module):
    """`stages.audio.front_end.mfccs` in operations that ONNX has: the Fourier transform is a product of matrices."""

    def __init__(self, sample_rate: int) -> None:
        """Keep the matrices."""
        super().__init__()
        bins, self.frame = mfcc_bins(sample_rate), sample_rate // N_FRAMES
        self.cosine, self.sine = (nn.Buffer(part[:, bins].contiguous()) for part in fourier(self.frame))
        self.filters = nn.Buffer(torch.from_numpy(mfcc_filters(sample_rate)))
        self.dct = nn.Buffer(torch.from_numpy(dct_matrix()))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Map (n, sample_rate) float64 samples to (n, 26)."""
        centred = samples - samples.mean(dim=1, keepdim=True)
        centred = centred / (centred.abs().amax(dim=1, keepdim=True) + 1e-10)
        frames = centred[:, : N_FRAMES * self.frame].unflatten(1, (N_FRAMES, self.frame))
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
        before = self.frame // 2
        padded = pad(samples, (before, (N_FRAMES + 1) * self.frame - before - samples.shape[1]))
        frames = padded.unflatten(1, (N_FRAMES + 1, self.frame))
        power = (frames @ self.cosine) ** 2 + (frames @ self.sine) ** 2
        mel = (power @ self.filters).clamp(min=1e-10)
        decibels = torch.log(mel / mel.amax(dim=(1, 2), keepdim=True)) * (10 / np.log(10))
        return decibels.clamp(min=-80)


class Timbre(nn.Module):
    """`stages.audio.timbre` in operations that ONNX has."""

    def __init__(self, sample_rate: int) -> None:
        """Keep windows and matrices."""
        super().__init__()
        self.sample_rate, self.bands = sample_rate, timbre.contrast_bands(sample_rate)
        self.frame, self.hop = timbre.short_frame(sample_rate), sample_rate // 40
        filters = slaney_filters(timbre.N_FILTERS, self.frame, sample_rate)
        cosines = dct_columns(timbre.N_FILTERS, timbre.N_COEFFICIENTS) * 10 / np.log(10)
        self.filters, self.cosines = (nn.Buffer(torch.from_numpy(matrix)) for matrix in (filters, cosines))
        self.frequency = nn.Buffer(torch.from_numpy(bins_of(self.frame, sample_rate)))
        self.short, self.long = (nn.Buffer(torch.from_numpy(hann(n))) for n in (self.frame, sample_rate // 5))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Map (n, sample_rate) float64 samples to (n, columns)."""
        amplitude = self.spectrum(samples, self.short, self.hop)
        mel = (amplitude**2 @ self.filters).clamp(min=timbre.SOFT)
        coefficients = torch.log(mel) @ self.cosines
        series = coefficients - coefficients.mean(dim=1, keepdim=True)
        power = magnitude(torch.fft.rfft(series, dim=1)) ** 2 / timbre.N_SHORT
        moves = [torch.log(power[:, bins].sum(dim=1) + 1e-3) for bins in timbre.SPEEDS]
        long = self.spectrum(samples, self.long, self.sample_rate // 10)
        shape = torch.stack([*self.shape(amplitude), flatness(amplitude), *self.waveform(samples)], dim=1)
        mean = shape.mean(dim=2)
        deviation = torch.sqrt(((shape - mean[:, :, None]) ** 2).mean(dim=2))
        columns = [coefficients.mean(dim=1), *moves, *(self.contrast(long, *band) for band in self.bands)]
        return torch.cat([*columns, flatness(long).mean(dim=1, keepdim=True), mean, deviation], dim=1)

    def spectrum(self, samples: torch.Tensor, window: torch.Tensor, hop: int) -> torch.Tensor:
        """Return the amplitudes of frames, shape (n, frames, bins)."""
        return magnitude(torch.fft.rfft(samples.unfold(1, len(window), hop) * window, dim=2))

    def contrast(self, amplitude: torch.Tensor, first: int, last: int) -> torch.Tensor:
        """Return a band's contrast in dB, shape (n, 1)."""
        k = timbre.tail(first, last)
        band = amplitude[:, :, first:last]
        high, low = (band.topk(k, dim=2, largest=largest).values.mean(dim=2) + 1e-5 for largest in (True, False))
        return (torch.log(high / low) * (20 / np.log(10))).mean(dim=1, keepdim=True)

    def shape(self, amplitude: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return centroid, bandwidth and rolloff of each frame, shape (n, frames) each."""
        total = amplitude.sum(dim=2).clamp(min=timbre.LEAST)
        centroid = amplitude @ self.frequency / total
        spread = (amplitude * (self.frequency - centroid[:, :, None]) ** 2).sum(dim=2)
        below = amplitude.cumsum(dim=2)
        reached = (below >= timbre.ROLLOFF * below[:, :, -1:]).to(torch.int64).argmax(dim=2)
        return centroid, torch.sqrt(spread / total), self.frequency[reached]

    def waveform(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return zero-crossing rate and level of each frame, shape (n, frames) each."""
        negative = (samples < 0).double()
        crossings = (negative[:, 1:] - negative[:, :-1]).abs().unfold(1, self.frame - 1, self.hop).mean(dim=2)
        mean_square = (samples**2).unfold(1, self.frame, self.hop).mean(dim=2)
        return crossings, torch.log(mean_square + timbre.SOFT) * (10 / np.log(10))


def magnitude(spectrum: torch.Tensor) -> torch.Tensor:
    """Return the absolute values of complex numbers."""
    return torch.sqrt(spectrum.real**2 + spectrum.imag**2)


def flatness(amplitude: torch.Tensor) -> torch.Tensor:
    """Return each frame's spectral flatness, shape (n, frames)."""
    power = amplitude[:, :, 1:] ** 2
    return torch.log(power + timbre.SOFT).mean(dim=2) - torch.log(power.mean(dim=2) + timbre.SOFT)


MODULES = {"mfccs": Mfccs, "melgrams": Melgrams, "timbre": Timbre}


class SoundToLogits(nn.Module):
    """Front end, standardization and network in one."""

    def __init__(self, card: Card, path: Path) -> None:
        """Put the parts together as the model's card at `path` says."""
        super().__init__()
        self.front_end = MODULES[card.representation](card.front_end.sample_rate)
        self.network = load_chosen(card, path)
        # Not "mean": ONNX wants names of its own for tensors and for operations.
        self.columns_mean, self.columns_std = (
            nn.Buffer(torch.from_numpy(numbers)) for numbers in standardization_of(card, path)
        )

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Map (n, sample_rate) float64 samples to (n, classes); the front end works in float64."""
        return self.network(((self.front_end(samples) - self.columns_mean) / self.columns_std).float())


class SoundToProbabilities(nn.Module):
    """A model, or several that are averaged, temperature and softmax."""

    def __init__(self, cards: dict[Path, Card], temperature: float) -> None:
        """Put the models of these cards together."""
        super().__init__()
        models = [SoundToLogits(card, path) for path, card in cards.items()]
        self.model, self.temperature = together(models), temperature

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Map (n, sample_rate) float32 samples to (n, classes) probabilities."""
        return torch.softmax(self.model(samples.double()) / self.temperature, dim=1)


def fourier(frame: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosines and sines of the discrete Fourier transform of a frame, each (frame, bins), float64."""
    angle = 2 * np.pi * np.outer(np.arange(frame), np.arange(frame // 2 + 1)) / frame
    return torch.from_numpy(np.cos(angle)), torch.from_numpy(np.sin(angle))


def export() -> None:
    """Export every model that accepts audio."""
    try:
        import onnx
        import onnxscript  # noqa: F401  torch.onnx needs it
    except ImportError as error:
        raise UserError(f"export needs the package {error.name}: pip install onnx onnxscript") from None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    warnings.simplefilter("ignore", FutureWarning)
    cards = {name: card for name, card in read_models().items() if card.front_end}
    if not cards:
        raise UserError(f"{MODEL}: found no model that accepts audio; run `make repro` first")
    made_of = fingerprints(cards)
    for name, card in cards.items():
        _, parts = read_model(path_of(card))
        for place, part in parts.items():
            check_front_end(part, place)
        model = SoundToProbabilities(parts, card.temperature).eval()
        path = onnx_path(name)
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
            metadata = {"classes": json.dumps(card.classes), "sample_rate": str(sample_rate)}
            metadata["fingerprint"] = made_of[path]
            front_ends = [part.front_end.model_dump_json() for part in parts.values()]
            metadata["front_end"] = front_ends[0] if len(front_ends) == 1 else f"[{','.join(front_ends)}]"
            onnx.helper.set_model_props(proto, metadata)
            onnx.save(proto, temporary)
        classes = f"{len(card.classes)} classes: {few_of(card.classes)}"
        print(f"export: {path}: {path.stat().st_size / 2**20:.1f} MiB, {classes}")
