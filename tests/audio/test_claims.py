"""claims: what a header says of a file's length is read even if the rest of the file is not there."""

import numpy as np
import pytest
from audio.written import music, write

from stages.audio.claims import CHUNKS, bytes_claimed, corrections, seconds_claimed


@pytest.mark.parametrize("form", CHUNKS)
def test_as_many_bytes_as_were_written_are_claimed_by_what_is_left(tmp_path, form):
    path = tmp_path / f"a.{form}"
    write(path, music(1, 44100))
    path.write_bytes(path.read_bytes()[:5000])
    with path.open("rb") as file:
        assert bytes_claimed(file, CHUNKS[form]) == 2 * 44100
        assert seconds_claimed(file, form, 2 * 44100) == (form != "aiff")  # which counts samples elsewhere
        assert not corrections(file)


def test_what_a_wma_claims_is_how_long_it_plays(tmp_path):
    write(tmp_path / "a.wma", music(3, 44100))
    with (tmp_path / "a.wma").open("rb") as file:
        assert seconds_claimed(file, "asf", 0) == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("form", [*CHUNKS, "asf", "flac"])
@pytest.mark.parametrize("content", [b"", b"RIFF", bytes(9999), b"\xff" * 9999, b"caff\0\1\0\0data" + b"\xff" * 8])
def test_what_says_nothing_claims_nothing(tmp_path, form, content):
    (tmp_path / "a").write_bytes(content)
    with (tmp_path / "a").open("rb") as file:
        assert seconds_claimed(file, form, 1) == 0
        assert not corrections(file)


FOLLOWS = {"LIST": False, "\0\0\0\0": False, "ID3\4": False, "\xfe\1\xfd\2": True}


@pytest.mark.parametrize("first", FOLLOWS)
@pytest.mark.parametrize("odd", [0, 1])
def test_samples_that_follow_a_wav_are_told_from_chunks_and_tags(tmp_path, first, odd):
    write(tmp_path / "a.wav", music(1, 44100))
    content = bytearray((tmp_path / "a.wav").read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = (2 * 44100 - odd).to_bytes(4, "little")
    noise = np.random.default_rng(0).bytes(2 * 44100) if any(map(ord, first)) else bytes(2 * 44100)
    (tmp_path / "a.wav").write_bytes(bytes(content) + first.encode("latin-1") + noise)
    with (tmp_path / "a.wav").open("rb") as file:
        assert bool(corrections(file)) == FOLLOWS[first]
