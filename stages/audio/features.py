"""The front end: one second of sound becomes 26 MFCC statistics or a mel-spectrogram of 21 x 128.

Conventions: a clip is one second of mono sound at 8000 Hz, 8000 floating-point samples in [-1, 1]; clips come first,
`(n, 8000)`. Everything is computed in the dtype of the clips: float64 agrees with the libraries named below to 1e-9
(MFCC) and 1e-3 dB (mel), float32 runs twice as fast.

The definitions are those of the two libraries that made the course's arrays, so that a network trained on those arrays
hears a new song as it heard them:

- `mfccs`: pyAudioAnalysis, `ShortTermFeatures.py` (`dc_normalize`, `mfcc_filter_banks`, `mfcc`);
- `melgrams`: librosa 0.11, `feature.melspectrogram` and `power_to_db(ref=np.max)`.
"""

from functools import cache

import numpy as np

SAMPLE_RATE = 8000
FRAME = 400  # samples in a frame of 50 ms; frames do not overlap (hop_length = FRAME)
N_FRAMES = SAMPLE_RATE // FRAME
N_MFCC = 13
N_MELS = 128

BLOCK = 32  # clips worked on at a time: their spectra stay in the processor's cache
MEL_BANDS = (  # the filters of each half of the mel scale and the bins they cover: half the arithmetic of one product
    (slice(0, 64), slice(0, 61)),
    (slice(64, 128), slice(60, 201)),
)
MFCC_BINS = slice(1, FRAME // 2)  # bin 0 is in no filter


def mfccs(clips: np.ndarray) -> np.ndarray:
    """Return the mean and the standard deviation over 20 frames of 13 MFCCs.

    Args:
        clips: floating-point samples in [-1, 1], shape (n, 8000).

    Returns:
        Shape (n, 26), dtype of `clips`: 13 means, then 13 population standard deviations.

    Raises:
        ValueError: if `clips` is not a floating-point array of that shape.
    """
    return _in_blocks(_mfcc_block, clips, (2 * N_MFCC,))


def melgrams(clips: np.ndarray) -> np.ndarray:
    """Return mel-spectrograms in dB below each clip's maximum, time first.

    Args:
        clips: floating-point samples in [-1, 1], shape (n, 8000).

    Returns:
        Shape (n, 21, 128), dtype of `clips`, from -80 to 0 dB.

    Raises:
        ValueError: if `clips` is not a floating-point array of that shape.
    """
    return _in_blocks(_melgram_block, clips, (N_FRAMES + 1, N_MELS))


FRONT_ENDS = {"mfccs": mfccs, "melgrams": melgrams}

# What a model's card says of the front end that it was trained behind.
SETTINGS = {
    "mfccs": {
        "definition": "pyAudioAnalysis 0.3.14, mean and deviation over frames",
        "sample_rate": SAMPLE_RATE,
        "window_length": FRAME,
        "hop_length": FRAME,
        "n_mfcc": N_MFCC,
        "n_filters": 40,
    },
    "melgrams": {
        "definition": "librosa 0.11, power_to_db(ref=np.max)",
        "sample_rate": SAMPLE_RATE,
        "n_fft": FRAME,
        "hop_length": FRAME,
        "n_mels": N_MELS,
        "top_db": 80,
    },
}


def _in_blocks(front_end, clips: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if clips.ndim != 2 or clips.shape[1] != SAMPLE_RATE or not np.issubdtype(clips.dtype, np.floating):
        raise ValueError(
            f"clips: found {clips.dtype} of shape {clips.shape}, expected floating-point samples in [-1, 1] "
            f"of shape (n, {SAMPLE_RATE})"
        )
    features = np.empty((len(clips), *shape), clips.dtype)
    for start in range(0, len(clips), BLOCK):
        features[start : start + BLOCK] = front_end(clips[start : start + BLOCK])
    return features


def _mfcc_block(clips: np.ndarray) -> np.ndarray:
    from scipy.fft import rfft

    dtype = clips.dtype
    centred = clips - clips.mean(axis=1, keepdims=True)
    centred /= np.maximum(centred.max(axis=1), -centred.min(axis=1))[:, None] + dtype.type(1e-10)
    frames = centred.reshape(-1, FRAME)
    if dtype == np.float32:
        # A constant changes bin 0 alone, which no filter uses; without it a silent frame is silent in float32 too.
        frames -= frames[:, :1].copy()
    magnitude = np.abs(rfft(frames, axis=1)[:, MFCC_BINS])
    energy = magnitude @ mfcc_filters().astype(dtype)
    log_energy = np.log(energy + dtype.type(np.finfo(np.float64).eps))
    coefficients = (log_energy @ dct_matrix().astype(dtype)).reshape(len(clips), N_FRAMES, N_MFCC)
    return np.concatenate([coefficients.mean(axis=1), coefficients.std(axis=1)], axis=1)


def _melgram_block(clips: np.ndarray) -> np.ndarray:
    from scipy.fft import rfft

    dtype = clips.dtype
    padded = np.zeros((len(clips), FRAME + SAMPLE_RATE), dtype)  # centred frames: zeros beyond either end
    padded[:, FRAME // 2 : -FRAME // 2] = clips
    frames = padded.reshape(-1, FRAME)
    frames *= hann().astype(dtype)
    spectrum = rfft(frames, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    filters = mel_filters().astype(dtype)
    mel = np.empty((len(power), N_MELS), dtype)
    for columns, bins in MEL_BANDS:
        np.matmul(power[:, bins], filters[bins, columns], out=mel[:, columns])
    mel = np.maximum(mel, dtype.type(1e-10), out=mel).reshape(len(clips), N_FRAMES + 1, N_MELS)
    mel /= mel.max(axis=(1, 2), keepdims=True)
    decibels = np.log(mel, out=mel)
    decibels *= dtype.type(10 / np.log(10))
    return np.maximum(decibels, dtype.type(-80), out=decibels)


@cache
def mfcc_filters() -> np.ndarray:
    """Return the 40 triangular filters, shape (199, 40), for magnitudes |FFT|; the library's 1/200 is in them."""
    n_bins = FRAME // 2
    edges = np.empty(42)
    edges[:13] = 133.33 + np.arange(13) * 200 / 3
    edges[13:] = edges[12] * 1.0711703 ** np.arange(1, 30)
    # The library labels bin k with k * fs / 200 Hz, twice its true frequency. The quirk is part of the definition.
    frequency = np.arange(n_bins) * SAMPLE_RATE / n_bins
    filters = np.zeros((n_bins, 40))
    for i, (low, centre, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        height = 2 / (high - low)
        first, middle, last = (int(np.floor(f * n_bins / SAMPLE_RATE)) + 1 for f in (low, centre, high))
        rising, falling = slice(first, middle), slice(middle, last)
        filters[rising, i] = height / (centre - low) * (frequency[rising] - low)
        filters[falling, i] = height / (high - centre) * (high - frequency[falling])
    return filters[MFCC_BINS] / n_bins


@cache
def dct_matrix() -> np.ndarray:
    """Return the first 13 rows of the orthonormal DCT-II as columns, shape (40, 13), over ln 10: ln in, log10 out."""
    from scipy.fft import dct

    return dct(np.eye(40), type=2, norm="ortho", axis=1)[:, :N_MFCC] / np.log(10)


@cache
def hann() -> np.ndarray:
    """Return the periodic Hann window, shape (400,)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)


@cache
def mel_filters() -> np.ndarray:
    """Return the Slaney-scale, Slaney-normalised filters from 0 to 4000 Hz, shape (201, 128).

    Source: Slaney, Auditory Toolbox (1998): linear below 1000 Hz, logarithmic above, triangles of equal area.
    """
    log_step = np.log(6.4) / 27
    mel_max = 15 + np.log(SAMPLE_RATE / 2 / 1000) / log_step  # 1000 Hz is 15 mel
    mels = np.linspace(0, mel_max, N_MELS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(log_step * (mels - 15)))
    frequency = np.arange(FRAME // 2 + 1) * SAMPLE_RATE / FRAME
    rising = (frequency[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])
