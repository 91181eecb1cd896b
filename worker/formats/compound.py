"""A compound file of Microsoft's (OLE2, [MS-CFB]): a small file system in a file, read warily.

Its sectors are lists that link to each other, and may be in several of them: all lists of a file
together are followed for a few times as many steps as it has sectors, and no more.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.formats import DOC
from worker.formats.verdicts import Budget

((_, MAGIC),) = DOC.signatures[0]
_HEADER_BYTES = 512
_SECTOR_SHIFTS = (9, 12)
_IN_HEADER = 109
"""Numbers of sectors of the table that stand in the header."""
_LAST = 0xFFFFFFFA
"""From here on a number means something else than a sector."""
_ENTRY_BYTES = 128
_MAX_ENTRIES = 20_000
_STORAGE, _STREAM, _ROOT = 1, 2, 5
_SMALL_SECTOR = 64
_STEPS_A_SECTOR = 4
"""An honest sector is in one list, which is followed once or twice."""


class BrokenCompoundError(Exception):
    """A piece of it isn't where it should be."""


class CutOffError(BrokenCompoundError):
    """The file ends before it."""


@dataclass(frozen=True)
class Entry:
    name: str
    kind: int
    siblings: tuple[int, int]
    child: int
    start: int
    size: int


class CompoundFile:
    """One that is open for reading. Raises, here and in its methods, `BrokenCompoundError`, and
    `FileRejected` (`file-too-complex`) for lists that lead on and on."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if len(self._content) < _HEADER_BYTES or self._content[: len(MAGIC)] != MAGIC:
            raise BrokenCompoundError("no header")
        (shift,) = struct.unpack_from("<H", self._content, 30)
        if shift not in _SECTOR_SHIFTS:
            raise BrokenCompoundError("sectors of an unknown size")
        self._sector_bytes = 1 << shift
        self._sectors = -(-len(self._content) // self._sector_bytes)
        self._steps = Budget("steps", _STEPS_A_SECTOR * self._sectors)
        directory, self._small_below, small_table = struct.unpack_from("<I4xII", self._content, 48)
        self._table = self._read_table()
        raw = self._chain(directory, _MAX_ENTRIES * _ENTRY_BYTES)
        self._entries = [
            _entry(raw[at : at + _ENTRY_BYTES])
            for at in range(0, len(raw) - _ENTRY_BYTES + 1, _ENTRY_BYTES)
        ]
        if not self._entries or self._entries[0].kind != _ROOT:
            raise BrokenCompoundError("no root")
        self._small_table = small_table
        self.top = {entry.name.lower(): entry for entry in self._children(self._entries[0])}
        """The entries of the root, by their names in small letters: case makes no difference."""
        self.names = frozenset(entry.name for entry in self._entries if entry.kind)
        """Of all entries, those in embedded documents too."""

    def beginning(self, name: str, size: int) -> bytes:
        """Up to `size` bytes of the stream `name`, in small letters, of the root."""
        entry = self.top[name]
        wanted = min(size, entry.size)
        if entry.size >= self._small_below:
            return self._chain(entry.start, wanted)[:wanted]
        small = self._chain(self._entries[0].start, self._entries[0].size)
        at = entry.start * _SMALL_SECTOR  # its first small sector: enough of it for a header
        return small[at : at + min(wanted, _SMALL_SECTOR)]

    def check_whole(self) -> None:
        """Whether every large stream has all its bytes in the file."""
        for entry in self._entries:
            if entry.kind == _STREAM and entry.size >= self._small_below:
                found = self._sectors_of(entry.start, entry.size)
                if len(found) * self._sector_bytes < entry.size:
                    raise BrokenCompoundError("a stream is cut off")

    def _read_table(self) -> list[int]:
        """Which sector follows each, as far as there are any."""
        table: list[int] = []
        for number in self._table_sectors():
            table += self._numbers_in(number)
            if len(table) >= self._sectors:
                break
        return table

    def _table_sectors(self) -> Iterator[int]:
        numbers = list(struct.unpack_from(f"<{_IN_HEADER}I", self._content, 76))
        (further,) = struct.unpack_from("<I", self._content, 68)
        while True:
            yield from (number for number in numbers if number < _LAST)
            if further >= _LAST:
                return
            *numbers, further = self._numbers_in(further)

    def _numbers_in(self, sector: int) -> tuple[int, ...]:
        self._steps.spend()
        return struct.unpack(f"<{self._sector_bytes // 4}I", self._sector(sector))

    def _chain(self, start: int, size: int) -> bytes:
        return b"".join(self._sector(each) for each in self._sectors_of(start, size))

    def _sectors_of(self, start: int, size: int) -> list[int]:
        found: list[int] = []
        while start < _LAST and len(found) * self._sector_bytes < size:
            if start >= len(self._table) or len(found) > self._sectors:
                raise BrokenCompoundError("a list of sectors leads nowhere")
            self._check_there(start)
            self._steps.spend()
            found.append(start)
            start = self._table[start]
        return found

    def _check_there(self, number: int) -> None:
        if (number + 1) * self._sector_bytes >= len(self._content):
            raise CutOffError("a sector is beyond the end")

    def _sector(self, number: int) -> bytes:
        """The last one of a file may be cut short: some programs don't fill it."""
        self._check_there(number)
        at = (number + 1) * self._sector_bytes
        return self._content[at : at + self._sector_bytes].ljust(self._sector_bytes, b"\0")

    def _children(self, parent: Entry) -> list[Entry]:
        seen: set[int] = set()
        waiting = [parent.child]
        while waiting:
            number = waiting.pop()
            if number < len(self._entries) and number not in seen:
                seen.add(number)
                waiting += self._entries[number].siblings
        return [self._entries[number] for number in seen]


def _entry(raw: bytes) -> Entry:
    length, kind = struct.unpack_from("<HB", raw, 64)
    left, right, child = struct.unpack_from("<III", raw, 68)
    start, size = struct.unpack_from("<II", raw, 116)
    name = raw[: max(0, min(length, 64) - 2)].decode("utf-16-le", errors="replace")
    return Entry(name, kind, (left, right), child, start, size)
