"""GIF: its blocks (GIF89a), counted."""

import mmap
import struct
from pathlib import Path

from worker.formats.image.seen import MAX_IMAGES, MAX_PIECES, Seen
from worker.formats.verdicts import corrupt, within

_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_HAS_TABLE = 0x80
_COMMENT = 0xFE
_XMP = b"XMP DataXMP"
_MAX_BLOCKS = 20 * MAX_PIECES
"""Of up to 255 bytes: those of a gigabyte."""


def read(content: mmap.mmap) -> Seen:
    """Raises `FileRejected`: `file-corrupt` when no frame is whole, `file-too-complex`."""
    if len(content) < 13:  # noqa: PLR2004 - the header's own size
        raise corrupt()
    seen = Seen()
    seen.width, seen.height = struct.unpack_from("<HH", content, 6)
    frames, ended, _ = _walk(content, seen)
    if not frames:
        raise corrupt()
    seen.images, seen.moving = frames, frames > 1
    seen.damaged = not ended
    return seen


def mend(source: Path, target: Path) -> None:
    """A copy that ends behind its last whole frame."""
    with source.open("rb") as file, target.open("wb") as copy:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        _, _, end = _walk(content, Seen())
        copy.write(content[:end])
        copy.write(bytes([_TRAILER]))


def _walk(content: mmap.mmap, seen: Seen) -> tuple[int, bool, int]:
    """Whole frames, whether the end is marked, and where the last whole frame ends."""
    at, size = 13 + _table(content[10]), len(content)
    frames, blocks, end = 0, 0, 0
    while at < size:
        kind = content[at]
        if kind == _TRAILER:
            return frames, True, end
        if kind == _EXTENSION and at + 2 < size:
            label = content[at + 1]
            seen.personal |= label == _COMMENT or content[at + 3 : at + 14] == _XMP
            at += 2
        elif kind == _IMAGE and at + 11 <= size:
            at += 11 + _table(content[at + 9])
        else:
            return frames, False, end
        while at < size and content[at]:
            at += 1 + content[at]
            blocks += 1
        within("blocks", blocks, _MAX_BLOCKS)
        if at >= size:
            return frames, False, end
        at += 1
        if kind == _IMAGE:
            frames, end = frames + 1, at
            within("frames", frames, MAX_IMAGES)
    return frames, False, end


def _table(flags: int) -> int:
    """Bytes of the table of colours that follows."""
    return 3 * (2 << (flags & 7)) if flags & _HAS_TABLE else 0
