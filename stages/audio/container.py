"""container: an audio file opened by FFmpeg (through PyAV), safely whatever is in it.

The file is handed over open, and nothing else can be opened: formats that name other files or addresses, such as
playlists, are not among FORMATS, and FFmpeg may use no protocol. It may not ask for much memory at once either.
"""

import ctypes
import os
import re
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

from stages.audio.claims import corrections

if TYPE_CHECKING:
    from av.container import InputContainer

# FFmpeg's demuxers of files that may hold music, by the first of their names; none of these opens another file.
FORMATS = (
    "aac,ac3,adx,aea,aiff,amr,ape,asf,au,avi,avr,bonk,caf,dsf,dts,dtshd,eac3,epaf,flac,flv,gsm,iff,ircam,loas,matroska,"
    "mlp,mov,mp3,mpc,mpc8,mpeg,mpegts,nistsphere,nut,ogg,oma,osq,pvf,qcp,qoa,rm,rso,sds,shn,sox,tak,truehd,tta,voc,vqf,"
    "w64,wav,wsd,wv,wve,xwma"
)
OPTIONS = {
    "format_whitelist": FORMATS,
    "protocol_whitelist": "none",
    "max_pixels": "1",  # covers and video are not decoded
    "max_probe_packets": "1",  # or it takes a megabyte of 16-bit WAV to see that it is no DTS
    "max_size": "65536",  # bytes in a packet of WAV: fewer packets are faster
}
FARTHEST = 2**40  # byte that FFmpeg may go to: a system refuses some of those that a broken file names
LARGEST = 2**26  # bytes that FFmpeg may ask for at once: an index, a cover
BLOCK = 2**20  # bytes that are searched together
JUNK = 2**16  # bytes behind tags in which a song may begin
HEADS = re.compile(  # of formats that FFmpeg knows only if a file begins with them, or with a tag
    rb"(RIFF|RF64)....WAVE|FORM....AIF[FC]|fLaC[\0\x80]\0\0\x22|OggS\0\x02|....ftyp|wvpk|TTA1|caff\0\x01|\.snd\0"
    rb"|riff\x2e\x91\xcf\x11|\x30\x26\xb2\x75\x8e\x66\xcf\x11|\x1a\x45\xdf\xa3",
    re.DOTALL,
)
MP3_HEAD = re.compile(rb"\xff[\xe2-\xff].{2}\0{9,32}(Xing|Info|VBRI)", re.DOTALL)  # tells how long it is
OGG_SOUND = re.compile(rb"OggS\0[\0\1\4\5]")  # a page behind those that begin its streams
OGG_FIRST = re.compile(rb"OggS\0\x02")  # a page that begins one
FLAC = re.compile(rb"fLaC[\0\x80]\0\0\x22")
REASONS = {  # by PyAV's name of what FFmpeg says
    "InvalidDataError": "it is of no known format, or too little of it is left",
    "EOFError": "it ends before there is any",
    "ArgumentError": "it is of no format of audio",
    "MemoryError": "it asks for too much memory",
}


class DecodeError(Exception):
    """An audio file that cannot be used; the message says why, without the file's name."""


@cache
def pyav():
    """Return PyAV, whose FFmpeg then refuses to ask for more memory at once than LARGEST."""
    import av

    ctypes.CDLL(av._core.__file__).av_max_alloc(ctypes.c_size_t(LARGEST))
    return av


def open_container(file: BinaryIO, begin: int = 0, end: int | None = None) -> "InputContainer":
    """Open what is between two places in an open file.

    Raises:
        DecodeError: if FFmpeg does not know what it is.
    """
    if not file.seek(0, os.SEEK_END):
        raise no_sound("it is empty")
    try:
        rest = Rest(file, begin, end, corrections(Rest(file, begin)))
        return pyav().open(rest, options=OPTIONS, metadata_errors="replace", buffer_size=2**16)
    except pyav().FFmpegError as error:
        raise no_sound(REASONS.get(type(error).__name__, error.strerror)) from None


def find_head(file: BinaryIO) -> int:
    """Return where a song begins in a file that begins with ID3 tags, with junk or with both; 0 if that is unknown."""
    begin = skip_tags(file, 0)
    file.seek(begin)
    head = HEADS.search(file.read(JUNK))
    return begin + head.start() if head else begin


def skip_tags(file: BinaryIO, begin: int) -> int:
    """Return where the ID3 tags end that are at a place in a file; one that claims to be longer than it is its head."""
    size = file.seek(0, os.SEEK_END)
    for _ in range(10):
        file.seek(begin)
        tag = file.read(10)
        if not tag.startswith(b"ID3"):
            break
        length = sum((byte & 127) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=False))
        begin += 10 + (length if begin + length < size else 0)
    return begin


def find_next(file: BinaryIO, begin: int) -> int | None:
    """Return where in a file of Ogg or FLAC another song follows that which begins at a place."""
    begin = skip_tags(file, begin)
    file.seek(begin)
    form = file.read(4)
    if form == b"OggS":
        sound = _find(file, OGG_SOUND, begin)
        return None if sound is None else _find(file, OGG_FIRST, sound)
    return _find(file, FLAC, begin + 4) if form == b"fLaC" else None


def _find(file: BinaryIO, pattern: re.Pattern[bytes], begin: int) -> int | None:
    """Return where from a place on a pattern of few bytes is first found, or None; a file is read in blocks."""
    while block := os.pread(file.fileno(), BLOCK + 2**6, begin):
        if found := pattern.search(block):
            return begin + found.start()
        begin += BLOCK
    return None


def find_mp3_head(file: BinaryIO, begin: int, end: int) -> int | None:
    """Return where between two places an MP3's head is, or None."""
    begin = max(begin, end - JUNK)
    head = MP3_HEAD.search(os.pread(file.fileno(), end - begin, begin))
    return begin + head.start() if head else None


def no_sound(why: str) -> DecodeError:
    """Return the error that a file holds no sound."""
    return DecodeError(f"is not audio that can be decoded ({why})")


class Rest:
    """What follows a place in an open file, as a file of its own, for FFmpeg."""

    def __init__(
        self, file: BinaryIO, begin: int, end: int | None = None, changes: dict[int, bytes] | None = None
    ) -> None:
        """Start there, in bytes; end at another place, and read some bytes as if they were others, by their places."""
        self._file, self._begin, self._changes = file, begin, changes or {}
        self._end = file.seek(0, os.SEEK_END) if end is None else end
        self._place = file.seek(begin)  # asking the file each time takes longer than reading it

    def read(self, size: int) -> bytes:
        """Read so many bytes."""
        content = self._file.read(max(0, min(size, self._end - self._place)))
        begin = self.tell()
        self._place += len(content)
        for at, new in self._changes.items():
            if begin < at + len(new) and at < begin + len(content):
                content = bytearray(content)
                for number, byte in enumerate(new, at - begin):
                    if 0 <= number < len(content):
                        content[number] = byte
        return bytes(content)

    def tell(self) -> int:
        """Return how far it has been read."""
        return self._place - self._begin

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; -1 if there is none. (What Python raises would end more than this.)"""
        starts = {os.SEEK_SET: self._begin, os.SEEK_CUR: self._place}
        place = offset + starts.get(whence, self._end)
        if not self._begin <= place < FARTHEST:
            return -1
        self._place = self._file.seek(place)
        return self.tell()
