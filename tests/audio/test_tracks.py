"""tracks: a piece is the same whoever makes it, and a track that breaks off leaves nothing behind."""

import json

import numpy as np
import pytest
import soundfile
from audio.written import music, write

from stages.audio import tracks
from stages.audio.front_end import mfccs
from stages.audio.tracks import Piece, Track, analyse, read_header


@pytest.fixture
def piece(tmp_path):
    for i, seconds in enumerate((2.5, 3.2)):
        sound = np.random.default_rng(i).uniform(-0.5, 0.5, int(seconds * 8000))
        (tmp_path / "jazz").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "jazz" / f"{i}.wav", sound, 8000)
    return Piece(["jazz/0.wav", "jazz/1.wav"], tmp_path, tmp_path / "piece", 8000, ("mfccs",))


def told(piece):
    """Return what is known of a piece's tracks, but for the hashes."""
    tracks = [Track(*line) for line in json.loads(piece.done().read_text())]
    assert all(bool(track.sound) == bool(track.words) == bool(track.clips) for track in tracks)
    return [(*track[:5], track.problem) for track in tracks]


def test_a_piece_holds_its_tracks_samples_one_after_the_other(piece):
    assert analyse(piece) == piece.files
    expected = []
    for file in piece.files:
        sound = soundfile.read(piece.folder / file)[0]
        expected.append(mfccs(sound[: len(sound) // 8000 * 8000].reshape(-1, 8000)))
    found = np.fromfile(piece.numbers("mfccs"), np.float32).reshape(-1, 26)
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-3)
    assert told(piece) == [("jazz/0.wav", 2.5, 2, 0, 8000, ""), ("jazz/1.wav", 3.2, 3, 0, 8000, "")]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("odd"), ValueError("odd"), UnicodeError("odd")])
def test_a_track_that_breaks_off_leaves_nothing_and_the_others_go_on(piece, monkeypatch, error):
    def breaking(pieces, sample_rate):
        samples = sum(len(piece[0]) for piece, _ in pieces)
        yield from (np.linspace(-1, 1, 8000, dtype=np.float32) for _ in range(2))
        if samples == 20000:
            raise error

    monkeypatch.setattr(tracks, "read_blocks", breaking)
    analyse(piece)
    first, second = (Track(*line) for line in json.loads(piece.done().read_text()))
    assert first.problem == f"cannot be used ({type(error).__name__}: {error})"
    assert (first.clips, second.clips, second.problem) == (0, 2, "")
    assert piece.numbers("mfccs").stat().st_size == 2 * 26 * 4


def test_a_track_that_is_cut_short_is_kept_up_to_there(piece):
    """Three seconds of 3.2 were; 2.4 of 2.5 still are."""
    for name, seconds in (("0.wav", 2.4), ("1.wav", 0.7)):
        path = piece.folder / "jazz" / name
        path.write_bytes(path.read_bytes()[: 44 + int(seconds * 16000)])
    analyse(piece)
    first, second = (Track(*line) for line in json.loads(piece.done().read_text()))
    assert first.sound
    assert first == Track("jazz/0.wav", 2.4, 2, 0, 8000, first.sound, first.words, "")  # a tenth of a second is ignored
    assert second == Track("jazz/1.wav", 0.7, 0, 0, 8000, "", "", "breaks off after 0.7 s of 3.2 s")
    assert piece.numbers("mfccs").stat().st_size == 2 * 26 * 4


def test_silent_seconds_are_no_samples(piece):
    """They are counted; the others give what they give without them."""
    sound, rate = soundfile.read(piece.folder / "jazz" / "1.wav")
    hiss = 1e-4 * sound[:8000]  # below -80 dBFS
    first, second, third = sound[:24000].reshape(3, 8000)
    gap = np.concatenate([hiss, first, np.zeros(16000), second, third, hiss[:4000]])
    soundfile.write(piece.folder / "jazz" / "0.wav", gap, rate)
    analyse(piece)
    assert told(piece) == [("jazz/0.wav", 6.5, 3, 3, 8000, ""), ("jazz/1.wav", 3.2, 3, 0, 8000, "")]
    with_gap, without = np.fromfile(piece.numbers("mfccs"), np.float32).reshape(2, 3, 26)
    np.testing.assert_allclose(with_gap, without, rtol=1e-5)


@pytest.mark.parametrize("level", [0, 1e-4])
def test_a_track_of_silent_seconds_alone_is_silent_throughout(piece, level):
    """Be it of zeros or of hiss; a rest shorter than a second is left out anyway."""
    hiss = level * np.random.default_rng(0).uniform(-0.5, 0.5, 20000)
    soundfile.write(piece.folder / "jazz" / "0.wav", hiss, 8000)
    analyse(piece)
    first, second = (Track(*line) for line in json.loads(piece.done().read_text()))
    assert first == Track("jazz/0.wav", 2.5, 0, 2, 8000, "", "", "is silent throughout")
    assert second.clips == 3
    assert piece.numbers("mfccs").stat().st_size == 3 * 26 * 4


def test_a_header_tells_the_length_or_what_is_wrong(piece):
    assert read_header((piece.folder, "jazz/1.wav")) == Track("jazz/1.wav", 3.2, 0, 0, 8000, "", "", "")
    (piece.folder / "jazz" / "2.wav").write_text("no sound")
    assert "of no known format" in read_header((piece.folder, "jazz/2.wav")).problem


def test_one_sound_has_one_hash_whatever_file_holds_it(tmp_path):
    """In lossless formats, with a tag in front and behind, in two channels; one sample more is another sound."""
    rate = 44100
    sound = np.round(2**15 * music(3.3, rate)) / 2**15
    for name in ("a.wav", "24.wav", "a.flac", "alac.m4a", "a.tta", "a.aiff", "a.mp3"):
        write(tmp_path / name, sound)
    write(tmp_path / "stereo.flac", np.stack([sound, sound], axis=1), "a.flac")
    mp3 = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "tagged.mp3").write_bytes(b"ID3\3\0\0\0\0\0\12" + bytes(10) + mp3 + b"TAG".ljust(128, b"x"))
    write(tmp_path / "longer.wav", np.append(sound, 0.5), "a.wav")
    files = sorted(path.name for path in tmp_path.iterdir())
    piece = Piece(files, tmp_path, tmp_path / "piece", 8000, ("mfccs",))
    analyse(piece)
    hashes = {line[0]: line[5] for line in json.loads(piece.done().read_text())}
    lossy = hashes.pop("a.mp3")
    assert hashes.pop("tagged.mp3") == lossy
    longer = hashes.pop("longer.wav")
    (whole,) = set(hashes.values())
    assert len({lossy, longer, whole}) == 3
