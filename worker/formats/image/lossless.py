"""A JPEG of the same pixels and nothing else, made of parts of the received one.

What a decoder needs is copied, when it needs it. What is unusual has no copy: another decoder may
take it for something else, so it is decoded and written anew.
"""

import hashlib
import mmap
import re
import struct
from collections.abc import Iterator
from pathlib import Path

from shared.formats import JPEG
from worker.formats.job import Facts, facts_of

Piece = bytes | slice
"""Bytes of our own, or where they stand in the received file."""
_DHT, _SOS, _DQT, _DRI = 0xC4, 0xDA, 0xDB, 0xDD
_INTERVAL, _NEVER = (_DRI, 0), b"\0\0"
"""Of restart markers: as a table, of which there is one, and what it is without any."""
_LEFT_OUT = {*range(0xE0, 0xF0), 0xFE}
"""What applications wrote, and comments."""
_ADOBE = 0xEE
_SEQUENTIAL, _PROGRESSIVE = {0xC0, 0xC1}, 0xC2
_START, _END = b"\xff\xd8", b"\xff\xd9"
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
"""Says that colours are luma and chroma, as they are in every file that has a copy."""
_NAMES = {(1, 2, 3), (0, 1, 2)}
"""Of components, as nearly all files have them. Others may say that they are red and so on."""
_FILL = re.compile(rb"\xff(?:\xff|[\xd0-\xd7]\xff[\xd0-\xd7])")
"""What says nothing: what may stand before any marker, and restarts one behind the other."""
_SIDES = (1, 2, 4)
_LUMA = {across << 4 | down for across in _SIDES for down in _SIDES}
"""Samples of it, across and down, beside one of each colour."""
_ALL = (1 << 64) - 1
"""A bit for each coefficient of a block."""
_MAX_TABLES = 8
"""In one segment: there are no more numbers for them."""
_AT_ONCE = 1 << 20
"""Bytes that are hashed and written."""


class Copied:
    """The copy: what it is made of, and how far a decoder has read in it."""

    def __init__(self, content: mmap.mmap, pieces: list[Piece]) -> None:
        """The last of `pieces` is the end marker, the one before it the data of a scan."""
        whole = memoryview(content)
        self._pieces = [memoryview(p) if isinstance(p, bytes) else whole[p] for p in pieces]
        self._unread: list[memoryview] = []

    def rewind(self) -> None:
        """Let a decoder read it from its beginning."""
        *head, pixels, end = self._pieces
        self._unread = [end, pixels[-1:], pixels[:-1], *reversed(head)]

    def read(self, size: int) -> bytes | None:
        """The next bytes, at most `size`; None behind the last one. The last byte of the pixels
        comes alone."""
        while self._unread:
            piece = self._unread.pop()
            if len(piece) > size:
                self._unread.append(piece[size:])
            if piece:
                return bytes(piece[:size])
        return None

    @property
    def was_read(self) -> bool:
        """Whether the decoder asked for the last byte of the pixels.

        It reads seven bytes ahead at most. If more than those follow the pixels, it never asks.
        """
        return len(self._unread) <= 1

    def write(self, path: Path, *, width: int, height: int) -> Facts:
        """Write it. Its size in pixels is known to who has decoded it."""
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for piece in self._pieces:
                for at in range(0, len(piece), _AT_ONCE):
                    digest.update(piece[at : at + _AT_ONCE])
                    file.write(piece[at : at + _AT_ONCE])
        sha256 = digest.hexdigest()
        return facts_of(path, JPEG.media_type, width=width, height=height, sha256=sha256)


class _Unusual(Exception):  # noqa: N818 - nothing is wrong with the file
    """It is decoded and written anew."""


class Copying:
    """Told of each segment and scan in turn, it knows what a copy is made of."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._unusual = False
        self._pieces: list[Piece] = []
        self._frame, self._progressive = b"", False
        self._quantiser: dict[int, int] = {}
        """Of each component, the number of its table."""
        self._begun: dict[int, int] = {}
        """Component → a bit for each coefficient that a scan has brought the first bits of."""
        self._defined: dict[tuple[int, int], bytes] = {}
        """Marker and number → the table that they stand for now."""
        self._written: dict[tuple[int, int], bytes] = {}
        self._has_frame = self._in_scan = self._untransformed = False

    def segment(self, marker: int, data: bytes) -> None:
        if self._unusual:
            return
        try:
            self._take(marker, data)
        except (_Unusual, IndexError, struct.error):
            self._unusual = True

    def between(self, start: int, end: int, *, bare: bool) -> None:
        """What stands behind the last segment: of a scan its data, else nothing, as is usual.

        `bare`: nothing in it begins like a marker.
        """
        if self._unusual or not self._in_scan:
            self._unusual |= start != end
            return
        if not bare:
            has_restarts = self._written.get(_INTERVAL, _NEVER) != _NEVER
            self._unusual = not has_restarts or bool(_FILL.search(self._content, start, end + 1))
        self._unusual |= start == end
        self._in_scan = False
        self._pieces.append(slice(start, end))

    def copied(self) -> Copied | None:
        """The copy of a file that has ended as it should; None of an unusual one."""
        colours = len(self._quantiser) > 1
        if self._unusual or not self._pieces or (colours and self._untransformed):
            return None
        pieces = [*self._pieces, _END]
        length = len(_START) + sum(
            len(each) if isinstance(each, bytes) else each.stop - each.start for each in pieces
        )
        if length > len(self._content):
            return None
        fits = length + len(_JFIF) <= len(self._content)  # else the file didn't say it either
        return Copied(self._content, [_START, *([_JFIF] if fits else []), *pieces])

    def _take(self, marker: int, data: bytes) -> None:
        if marker in {_DQT, _DHT}:
            for number, table in _tables(marker, data):
                self._defined[marker, number] = table
        elif marker == _DRI and len(data) == 2:  # noqa: PLR2004 - its own layout
            self._defined[_INTERVAL] = data
        elif marker in {*_SEQUENTIAL, _PROGRESSIVE} and not self._frame:
            self._take_frame(marker, data)
        elif marker == _SOS:
            self._take_scan(data)
        elif marker not in _LEFT_OUT:
            raise _Unusual
        elif marker == _ADOBE and data.startswith(b"Adobe"):
            self._untransformed |= data[11] != 1
        elif marker == _JFIF[1] and data.startswith(b"JFIF\0") and data[5] != 1:
            raise _Unusual

    def _take_frame(self, marker: int, data: bytes) -> None:
        count = data[5]
        names, samples = tuple(data[6::3]), tuple(data[7::3])
        usual = len(data) == 6 + 3 * count and (
            (count == 1 and samples[0] in {0x11, 0x22})
            or (names in _NAMES and samples[0] in _LUMA and samples[1:] == (0x11, 0x11))
        )
        if not usual:
            raise _Unusual
        self._progressive = marker == _PROGRESSIVE
        self._frame = _segment(marker, data)
        self._quantiser = dict(zip(names, data[8::3], strict=True))

    def _take_scan(self, data: bytes) -> None:
        """Add it, behind the tables that it needs and that the copy hasn't yet."""
        count = data[0]
        if not self._frame or not count or len(data) != 4 + 2 * count:
            raise _Unusual
        needed = dict.fromkeys(self._needed(data))
        self._begin(data)
        for marker in (_DQT, _DHT):
            self._add_tables(marker, [each for each in needed if each[0] == marker])
        interval = self._defined.get(_INTERVAL, _NEVER)
        if interval != self._written.get(_INTERVAL, _NEVER):
            self._written[_INTERVAL] = interval
            self._pieces.append(_segment(_DRI, interval))
        if not self._has_frame:
            self._has_frame = True
            self._pieces.append(self._frame)
        self._in_scan = True
        self._pieces.append(_segment(_SOS, data))

    def _needed(self, scan: bytes) -> Iterator[tuple[int, int]]:
        """Of the tables that it is decoded with, marker and number."""
        first, _, approximation = scan[-3:]
        direct = not self._progressive or (first == 0 and approximation >> 4 == 0)
        others = not self._progressive or first > 0
        for name, numbers in zip(scan[1:-3:2], scan[2:-3:2], strict=True):
            if name not in self._quantiser:
                raise _Unusual
            yield _DQT, self._quantiser[name]
            if direct:
                yield _DHT, numbers >> 4
            if others:
                yield _DHT, 0x10 | numbers & 15

    def _begin(self, scan: bytes) -> None:
        """A scan that begins anew hides what an earlier one brought: another picture, perhaps."""
        first, last, approximation = scan[-3:]
        if self._progressive and approximation >> 4:
            return
        covered = (2 << last) - (1 << first) if self._progressive else _ALL
        for name in scan[1:-3:2]:
            if covered < 0 or self._begun.get(name, 0) & covered:
                raise _Unusual
            self._begun[name] = self._begun.get(name, 0) | covered

    def _add_tables(self, marker: int, needed: list[tuple[int, int]]) -> None:
        added = b""
        for key in needed:
            table, known = self._defined.get(key), self._written.get(key)
            if table is None or (marker == _DQT and known not in {None, table}):
                raise _Unusual  # a decoder has its own ones, or goes on with the first
            if table != known:
                self._written[key] = table
                added += table
        if added:
            self._pieces.append(_segment(marker, added))


def _tables(marker: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and table, of a segment that holds tables and nothing else."""
    at = 0
    for _ in range(_MAX_TABLES):
        kind, number = data[at] >> 4, data[at] & 15
        if kind > 1 or number > 3:  # noqa: PLR2004 - of both kinds
            break
        length = 1 + 64 * (1 + kind) if marker == _DQT else 17 + sum(data[at + 1 : at + 17])
        yield (number if marker == _DQT else data[at]), data[at : at + length]
        at += length
        if at == len(data):
            return
    raise _Unusual


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(data)) + data
