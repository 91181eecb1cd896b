"""GIF: its blocks (GIF89a), counted."""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from worker.formats.image.seen import MAX_IMAGES, MAX_PIECES, Seen
from worker.formats.verdicts import corrupt, within

_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_HAS_TABLE = 0x80
_LARGEST_TABLE, _TABLE_BYTES = 0x87, 3 << 8
"""So that each pixel has a colour: what a table doesn't have would be clear."""
_COMMENT = 0xFE
_XMP = b"XMP DataXMP"
_MAX_BLOCKS = 20 * MAX_PIECES
"""Of up to 255 bytes: those of a gigabyte."""
_CLEAR = (
    b"!\xf9\4\1\0\0\0\0"  # the first colour is clear
    b",\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"  # a pixel of it
    b";"
)
"""A last frame of which nothing is seen. libvips gives no transparency where no frame says that it
has any, and paints black what no frame covers; browsers leave that clear."""


def read(content: mmap.mmap) -> Seen:
    """Raises `FileRejected`: `file-corrupt` when no frame is whole, `file-too-complex`."""
    if len(content) < 13:  # noqa: PLR2004 - the header's own size
        raise corrupt()
    seen = Seen(images=0, damaged=True)
    seen.width, seen.height = struct.unpack_from("<HH", content, 6)
    for kind, start, _ in _blocks(content):
        if kind == _IMAGE:
            seen.images += 1
            within("frames", seen.images, MAX_IMAGES)
        elif kind == _EXTENSION:
            label, named = content[start + 1], content[start + 3 : start + 14]
            seen.personal |= label == _COMMENT or named == _XMP
        else:
            seen.damaged = False
    if not seen.images:
        raise corrupt()
    seen.moving = seen.images > 1
    return seen


def mend(source: Path, target: Path) -> None:
    """A copy that ends behind its last whole frame."""
    content = _mapped(source)
    end = max(end for kind, _, end in _blocks(content) if kind == _IMAGE)
    target.write_bytes(content[:end] + bytes([_TRAILER]))


def first_alone(source: Path, target: Path) -> tuple[int, int, int, int]:
    """A copy of the first frame, of which nothing is clear but what it doesn't cover, or has no
    pixels for. Returns where it lies: left, top, width and height."""
    content = _mapped(source)
    start, end = next((start, end) for kind, start, end in _blocks(content) if kind == _IMAGE)
    flags = content[start + 9]
    pixels = start + 10 + _table(flags)
    table = content[start + 10 : pixels] or content[13 : _head(content)]
    with target.open("wb") as copy:
        copy.write(content[:10] + bytes(3) + content[start : start + 9])
        copy.write(bytes([flags | _LARGEST_TABLE]) + table.ljust(_TABLE_BYTES, b"\0"))
        copy.write(content[pixels:end] + _CLEAR)
    left, top, width, height = struct.unpack_from("<4H", content, start + 1)
    return left, top, width, height


def with_clear(source: Path, target: Path) -> None:
    """A copy with a frame more, for which a decoder leaves clear what none of the others covers."""
    content = _mapped(source)
    end = max(end for kind, _, end in _blocks(content) if kind == _IMAGE)
    target.write_bytes(content[:end] + _CLEAR)


def _blocks(content: mmap.mmap) -> Iterator[tuple[int, int, int]]:
    """Kind, start and end of each whole block, the trailer included."""
    at, size, pieces = _head(content), len(content), 0
    while at < size:
        kind, start = content[at], at
        if kind == _TRAILER:
            yield kind, start, at + 1
            return
        if kind == _EXTENSION and at + 2 < size:
            at += 2
        elif kind == _IMAGE and at + 11 <= size:
            at += 11 + _table(content[at + 9])
        else:
            return
        while at < size and content[at]:
            at += 1 + content[at]
            pieces += 1
        within("blocks", pieces, _MAX_BLOCKS)
        if at >= size:
            return
        at += 1
        yield kind, start, at


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _head(content: mmap.mmap) -> int:
    """Bytes before the first block."""
    return 13 + _table(content[10])


def _table(flags: int) -> int:
    """Bytes of the table of colours that follows."""
    return 3 * (2 << (flags & 7)) if flags & _HAS_TABLE else 0
