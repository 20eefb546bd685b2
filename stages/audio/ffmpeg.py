"""ffmpeg: the samples of an audio file, decoded by FFmpeg, and what was wrong with it on the way.

Memory is bounded whatever a file claims. One thread decodes a song.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from stages.audio.claims import seconds_claimed
from stages.audio.container import (
    DecodeError,
    Rest,
    find_head,
    find_mp3_head,
    find_next,
    no_sound,
    open_container,
    pyav,
)
from stages.audio.pieces import Piece, as_piece, check_form, piece_samples, take, take_all
from stages.common.files import few_of, open_regular

if TYPE_CHECKING:
    from av import AudioFrame

PACKET_SAMPLES = 2**22  # of all channels together, in one packet
LONG = 0.12  # seconds; the longest frame of a codec for music, Opus's, so that less is no sign of anything
# Seconds that no encoder leaves out between two packets, of formats whose packets have their times.
GAPS = {"flac": 0.001, "ogg": LONG, "asf": LONG, "matroska": 1.0}
PADDED = 4096  # samples at the end of an M4A that may be its encoder's padding: two of the longest frames of AAC
ERRORS = 255  # one after the other, as many as there are packets in a page of Ogg that is wrong
ENDING = ("ogg", "mpegts", "mpeg", "avi")  # which say how long they are at their end alone: it cannot be missing
TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICS")  # where one MP3 follows another; what is in them is no damage


@contextmanager
def open_sound(path: Path) -> Iterator["Sound"]:
    """Open an audio file.

    Raises:
        DecodeError: if it holds no audio, or its header claims what no audio file has.
        OSError: if it cannot be opened, or is no file but a pipe, say.
    """
    with open_regular(path) as file, closing(Sound(file)) as sound:
        yield sound


class Sound:
    """The first audio stream of an open file; once it has been read, what was wrong with it."""

    def __init__(self, file: BinaryIO) -> None:
        """Check what the header claims."""
        self._file, self._begin = file, 0  # of the stream that is read, in bytes
        self.decoded = self.lost = 0.0  # seconds
        self._damaged: dict[str, None] = {}  # when
        try:
            self._open(0)
        except DecodeError:
            begin = find_head(file)
            if not begin:
                raise
            self._open(begin)
        self.rate = self._codec.sample_rate

    def _open(self, begin: int) -> None:
        """Open what begins at a place in the file."""
        self._begin, self._end = begin, find_next(self._file, begin)
        container = open_container(self._file, begin, self._end)
        self._container, self._format = container, container.format.name.split(",")[0]
        if not container.streams.audio:
            raise no_sound("it holds no audio")
        self._stream = container.streams.audio[0]
        self._codec = self._stream.codec_context
        if not self._codec:
            raise no_sound("its codec is unknown, or it is encrypted")
        check_form(self._codec.sample_rate, self._codec.channels)
        for stream in container.streams:
            if stream is not self._stream:
                stream.discard = pyav().stream.Discard.all
        exact = "+explode" if self._codec.codec.lossless else ""  # or noise stands for what is damaged
        self._codec.thread_count = 1
        self._codec.options = {
            "err_detect": f"crccheck{exact}",
            "max_samples": str(PACKET_SAMPLES // self._codec.channels),
        }
        self._bit_rate = self._codec.bit_rate or np.inf  # of the first frames
        self._start, self._page = 0, 0  # where the first packet is, and the last, in bytes
        self._before = self.decoded + self.lost  # of other songs

    def close(self) -> None:
        """Let go of what FFmpeg holds; the file stays open."""
        self._container.close()

    @property
    def seconds(self) -> float:
        """How long the sound is by its container's word, or else by FFmpeg's guess; 0 if that has none."""
        stream, unit = self._stream, self._stream.time_base
        alone = len(self._container.streams) == 1  # else it is the length of the longest
        if stream.duration is not None and (alone or self._format != "asf"):
            return float(stream.duration * unit)
        return (self._container.duration or 0) / 1e6 - float((stream.start_time or 0) * unit) if alone else 0.0

    def pieces(self) -> Iterator[Piece]:
        """Yield the samples in pieces; rate, type and number of channels may change on the way.

        What cannot be decoded is left out, as players do; `problem` then says so.
        """
        queue, form, size = None, None, 0
        for frame in self._frames():
            found = frame.sample_rate, frame.layout.nb_channels, frame.format.name
            if found != form:
                if queue:
                    yield from take_all(queue, size)
                check_form(*found[:2])
                queue, form, size = pyav().AudioFifo(), found, piece_samples(*found[:2])
            if not queue.samples and size / 2 <= frame.samples <= size:
                yield as_piece(frame)
                continue
            frame.pts = None  # the queue would compare it with what it expects
            queue.write(frame)
            while queue.samples >= size + PADDED:
                yield take(queue, size)
        if queue:
            yield from take_all(queue, size, self._padding())

    def _frames(self) -> Iterator["AudioFrame"]:
        """Yield what can be decoded; count what cannot."""
        longest = GAPS.get(self._format, np.inf)
        due = 0.0  # when the next frame should start
        read = failed = 0  # bytes of packets that were decoded, and of those that were not, since
        in_tag = False
        for packet in self._packets():
            if packet and not read and packet.has_sidedata("encryption_info"):
                raise no_sound("it is encrypted")
            try:
                frames = self._codec.decode(packet)
            except pyav().FFmpegError:
                if packet:
                    in_tag = in_tag or (not failed and bytes(packet).startswith(TAGS))
                    failed += 0 if in_tag else packet.size
                continue
            if not frames:
                continue
            seconds = sum([frame.samples for frame in frames]) / frames[0].sample_rate
            if packet:
                at = frames[0].time
                gap = 0.0 if at is None else at - due
                due += gap + seconds
                if self._page <= self._start:  # which may not tell its time
                    gap = 0.0
                if read and (failed or gap > longest):
                    self._count_lost(max(gap, failed * self.decoded / read))
                read, failed, in_tag, self._page = read + packet.size, 0, False, packet.pos or 0
            self.decoded += seconds
            yield from frames
        if not self.decoded:
            raise no_sound("there is no whole frame in it")

    def _count_lost(self, seconds: float) -> None:
        when = round(self.decoded + self.lost)
        self._damaged[f"{when // 60}:{when % 60:02}"] = None
        self.lost += seconds

    def _packets(self) -> Iterator:
        """Yield the packets of the stream, and of those that follow it, then None; errors end them if nothing does."""
        errors = 0
        while errors <= ERRORS or self._open_next():
            head = None  # of an MP3, which FFmpeg has not read
            try:
                for packet in self._container.demux(self._stream):
                    if packet.size:
                        errors, place = 0, packet.pos or 0
                        if not self._start and self._format == "mp3" and not self._stream.start_time:
                            head = find_mp3_head(self._file, self._begin + 1, self._begin + place + packet.size)
                        if head:
                            self._open(head)
                            break
                        self._start = self._start or place
                        yield packet
                else:
                    if not self._open_next():
                        break
            except (pyav().FFmpegError, IndexError):  # PyAV's, of a stream that was not there at the start
                errors += 1
        yield None

    def _open_next(self) -> bool:
        """Open the song that follows in the file, if one does: FFmpeg itself goes on only if it is alike."""
        while self._end:
            try:
                self._open(self._end)
            except DecodeError:
                continue
            return True
        return False

    def _padding(self) -> int:
        """Return how many samples at the end are the encoder's: FFmpeg leaves those of an M4A's last frame there."""
        extra = round((self.decoded - self.seconds) * self.rate)
        return extra if self._format == "mov" and 0 < extra <= PADDED else 0

    def problem(self) -> str:
        """Return what was wrong with a sound that has been read, or "".

        "is damaged at 0:03, 0:07; 0.4 s lost", "breaks off after 12.3 s of 30.0 s", or both.
        """
        found = []
        if self._damaged:
            found = [f"is damaged at {few_of(self._damaged)}"] + [f"{self.lost:.1f} s lost"] * (self.lost >= 0.05)
        heard, claimed = self.decoded + self.lost, self._before + self._claimed()
        frame = (self._codec.frame_size or 0) / self.rate
        if claimed - heard > max(LONG, frame, self.lost / 2):  # as what is lost is guessed
            found.append(f"breaks off after {heard:.1f} s of {claimed:.1f} s")
        return "; ".join(found)

    def _claimed(self) -> float:
        """Return how long the sound is by its container's own word; 0 if that says nothing."""
        before = self._file, self._begin, self._begin + self._start
        if self._format in ENDING or (self._format == "mp3" and find_mp3_head(*before) is None):
            return 0.0
        rest, rate = Rest(self._file, self._begin, self._end), self._bit_rate / 8
        size = rest.seek(0, os.SEEK_END)
        junk = 0 if self._format == "mp3" else self._start  # before the first packet, which FFmpeg may count too
        least, most = (size - self._start) / rate - LONG, (size - self._start + junk) / rate + LONG
        guessed = least < self.seconds < most  # by the first frames' bit rate
        if guessed or (self._format == "asf" and self.seconds):
            return seconds_claimed(rest, self._format, rate)
        return self.seconds
