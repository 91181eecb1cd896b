"""WebP: its chunks (RFC 9649), and a copy whose sizes are those of what is there."""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from worker.formats.image.seen import MAX_IMAGES, MAX_PIECES, Seen
from worker.formats.verdicts import corrupt, within

_HEAD = 12
_LOSSY, _LOSSLESS = b"VP8 ", b"VP8L"
_VISIBLE = {b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", _LOSSY, _LOSSLESS}
_MAY_BE_MISSING = 8
"""Bytes at the end that may decide nothing. Whether they do is found out by trying."""


def read(content: mmap.mmap) -> Seen:
    """Raises `FileRejected` with `file-too-complex` for too many chunks or frames, and with
    `file-corrupt` when more is missing of an image's end than may decide nothing."""
    seen = Seen()
    frames = 0
    end = _HEAD
    for pieces, (kind, start, length) in enumerate(_chunks(content), start=1):
        within("chunks", pieces, MAX_PIECES)
        if kind in _VISIBLE and start + length > len(content) + _MAY_BE_MISSING:
            raise corrupt()
        frames += kind == b"ANMF"
        seen.personal |= kind == b"XMP "
        if not seen.width:
            seen.width, seen.height = _size(kind, content[start : start + 10])
        end = start + length
    within("frames", frames, MAX_IMAGES)
    seen.images, seen.moving = max(1, frames), frames > 1
    said = struct.unpack_from("<I", content, 4)[0] + 8
    seen.damaged = said not in {end, end + end % 2} or end > len(content)
    return seen


def _chunks(content: mmap.mmap) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and length of every chunk up to the end that the header gives, or the last that
    an image can have: what stands behind is nobody's."""
    at, size = _HEAD, len(content)
    said: int = struct.unpack_from("<I", content, 4)[0] + 8
    only_one = content[_HEAD : _HEAD + 4] != b"VP8X"
    while at + 8 <= min(size, said + 1):
        kind, length = struct.unpack_from("<4sI", content, at)
        yield kind, at + 8, length
        if only_one:
            return
        at += 8 + length + length % 2


def _size(kind: bytes, data: bytes) -> tuple[int, int]:
    if len(data) < 10:  # noqa: PLR2004 - the shortest header that has both
        return 0, 0
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (4, 7))
        return width, height
    if kind == _LOSSLESS:
        bits = int.from_bytes(data[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == _LOSSY:
        width, height = struct.unpack_from("<HH", data, 6)
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


def mend(source: Path, target: Path, *, filler: bytes = b"\0") -> bool:
    """A copy with right sizes, and `filler` where bytes are missing at the end.

    Returns whether any were missing: then it is good only if the pixels don't depend on `filler`.
    """
    missing = False
    with source.open("rb") as file, target.open("wb") as copy:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        copy.write(bytes(_HEAD))
        for kind, start, length in _chunks(content):
            if kind not in _VISIBLE:
                continue
            data = content[start : start + length]
            missing |= len(data) < length
            copy.write(struct.pack("<4sI", kind, length) + data.ljust(length, filler))
            copy.write(bytes(length % 2))
        size = copy.tell()
        copy.seek(0)
        copy.write(b"RIFF" + struct.pack("<I", size - 8) + b"WEBP")
    return missing
