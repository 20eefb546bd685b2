"""Timbre against a plain second implementation, one number after the other, and what must hold for any sound."""

import cmath
import math
from itertools import pairwise

import numpy as np
import pytest
from small_models import cases

from stages.audio.front_end import shape_of, timbre
from stages.audio.timbre import contrast_bands, n_columns, rolloff


def spectrum(frame):
    """Amplitudes of a frame behind a periodic Hann window, by numpy's complex Fourier transform."""
    n = len(frame)
    window = [0.5 - 0.5 * math.cos(2 * math.pi * i / n) for i in range(n)]
    return [abs(value) for value in np.fft.fft(np.multiply(frame, window))[: n // 2 + 1]]


def frames(clip, length, hop):
    return [clip[start : start + length] for start in range(0, len(clip) - length + 1, hop)]


def mel(hertz):
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


def hertz(mels):
    return mels * 200 / 3 if mels < 15 else 1000 * math.exp(math.log(6.4) / 27 * (mels - 15))


def coefficients(amplitudes, rate, length):
    edges = [hertz(i * mel(rate / 2) / 41) for i in range(42)]
    decibels = []
    for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False):
        energy = 0
        for k, amplitude in enumerate(amplitudes):
            f = k * rate / length
            height = min((f - low) / (centre - low), (high - f) / (high - centre))
            energy += max(0, height) * 2 / (high - low) * amplitude**2
        decibels.append(10 * math.log10(max(energy, 1e-10)))
    scale = [math.sqrt((1 if c == 0 else 2) / 40) for c in range(20)]
    return [
        scale[c] * sum(value * math.cos(math.pi * c * (2 * i + 1) / 80) for i, value in enumerate(decibels))
        for c in range(20)
    ]


def speeds(series):
    n, mean = len(series), sum(series) / len(series)
    power = [
        abs(sum((value - mean) * cmath.exp(-2j * math.pi * k * i / n) for i, value in enumerate(series))) ** 2 / n
        for k in range(n // 2 + 1)
    ]
    return [math.log(sum(part) + 1e-3) for part in (power[1:4], power[4:9], power[9:])]


def contrasts(amplitudes, rate):
    edges = [200]
    while edges[-1] * 2 < 0.8 * rate / 2:
        edges.append(edges[-1] * 2)
    length = rate // 5
    found = []
    for low, high in zip([0, *edges], [*edges, math.inf], strict=True):
        band = sorted(a for k, a in enumerate(amplitudes) if k and low <= k * rate / length < high)
        k = max(1, round(0.05 * len(band)))
        found.append(20 * math.log10((sum(band[-k:]) / k + 1e-5) / (sum(band[:k]) / k + 1e-5)))
    return found


def flatness(amplitudes):
    power = [a**2 for a in amplitudes[1:]]
    return sum(math.log(p + 1e-10) for p in power) / len(power) - math.log(sum(power) / len(power) + 1e-10)


def shape(frame, amplitudes, rate):
    total, length = sum(amplitudes), len(frame)
    frequency = [k * rate / length for k in range(len(amplitudes))]
    centroid = sum(f * a for f, a in zip(frequency, amplitudes, strict=True)) / total if total else 0
    spread = sum((f - centroid) ** 2 * a for f, a in zip(frequency, amplitudes, strict=True)) / total if total else 0
    so_far, rolloff = 0, 0
    for f, a in zip(frequency, amplitudes, strict=True):
        so_far, rolloff = so_far + a, f
        if so_far >= 0.85 * total:
            break
    crossings = sum((a < 0) != (b < 0) for a, b in pairwise(frame)) / (length - 1)
    level = 10 * math.log10(sum(x * x for x in frame) / length + 1e-10)
    return centroid, math.sqrt(spread), rolloff, flatness(amplitudes), crossings, level


def plain(clip):
    rate = len(clip)
    short = frames(clip, round(rate / 20), rate // 40)
    amplitudes = [spectrum(frame) for frame in short]
    series = list(zip(*(coefficients(each, rate, len(short[0])) for each in amplitudes), strict=True))
    long = [spectrum(frame) for frame in frames(clip, rate // 5, rate // 10)]
    shapes = list(zip(*(shape(f, a, rate) for f, a in zip(short, amplitudes, strict=True)), strict=True))
    means = [sum(each) / len(each) for each in (*series, *shapes)]
    deviations = [
        math.sqrt(sum((x - mean) ** 2 for x in each) / len(each)) for each, mean in zip(shapes, means[20:], strict=True)
    ]
    moving = [speeds(each) for each in series]
    contrast = list(zip(*(contrasts(each, rate) for each in long), strict=True))
    return [
        *means[:20],
        *(each[speed] for speed in range(3) for each in moving),
        *(sum(each) / len(each) for each in contrast),
        sum(map(flatness, long)) / len(long),
        *means[20:],
        *deviations,
    ]


@pytest.mark.parametrize(
    ("rate", "names"),
    [(8000, ["blues", "silence", "half silence", "one click"]), (22050, ["rock"]), (11025, ["clipping"])],
)
def test_it_is_what_it_is_defined_as(rate, names):
    clips = np.stack([cases(rate)[name] for name in names]) / 32768
    expected = np.array([plain(clip.tolist()) for clip in clips])
    np.testing.assert_allclose(timbre(clips), expected, rtol=1e-7, atol=1e-7)
    single = timbre(clips.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=2e-3, atol=2e-2)


@pytest.mark.parametrize(
    ("rate", "columns", "edges"),
    [
        (8000, 98, [5, 200, 400, 800, 1600, 4000]),
        (16000, 99, [5, 200, 400, 800, 1600, 3200, 8000]),
        (22050, 100, [5, 200, 400, 800, 1600, 3200, 6400, 11025]),
    ],
)
def test_its_width_follows_from_the_rate(rate, columns, edges):
    assert (n_columns(rate), shape_of("timbre", rate)) == (columns, (columns,))
    bands = contrast_bands(rate)
    assert [first * 5 for first, _ in bands] == edges[:-1]
    assert [last for _, last in bands[:-1]] == [first for first, _ in bands[1:]]
    assert (bands[-1][1] - 1) * 5 == edges[-1]


@pytest.mark.parametrize("n_bins", [1, 23, 24, 25, 48, 201])
def test_the_rolloff_is_where_one_long_sum_gets_there(n_bins):
    """Wherever the amplitudes are; of nothing, at the first bin."""
    rng = np.random.default_rng(0)
    spectra = rng.uniform(0, 1, (300, n_bins)) * (rng.uniform(0, 1, (300, n_bins)) < 0.2)
    spectra = np.concatenate([spectra, np.eye(n_bins), np.zeros((1, n_bins))])
    below = np.cumsum(spectra, axis=1)
    assert rolloff(spectra[None]).tolist() == [(below >= 0.85 * below[:, -1:]).argmax(axis=1).tolist()]


def test_louder_is_louder_and_nothing_else():
    """By 6 dB: the level and the first coefficient tell; the other means of coefficients do not."""
    clip = np.random.default_rng(0).uniform(-0.4, 0.4, (1, 8000))
    difference = (timbre(2 * clip) - timbre(clip))[0]
    six = 20 * math.log10(2)
    assert difference[0] == pytest.approx(six * math.sqrt(40))
    assert difference[-7] == pytest.approx(six, abs=1e-6)
    np.testing.assert_allclose(np.delete(difference, [0, len(difference) - 7]), 0, atol=1e-3)
