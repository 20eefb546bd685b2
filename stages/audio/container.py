"""container: an audio file opened by FFmpeg (through PyAV), safely whatever is in it.

The file is handed over open, and nothing else can be opened: formats that name other files or addresses, such as
playlists, are not among FORMATS, and FFmpeg may use no protocol. It may not ask for much memory at once either.
"""

import ctypes
import os
import re
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

from stages.audio.claims import claims_too_little

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
JUNK = 2**16  # bytes behind tags in which a song may begin
HEADS = re.compile(  # of formats that FFmpeg knows only if a file begins with them, or with a tag
    rb"(RIFF|RF64)....WAVE|FORM....AIF[FC]|fLaC[\0\x80]\0\0\x22|OggS\0\x02|....ftyp|wvpk|TTA1|caff\0\x01|\.snd\0"
    rb"|riff\x2e\x91\xcf\x11|\x30\x26\xb2\x75\x8e\x66\xcf\x11|\x1a\x45\xdf\xa3",
    re.DOTALL,
)
MP3_HEAD = re.compile(rb"\xff[\xe2-\xff].{2}\0{9,32}(Xing|Info)", re.DOTALL)  # which tells what the encoder added
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


def open_container(file: BinaryIO, begin: int = 0) -> "InputContainer":
    """Open what begins at a place in an open file.

    Raises:
        DecodeError: if FFmpeg does not know what it is.
    """
    if not file.seek(0, os.SEEK_END):
        raise no_sound("it is empty")
    try:
        more = {"ignore_length": "1"} if claims_too_little(Rest(file, begin)) else {}
        return pyav().open(Rest(file, begin), options=OPTIONS | more, metadata_errors="replace", buffer_size=2**16)
    except pyav().FFmpegError as error:
        raise no_sound(REASONS.get(type(error).__name__, error.strerror)) from None


def find_head(file: BinaryIO) -> int:
    """Return where a song begins in a file that begins with ID3 tags, with junk or with both; 0 if that is unknown."""
    begin = 0
    for _ in range(10):
        file.seek(begin)
        tag = file.read(10)
        if not tag.startswith(b"ID3"):
            break
        begin += 10 + sum((byte & 127) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=False))
    file.seek(begin)
    head = HEADS.search(file.read(JUNK))
    return begin + head.start() if head else 0


def find_mp3_head(file: BinaryIO, begin: int, end: int) -> int:
    """Return where between two places an MP3's head is, but not at the first, where FFmpeg reads it; 0 if nowhere."""
    begin, first = max(begin, end - JUNK), begin
    head = MP3_HEAD.search(os.pread(file.fileno(), end - begin, begin))
    return begin + head.start() if head and begin + head.start() > first else 0


def no_sound(why: str) -> DecodeError:
    """Return the error that a file holds no sound."""
    return DecodeError(f"is not audio that can be decoded ({why})")


class Rest:
    """What follows a place in an open file, as a file of its own, for FFmpeg."""

    def __init__(self, file: BinaryIO, begin: int) -> None:
        """Start there, in bytes."""
        self._file, self._begin, self.read = file, begin, file.read
        file.seek(begin)

    def tell(self) -> int:
        """Return how far it has been read."""
        return self._file.tell() - self._begin

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; -1 if there is none. (What Python raises would end more than this.)"""
        starts = {os.SEEK_SET: self._begin, os.SEEK_CUR: self._file.tell()}
        place = offset + starts[whence] if whence in starts else self._file.seek(0, os.SEEK_END) + offset
        return self._file.seek(place) - self._begin if self._begin <= place < FARTHEST else -1
