"""container: nothing but the file itself is opened, and what is no audio is refused with its reason."""

import contextlib
import socket
from fractions import Fraction
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest
import soundfile
from audio.written import music, write

from stages.audio import container
from stages.audio.container import BLOCK, LARGEST, DecodeError, Rest, find_next, open_container, pyav
from stages.audio.ffmpeg import open_sound


@pytest.fixture
def server():
    """Give the port of a server that counts who comes."""
    came = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def count():
            with contextlib.suppress(OSError):
                while True:
                    listening.accept()[0].close()
                    came.append(1)

        Thread(target=count, daemon=True).start()
        yield listening.getsockname()[1], came
        socket.create_connection(listening.getsockname()).close()  # it does count
        while not came:
            pass
        assert len(came) == 1


REFERENCES = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{secret}\n#EXTINF:2,\n{address}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile {secret}\nfile {address}\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>'
    "<Representation id='a'><BaseURL>{address}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "playlist": "[playlist]\nFile1={secret}\nNumberOfEntries=1\n",
    "subtitles": "1\n00:00:00,000 --> 00:00:02,000\n{secret}\n",
    "reference": "RTSPtext {address}\n",
}


@pytest.mark.parametrize("name", ["song.mp3", "song.m3u8"])
@pytest.mark.parametrize("kind", REFERENCES)
def test_what_names_another_file_or_address_reaches_neither(tmp_path, server, kind, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write("secret.wav", np.full(40000, 0.5), 8000)
    port, _ = server
    secret, address = tmp_path / "secret.wav", f"http://127.0.0.1:{port}/a.wav"
    for told in (secret, "secret.wav", f"file:{secret}"):
        Path(name).write_text(REFERENCES[kind].format(secret=told, address=address, port=port))
        with pytest.raises(DecodeError, match="is not audio that can be decoded"), open_sound(Path(name)) as sound:
            list(sound.pieces())


@pytest.mark.parametrize("kind", ["hls", "concat"])
def test_even_a_format_that_would_follow_them_may_use_no_protocol(tmp_path, server, kind, monkeypatch):
    monkeypatch.setitem(container.OPTIONS, "format_whitelist", f"wav,{kind}")
    soundfile.write(tmp_path / "secret.wav", np.full(40000, 0.5), 8000)
    address = f"http://127.0.0.1:{server[0]}/a.wav"
    text = REFERENCES[kind].format(secret=f"file:{tmp_path / 'secret.wav'}", address=address, port=0)
    (tmp_path / "song.mp3").write_text(text)
    with pytest.raises(DecodeError), open_sound(tmp_path / "song.mp3") as sound:
        list(sound.pieces())


def test_covers_are_not_decoded(tmp_path):
    """Or FFmpeg would know how their pixels are stored."""
    with av.open(str(tmp_path / "a.mov"), "w", format="mov") as written:
        cover, sound = written.add_stream("png", rate=1), written.add_stream("pcm_s16le", rate=8000, layout="mono")
        cover.width, cover.height, cover.pix_fmt = 64, 48, "rgb24"
        frame = av.AudioFrame.from_ndarray(np.ones((1, 8000), np.int16), "s16", "mono")
        frame.rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
        written.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        written.mux([*sound.encode(frame), *sound.encode(None), *cover.encode(None)])
    with (tmp_path / "a.mov").open("rb") as file:
        opened = open_container(file)
        assert len(opened.streams.audio) == 1
        assert opened.streams.video[0].codec_context.pix_fmt is None


def test_a_movie_whose_samples_are_in_another_file_does_not_reach_it(tmp_path):
    """A QuickTime reference (a data reference of the kind "url " that is not the file itself)."""
    write(tmp_path / "a.m4a", music(2, 44100))
    content = (tmp_path / "a.m4a").read_bytes()
    url = bytes([0, 0, 0, 12]) + b"url " + bytes([0, 0, 0, 1])
    assert content.count(url) == 1
    (tmp_path / "secret").write_bytes(content)
    at = content.index(url)
    there = str(tmp_path / "secret").encode() + b"\0"
    new = (12 + len(there)).to_bytes(4, "big") + b"url " + bytes(4) + there
    grown = bytearray(content[:at] + new + content[at + 12 :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        place = grown.index(box) - 4
        grown[place : place + 4] = (int.from_bytes(grown[place : place + 4], "big") + len(there)).to_bytes(4, "big")
    (tmp_path / "b.m4a").write_bytes(bytes(grown[: grown.index(b"mdat") + 4]) + bytes(len(content)))
    with pytest.raises(DecodeError), open_sound(tmp_path / "b.m4a") as sound:
        list(sound.pieces())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"no sound", "it is of no known format, or too little of it is left"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "it is of no format of audio"),
    ],
)
def test_what_is_no_audio_is_refused_with_its_reason(tmp_path, content, says):
    (tmp_path / "a.mp3").write_bytes(content)
    with (tmp_path / "a.mp3").open("rb") as file, pytest.raises(DecodeError) as refusal:
        open_container(file)
    assert str(refusal.value) == f"is not audio that can be decoded ({says})"


def test_the_rest_of_a_file_is_a_file(tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(20)))
    with (tmp_path / "a").open("rb") as file:
        rest = Rest(file, 5)
        assert (rest.read(2), rest.tell()) == (bytes([5, 6]), 2)
        assert (rest.seek(3), rest.read(1)) == (3, bytes([8]))
        assert (rest.seek(-1, 2), rest.read(9)) == (14, bytes([19]))
        assert (rest.seek(-2, 1), rest.read(1)) == (13, bytes([18]))
        assert (rest.seek(-1), rest.seek(-16, 2), rest.seek(-99, 1)) == (-1, -1, -1)
        assert rest.seek(2**63 - 1) == -1  # which the system refuses


def test_a_part_of_a_file_ends_and_has_other_bytes(tmp_path):
    """However it is read: a change may be in two pieces."""
    (tmp_path / "a").write_bytes(bytes(range(20)))
    for size in (1, 2, 3, 7, 20):
        with (tmp_path / "a").open("rb") as file:
            part = Rest(file, 5, 15, {3: b"abc"})
            assert b"".join(iter(lambda read=part.read, n=size: read(n), b"")) == bytes([5, 6, 7]) + b"abc" + bytes(
                [11, 12, 13, 14]
            )
            assert (part.tell(), part.seek(0, 2), part.seek(-1, 1), part.read(9)) == (10, 10, 9, bytes([14]))


def test_no_file_may_ask_for_much_memory_at_once():
    samples = LARGEST // 4
    pyav().AudioFrame("flt", "mono", samples - 100)
    with pytest.raises(MemoryError):
        pyav().AudioFrame("flt", "mono", samples + 1)


@pytest.mark.parametrize("at", [BLOCK - 2, BLOCK, 2 * BLOCK + 63])
def test_another_song_is_found_wherever_it_begins(tmp_path, at):
    flac, ogg = (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22"), (b"OggS\0\2OggS\0\0", b"OggS\0\2")
    for first, following in (flac, ogg):
        (tmp_path / "a").write_bytes(first.ljust(at, b"f") + following + bytes(100))
        with (tmp_path / "a").open("rb") as file:
            assert find_next(file, 0) == at
            assert find_next(file, at) is None
