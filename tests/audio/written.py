"""Audio files of every kind, written by FFmpeg through PyAV, and OGG Vorbis, which that cannot write, by libsndfile."""

from fractions import Fraction

import av
import numpy as np
import soundfile

# name: the codec, FFmpeg's name of the format if it is not the suffix, and a sampling rate that the codec takes
KINDS = {
    "a.wav": ("pcm_s16le", "wav", 44100),
    "24.wav": ("pcm_s24le", "wav", 44100),
    "float.wav": ("pcm_f32le", "wav", 44100),
    "adpcm.wav": ("adpcm_ms", "wav", 44100),
    "a.aiff": ("pcm_s16be", "aiff", 44100),
    "a.au": ("pcm_s16be", "au", 44100),
    "a.caf": ("pcm_s16be", "caf", 44100),
    "a.w64": ("pcm_s16le", "w64", 44100),
    "a.flac": ("flac", "flac", 44100),
    "flac.oga": ("flac", "oga", 44100),
    "a.wv": ("wavpack", "wv", 44100),
    "a.tta": ("tta", "tta", 44100),
    "a.mp3": ("libmp3lame", "mp3", 44100),
    "a.ogg": ("VORBIS", "OGG", 44100),
    "a.opus": ("libopus", "opus", 48000),
    "a.m4a": ("aac", "ipod", 44100),
    "alac.m4a": ("alac", "ipod", 44100),
    "a.mp4": ("aac", "mp4", 44100),
    "a.webm": ("libopus", "webm", 48000),
    "a.mka": ("flac", "matroska", 44100),
    "a.wma": ("wmav2", "asf", 44100),
    "a.aac": ("aac", "adts", 44100),
    "a.mp2": ("mp2", "mp2", 44100),
    "a.ac3": ("ac3", "ac3", 44100),
    "a.eac3": ("eac3", "eac3", 44100),
    "a.mov": ("alac", "mov", 44100),
    "a.mpg": ("mp2", "mpeg", 44100),
    "a.ts": ("aac", "mpegts", 44100),
}


def music(seconds, rate, seed=0):
    """Return a tune with noise in it, so that every moment is unlike any other."""
    t = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal(len(t))
    return 0.3 * np.sin(2 * np.pi * 220 * t) * (0.6 + 0.4 * np.sin(4 * np.pi * t)) + 0.05 * noise


def write(path, sound, kind=None, bit_rate=128_000, **options):
    """Write a sound, shape (n,) or (n, channels), as the kind of file that its name, or `kind`, says."""
    codec, form, rate = KINDS[kind or path.name]
    if form == "OGG":
        soundfile.write(path, sound, rate, format=form, subtype=codec)
        return
    samples = np.ascontiguousarray(np.atleast_2d(sound.T), np.float32)
    with av.open(str(path), "w", format=form, options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout, stream.bit_rate = {1: "mono", 2: "stereo", 8: "7.1"}[len(samples)], bit_rate
        if "s16" in [each.name for each in stream.codec.audio_formats]:
            stream.format = "s16"
        for start in range(0, samples.shape[1], 10 * rate):
            block = samples[:, start : start + 10 * rate].T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(block, "flt", stream.layout.name)
            frame.rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
