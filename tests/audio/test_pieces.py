"""pieces: the samples of a file, each channel's, in its own type."""

import numpy as np
import pytest
import soundfile
from audio.written import music, write

from stages.audio.ffmpeg import open_sound


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_samples_are_those_of_the_file(tmp_path, subtype):
    sound = np.random.default_rng(0).uniform(-1, 1, (9000, 3))
    soundfile.write(tmp_path / "a.wav", sound, 8000, subtype=subtype)
    with open_sound(tmp_path / "a.wav") as opened:
        found = np.concatenate([np.transpose(piece) for piece, _ in opened.pieces()])
    stored = soundfile.read(tmp_path / "a.wav")[0]
    scale = {"PCM_U8": 2**7, "PCM_16": 2**15, "PCM_24": 2**31, "PCM_32": 2**31}.get(subtype, 1)
    np.testing.assert_array_equal((found.astype(float) - (128 if subtype == "PCM_U8" else 0)) / scale, stored)


def test_eight_channels_are_eight(tmp_path):
    """The place for a ninth is another number."""
    sound = music(1, 44100)
    write(tmp_path / "a.m4a", np.stack([sound] * 8, axis=1), bit_rate=512_000)
    with open_sound(tmp_path / "a.m4a") as opened:
        assert {len(piece) for piece, _ in opened.pieces()} == {8}
