"""Songs for the page, written in many forms."""

import struct
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from stages import demo
from stages.corpus.synth import RATE

REPRESENTATIONS = ("melgrams", "mfccs")

# A promise of two changes of the page: the songs come, then they have been heard.
WHEN_HEARD = """new Promise((go) => {
  const main = document.querySelector("main");
  const look = () => main.ariaBusy === "false" && document.querySelector("tbody tr") && go();
  new MutationObserver(look).observe(main, {attributes: true, subtree: true, childList: true});
  look();
})"""


def music(genre, rate, seconds=5.3, index=0):
    """Return a piece at a rate, shape (n,), not from its start: a piece's start may be silent."""
    return piece(genre, rate, index)[rate : round(rate * (1 + seconds))].copy()


@cache
def piece(genre, rate, index):
    """Return a whole piece at a rate; composing and resampling it takes longer than most tests that hear it."""
    return soxr.resample(demo.sound(genre, index) / 32768, RATE, rate, quality="HQ")


def write(name, sound, rate, **how):
    soundfile.write(name, sound, rate, **how)
    return name


def stereo(genre, rate, seconds=5.3):
    mono = music(genre, rate, seconds)
    return np.stack([0.8 * mono, 0.5 * np.roll(mono, 300)], axis=1)


def probabilities(song):
    """Return those of a song's seconds, NaN where it is silent, shape (seconds, classes)."""
    silent = dict.fromkeys(song["probabilities"], np.nan)
    return np.array([list((second["probabilities"] or silent).values()) for second in song["seconds"]])


def wait(tab, condition):
    """Wait until it holds, a minute at most; Playwright's own way is forbidden by the page."""
    tab.evaluate(f"""async () => {{
      for (let tries = 0; !({condition}); tries++) {{
        if (tries > 3000) throw new Error("waited for a minute");
        await new Promise((go) => setTimeout(go, 20));
      }}
    }}""")


def named(tab, name):
    """Return the button that shows a song."""
    return tab.get_by_role("button", name=name, exact=True)


def all_songs():
    """Write songs in every form; return their names."""
    names = []
    for rate in (44100, 48000):
        for genre in ("rock", "pop"):
            names += [
                write(f"{genre}_{rate}.{suffix}", stereo(genre, rate), rate) for suffix in ("wav", "flac", "mp3", "ogg")
            ]
    names += [
        write(f"mono_{rate}.wav", music("pop", rate), rate)
        for rate in (8000, 11025, 16000, 22050, 32000, 37800, 47999, 96000)
    ]
    names.append(write("float.wav", music("blues", 8000), 8000, subtype="FLOAT"))
    names.append(write("24 bits.flac", music("blues", 44100), 44100, subtype="PCM_24"))
    # So soft that how loud it is matters, and no softer: the front end of the melgrams has a floor.
    names.append(write("soft.flac", 1e-2 * stereo("pop", 44100), 44100, subtype="PCM_24"))
    names.append(write("opus.ogg", stereo("blues", 48000), 48000, format="OGG", subtype="OPUS"))
    names.append(write("8 channels.wav", np.stack([music("rock", 44100)] * 7 + [music("pop", 44100)], axis=1), 44100))
    loud = np.tile(stereo("blues", 44100), (13, 1)) + np.random.default_rng(0).normal(0, 0.1, (13 * 233730, 2))
    names.append(write("long.wav", loud, 44100))  # of several pieces and sections, as the next two
    names.append(write("long.flac", loud[: 35 * 44100], 44100))
    names.append(write("long.mp3", loud[: 35 * 44100], 44100, compression_level=0, bitrate_mode="CONSTANT"))
    names.append(write("8 bits.wav", music("pop", 8000) / np.abs(music("pop", 8000)).max(), 8000, subtype="PCM_U8"))
    names.append(write("3 seconds.flac", music("rock", 44100, 3), 44100))
    return names


HEADERS = (
    b"RIFF",
    b"RIFF\x00\x00\x00\x00WAVEfmt ",
    b"fLaC",
    b"OggS\x00",
    b"ID3\x04\x00\x00\x00\x00\x00\x09",
    b"\xff\xfb",
)


def bad_files():
    """Write files that cannot be heard; return what is said of each."""
    said = {}
    for number, header in enumerate((b"", b"no sound", *HEADERS)):
        name = f"broken {number}.mp3"
        Path(name).write_bytes(header)
        said[name] = "is no sound that this browser can decode" if header else "is empty"
    Path("zeros.wav").write_bytes(
        HEADERS[1] + bytes.fromhex("10000000 01000100 401f0000 803e0000 02001000") + bytes(2**23)
    )
    said["zeros.wav"] = "is no sound that this browser can decode"
    silence, loud = np.zeros(20000), music("pop", 8000)
    said[write("silence.wav", silence, 8000)] = "is silent throughout"
    said[write("short.wav", loud[:3999], 8000)] = "is shorter than half a second"
    said[write("nan.wav", np.where(np.arange(len(loud)) == 9000, np.nan, loud), 8000, subtype="FLOAT")] = (
        "holds NaN or infinity, or numbers far beyond full scale"
    )
    said[long_song("long.ogg")] = "lasts 3:00:00; this page hears such a file up to 1:33:12: cut it in pieces"
    said[webm("long.webm", "long.ogg", 300_000)] = (
        "lasts 4:10:00; this page hears such a file up to 1:33:12: cut it in pieces"
    )
    return said


def long_song(name):
    """Write a second of Opus whose last page says that it is the end of three hours."""
    write(name, stereo("pop", 48000)[:48000], 48000, format="OGG", subtype="OPUS")
    *pages, last = ogg_pages(name)
    Path(name).write_bytes(b"".join([*pages, moved(last, 3 * 3600 * 48000)]))
    return name


def ogg_pages(name):
    """Return the pages of an OGG."""
    first, *others = Path(name).read_bytes().split(b"OggS")[1:]
    return [b"OggS" + page for page in (first, *others)]


def moved(page, position):
    """Return a page whose position, of the last sample that ends in it, is another one."""
    page = bytearray(page)
    page[6:14] = position.to_bytes(8, "little")
    page[22:26] = bytes(4)
    page[22:26] = ogg_checksum(page).to_bytes(4, "little")
    return bytes(page)


def ogg_checksum(page):
    """Return the CRC of a page whose own is 0 (RFC 3533, section 6)."""
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x104C11DB7 if crc >> 31 else 0)
    return crc


def webm(name, opus, step=20):
    """Write the Opus of an OGG as WebM such as browsers record: it does not say how long it is.

    Args:
        name: the file's.
        opus: the OGG's.
        step: milliseconds from one packet to the next one.
    """
    packets, rest = [], b""
    for page in ogg_pages(opus):
        at = 27 + page[26]
        for size in page[27:at]:
            rest, at = rest + page[at : at + size], at + size
            if size < 255:
                packets, rest = [*packets, rest], b""
    head, _, *blocks = packets
    audio = ebml("b5", struct.pack(">d", 48000)) + ebml("9f", b"\2")
    delay = int.from_bytes(head[10:12], "little") * 1_000_000_000 // 48000
    track = ebml("d7", b"\1") + ebml("73c5", b"\1") + ebml("83", b"\2") + ebml("86", b"A_OPUS") + ebml("63a2", head)
    track += ebml("56aa", delay.to_bytes(4, "big")) + ebml("56bb", (80_000_000).to_bytes(4, "big")) + ebml("e1", audio)
    versions = (("4286", b"\1"), ("42f7", b"\1"), ("42f2", b"\4"), ("42f3", b"\x08"))
    kind = b"".join(ebml(*each) for each in (*versions, ("4282", b"webm"), ("4287", b"\4"), ("4285", b"\2")))
    content = ebml("1a45dfa3", kind) + bytes.fromhex("18538067 01ffffffffffffff")  # a segment of unknown size
    content += ebml("1549a966", ebml("2ad7b1", (1_000_000).to_bytes(3, "big"))) + ebml("1654ae6b", ebml("ae", track))
    for number, block in enumerate(blocks):
        clock = ebml("e7", (step * number).to_bytes(4, "big"))
        content += ebml("1f43b675", clock + ebml("a3", b"\x81\0\0\x80" + block))
    Path(name).write_bytes(content)
    return name


def ebml(kind, content):
    """Return an element of WebM (RFC 8794)."""
    return bytes.fromhex(kind) + (len(content) | 1 << 56).to_bytes(8, "big") + content
