"""Make features_RATE.npz: clips and what pyAudioAnalysis and librosa compute from them.

Run where both libraries are installed (they are no dependency of the project):
    pip install librosa==0.11.0 pyAudioAnalysis==0.3.14 hmmlearn eyed3 pydub imbalanced-learn plotly
    python tests/golden/make_features.py
"""

from pathlib import Path

import librosa
import numpy as np
from pyAudioAnalysis import ShortTermFeatures


def clips(fs: int) -> np.ndarray:
    """Return int16 clips, shape (8, fs), that cover what goes wrong: silence, offsets, very soft and very loud."""
    rng = np.random.default_rng(0)
    t = np.arange(fs) / fs
    noise = 0.3 * rng.standard_normal(fs)
    chord = sum(np.sin(2 * np.pi * f * t) / (i + 3) for i, f in enumerate((220, 277.2, 329.6, 440)))
    sweep = 0.8 * np.sin(2 * np.pi * (50 * t + 1900 * t**2))
    half_silent = np.where(t < 0.5, chord, 0)
    half_silent_offset = half_silent + 0.1
    soft = 0.0005 * chord
    decay = chord * np.exp(-6 * t) + 0.01 * noise
    square = np.sign(np.sin(2 * np.pi * 97 * t))
    sounds = [noise, chord, sweep, half_silent, half_silent_offset, soft, decay, square]
    return np.stack(
        [np.clip(np.round(32767 * x), -32768, 32767).astype(np.int16) for x in [*sounds[:-1], 0.99 * square]]
    )


def mfccs(clip: np.ndarray) -> np.ndarray:
    """Return what pyAudioAnalysis computes from one int16 clip, shape (26,)."""
    fs = len(clip)
    features, names = ShortTermFeatures.feature_extraction(clip, fs, fs // 20, fs // 20, deltas=False)
    rows = features[[names.index(f"mfcc_{i}") for i in range(1, 14)]]
    return np.concatenate([rows.mean(axis=1), rows.std(axis=1)])


def melgram(clip: np.ndarray) -> np.ndarray:
    """Return what librosa computes from one int16 clip, shape (21, 128)."""
    fs = len(clip)
    power = librosa.feature.melspectrogram(
        y=clip / 32768.0, sr=fs, n_fft=fs // 20, hop_length=fs // 20, n_mels=128, pad_mode="constant"
    )
    return librosa.power_to_db(power, ref=np.max).T


if __name__ == "__main__":
    for fs in (8000, 22050, 24000):
        sounds = clips(fs) if fs == 8000 else clips(fs)[3:6]
        np.savez_compressed(
            Path(__file__).with_name(f"features_{fs}.npz"),
            clips=sounds,
            mfccs=np.stack([mfccs(clip) for clip in sounds]),
            melgrams=np.stack([melgram(clip) for clip in sounds]).astype(np.float32),
        )
