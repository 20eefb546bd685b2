"""Claims: how long a file says it is, where FFmpeg keeps that to itself if the file is shorter."""

import os
from typing import BinaryIO, NamedTuple

UNKNOWN = 2**31 - 2**16  # bytes that a WAV claims, and more, where whoever wrote it did not know
LEAST = 2**12  # bytes behind the samples that may be anything
PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # of a WMA: Advanced Systems Format, section 3.2


class Chunks(NamedTuple):
    """How a format divides a file: the first chunk's place, each one's name and size, which is a multiple of `even`."""

    begin: int
    name: int  # bytes
    size: int  # bytes
    order: str
    even: int
    data: bytes  # the name of the chunk that holds the samples
    head: int  # bytes of it that are none
    whole: bool  # whether name and size are counted too


CHUNKS = {
    "wav": Chunks(12, 4, 4, "little", 2, b"data", 0, False),
    "w64": Chunks(40, 16, 8, "little", 8, bytes.fromhex("64617461f3acd3118cd100c04f8edb8a"), 0, True),
    "caf": Chunks(8, 4, 8, "big", 1, b"data", 4, False),
    "aiff": Chunks(12, 4, 4, "big", 2, b"SSND", 8, False),
}
FORMS = {b"RIFF": "wav", b"RF64": "wav", b"BW64": "wav", b"riff": "w64", b"caff": "caf", b"FORM": "aiff"}


def seconds_claimed(file: BinaryIO, form: str, rate: float) -> float:
    """Return how many seconds of samples a WAV, W64, CAF or WMA claims, or 0; `rate` is in bytes a second."""
    if form == "asf":
        return _seconds_of_wma(file)
    counts = form in CHUNKS and form != "aiff"  # whose header has the number of samples
    return bytes_claimed(file, CHUNKS[form]) / rate if counts else 0.0


def bytes_claimed(file: BinaryIO, chunks: Chunks) -> int:
    """Return how many bytes of samples a file claims, or 0."""
    _, size = _find_data(file, chunks)
    unknown = UNKNOWN if chunks.size == 4 else 2**63
    return max(0, size - chunks.head) if size < unknown else 0


def corrections(file: BinaryIO) -> dict[int, bytes]:
    """Return what a header should say, by its place, that tells of fewer samples than follow it.

    A recorder that was stopped leaves such: of no samples, or of those some time before.
    """
    file.seek(0)
    head = file.read(36)
    if head.startswith(b".snd"):
        return {} if any(head[8:12]) else {8: b"\xff" * 4}  # unknown
    if head[:4] not in FORMS:
        return {}
    chunks = CHUNKS[FORMS[head[:4]]]
    begin, claimed = _find_data(file, chunks)
    place, size = begin - chunks.size, chunks.size
    if head[12:16] == b"ds64":
        place, size, claimed = 28, 8, int.from_bytes(head[28:36], "little")
    claimed = claimed if 0 < claimed < 2**63 else 0
    left = file.seek(0, os.SEEK_END) - begin
    if not begin or left - claimed <= LEAST or (claimed and _is_no_sound(file, begin + claimed)):
        return {}
    right = left + (chunks.name + chunks.size if chunks.whole else 0)
    return {place: min(right, 2 ** (8 * size) - 1).to_bytes(size, chunks.order)}


def _is_no_sound(file: BinaryIO, place: int) -> bool:
    """Return whether what is there begins like another chunk or a tag, or is nothing but zeros."""
    file.seek(place)
    following = file.read(LEAST)
    # One byte may fill up an odd chunk.
    return not any(following[1:]) or any(map(_may_be_a_name, (following[:4], following[1:5])))


def _may_be_a_name(start: bytes) -> bool:
    return start.startswith(b"ID3") or (start.isascii() and start.decode().isprintable())


def _find_data(file: BinaryIO, chunks: Chunks) -> tuple[int, int]:
    """Return where the chunk of samples begins and how long it claims to be, in bytes; zeros if there is none."""
    place, before = chunks.begin, chunks.name + chunks.size
    for _ in range(100):
        file.seek(place)
        name, size = file.read(chunks.name), int.from_bytes(file.read(chunks.size), chunks.order)
        size -= before if chunks.whole else 0
        if name == chunks.data:
            return place + before, size
        if not (name and 0 <= size < 2**40):
            break
        place += before + size + -size % chunks.even
    return 0, 0


def _seconds_of_wma(file: BinaryIO) -> float:
    """Return how long a WMA claims to be, in seconds, or 0."""
    file.seek(0)
    head = file.read(2**16)
    at = head.find(PROPERTIES)
    fields = [int.from_bytes(head[at + skip : at + skip + 8], "little") for skip in (64, 80, 88)]
    played, preroll, flags = fields  # 100 ns, ms
    return played / 1e7 - preroll / 1e3 if at >= 0 and not flags & 1 else 0.0
