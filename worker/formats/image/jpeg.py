"""JPEG: its segments and scans (ITU T.81), and an end marker where one is missing."""

import mmap
import re
import shutil
import struct
from pathlib import Path

from worker.errors import FileRejected
from worker.formats.image.lossless import Copying
from worker.formats.image.seen import MAX_PIECES, MAX_SCANS, MAX_WORK, Seen
from worker.formats.verdicts import within

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""In entropy-coded data, what ends it: neither a stuffed byte nor a restart marker."""
_FF = re.compile(rb"\xff[^\x00]")
"""What ends it, a restart marker, or what fills up before either."""
_SOI, _EOI, _SOS, _DAC = 0xD8, 0xD9, 0xDA, 0xCC
_BARE = {0x01, *range(0xD0, 0xD8), _SOI}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, _DAC}
_READABLE = {0xC0: False, 0xC1: False, 0xC2: True, 0xC9: False, 0xCA: True}
"""Start of frame → whether it is progressive. The others are lossless or hierarchical."""
_ARITHMETIC = {0xC9, 0xCA}
_BITS = 8
_HALVED = b"\x22\x11\x11"
"""Samples of luma, and of the two colours, that are coded together: across and down."""
_COEFFICIENTS = 64


def read(content: mmap.mmap) -> Seen:
    """Walk to the end of the first image: what stands behind it is nobody's.

    Raises `FileRejected` with `file-too-complex` for samples of more than eight bits, processes
    that nobody decodes, and too many scans.
    """
    seen = Seen()
    walk = _Walk(content, seen)
    walk.to_the_end()
    if walk.scans:
        seen.scans = walk.scans if walk.progressive else 1
        allowed = min(MAX_SCANS, max(1, MAX_WORK // max(1, seen.pixels)))
        within("scans", seen.scans, allowed)
    seen.damaged = not walk.ended and walk.complete
    if walk.ended and walk.complete:
        seen.copied = walk.copying.copied()
    return seen


def mend(source: Path, target: Path) -> None:
    """A copy with an end marker. The decoder says whether pixels are missing before it."""
    with source.open("rb") as file, target.open("wb") as copy:
        shutil.copyfileobj(file, copy)
        copy.write(b"\xff\xd9")


class _Walk:
    def __init__(self, content: mmap.mmap, seen: Seen) -> None:
        self.content = content
        self.seen = seen
        self.copying = Copying(content)
        self.scans = 0
        self.progressive = self.arithmetic = self.ended = False
        self.components: tuple[int, ...] = ()
        self.missing: dict[int, int] = {}
        """Component → a bit for each coefficient that no scan has brought to its last bit yet."""

    @property
    def complete(self) -> bool:
        """Whether every scan began. Arithmetic coding can't tell where its data ends early."""
        return self.scans > 0 and not self.arithmetic and not any(self.missing.values())

    def to_the_end(self) -> None:
        at = 2
        for pieces in range(1, MAX_PIECES + 2):
            at = self._next_marker(at)
            if at + 1 >= len(self.content):
                return
            marker = self.content[at + 1]
            at += 2
            if marker == _EOI:
                self.ended = True
                return
            if marker in _BARE:
                continue
            if at + 2 > len(self.content):
                return
            (length,) = struct.unpack_from(">H", self.content, at)
            data = self.content[at + 2 : at + max(2, length)]
            self._segment(marker, data)
            self.copying.segment(marker, data)
            at += max(2, length)
            within("segments", pieces, MAX_PIECES)

    def _next_marker(self, at: int) -> int:
        """Where the next marker is: as libjpeg does, what stands between segments is skipped."""
        found = _FF.search(self.content, at)
        bare = found is None or _MARKER.match(self.content, found.start()) is not None
        if found and not bare:
            found = _MARKER.search(self.content, found.start())
        end = found.end() - 2 if found else len(self.content)
        self.copying.between(at, end, bare=bare)
        return end

    def _segment(self, marker: int, data: bytes) -> None:
        if marker in _FRAMES and not self.components:
            self._frame(marker, data)
        elif marker == _SOS:
            self._scan(data)
        elif marker in {0xE1, 0xED} and data.startswith((b"http://ns.adobe.com/", b"Photoshop 3")):
            self.seen.personal = True

    def _frame(self, marker: int, data: bytes) -> None:
        if marker not in _READABLE:
            raise FileRejected("file-too-complex", {"process": marker - 0xC0})
        if len(data) < 6 or len(data) < 6 + 3 * data[5]:  # noqa: PLR2004 - the segment's own layout
            return
        within("bits", data[0], _BITS)
        self.progressive, self.arithmetic = _READABLE[marker], marker in _ARITHMETIC
        self.seen.height, self.seen.width = struct.unpack_from(">HH", data, 1)
        self.components = tuple(data[6 + 3 * each] for each in range(data[5]))
        self.seen.halved = data[7 : 6 + 3 * data[5] : 3] == _HALVED
        everything = (1 << _COEFFICIENTS) - 1
        self.missing = dict.fromkeys(self.components, everything)

    def _scan(self, data: bytes) -> None:
        self.scans += 1
        within("scans", self.scans, MAX_SCANS)
        count = data[0] if data else 0
        if len(data) < 4 + 2 * count:
            return
        first, last, approximation = data[1 + 2 * count : 4 + 2 * count]
        if not self.progressive:
            first, last, approximation = 0, _COEFFICIENTS - 1, 0
        if approximation & 15 or last >= _COEFFICIENTS:
            return
        covered = ((1 << (last + 1)) - 1) & ~((1 << first) - 1)
        for component in data[1 : 1 + 2 * count : 2]:
            if component in self.missing:
                self.missing[component] &= ~covered
