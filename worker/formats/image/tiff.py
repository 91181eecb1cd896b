"""TIFF: its directories (TIFF 6.0, and BigTIFF), walked once and never in circles."""

import itertools
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from worker.errors import FileRejected
from worker.formats.image.seen import MAX_PIECES, Seen
from worker.formats.verdicts import corrupt, within

Content = bytes | mmap.mmap

_MAX_DIRECTORIES = 2_000
"""Reading one is a walk through all before it."""
_BIG = 43
_MAX_TAGS = 1_000
_WIDTH, _HEIGHT, _SUBFILE = 256, 257, 254
_COMPRESSION, _PHOTOMETRIC = 259, 262
_YCBCR = 6
_JPEG = {6, 7}
_EXACT = {1, 5, 8, 32_773, 32_946, 34_925, 50_000}
"""Without compression, LZW, deflate, PackBits, LZMA and Zstandard: what is missing is an error.
Decoders of JPEG and of fax fill it in, and warn of it."""
_STRIPS, _TILES = 273, 324
_BYTES_OF = {_STRIPS: 279, _TILES: 325}
_PLACES = {*_BYTES_OF.keys(), *_BYTES_OF.values()}
_BITS, _FURTHER, _PROFILE = 258, 338, 34_675
_OF_CHANNELS = {_BITS, _FURTHER}
_LISTS = {*_PLACES, *_OF_CHANNELS, _PROFILE}
_MAX_CHANNELS = 1_000
_MAX_PROFILE = 1 << 22
"""Bytes."""
_TRANSPARENCY = {1, 2}
"""What a further channel is said to be then; editors keep selections in others."""
_COLOURS = {0: 1, 1: 1, 2: 3, 5: 4, 6: 3, 8: 3, 9: 3}
"""Kind of colours → how many channels are of them. A palette makes three of one."""
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_MAX_TILE = 64 << 20
"""Pixels of a tile, which is held as a whole."""
_DNG, _SUB_DIRECTORIES = 50_706, 330
_CR2 = b"CR\2"
"""Behind the header of Canon's raw files."""
_REDUCED_OR_MASK = 0b101
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # fmt: skip # noqa: E501 - one table
_PERSONAL = {270, 271, 272, 306, 315, 316, 700, 33432, 33723, 34377, 34665, 34853, 37500}
"""Description, camera, dates, artist, host, XMP, copyright, IPTC, Photoshop, EXIF, place, maker."""


@dataclass(slots=True)
class _Layout:
    """How numbers are written: TIFF has 32-bit offsets, BigTIFF 64-bit ones."""

    order: str
    big: bool
    count: str = field(init=False)
    offset: str = field(init=False)
    entry_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.count = self.order + ("Q" if self.big else "H")
        self.offset = self.order + ("Q" if self.big else "I")
        self.entry_bytes = 20 if self.big else 12


class _Values(NamedTuple):
    """Where the values of a tag are, and how they are written."""

    order: str
    letter: str
    length: int
    at: int


@dataclass(slots=True)
class Directory:
    """What is said of one page."""

    values: dict[int, int] = field(default_factory=dict)
    """Tag → its first value, or where its values are."""
    lists: dict[int, _Values] = field(default_factory=dict)
    """Of the tags that say where pixels are, and of others of which all values count."""
    following: int = 0
    """Where the next one is."""

    def profile(self, content: Content) -> bytes:
        """Its ICC profile, if it has one."""
        found = self.lists.get(_PROFILE)
        return content[found.at : found.at + min(found.length, _MAX_PROFILE)] if found else b""

    def all_of(self, tag: int, content: Content) -> tuple[int, ...]:
        """The values of a tag that has a list; none where it isn't there. Raises `struct.error`."""
        found = self.lists.get(tag)
        return _all(content, found) if found else ()


def read(content: Content) -> Seen:
    """The pages, thumbnails and masks left out, and the size of a sheet that all of them fit on.

    Raises `FileRejected`: `file-corrupt` without a directory, `file-too-complex`, and
    `file-invalid-type` for a camera's raw file.
    """
    seen = Seen()
    full: list[tuple[int, dict[int, int]]] = []
    directories: list[dict[int, int]] = []
    for at, directory in enumerate(_directories(content)):
        tags = directory.values
        directories.append(tags)
        if colours := _opaque(content, directory):
            seen.opaque[at] = colours
        seen.personal |= not _PERSONAL.isdisjoint(tags)
        if not tags.get(_SUBFILE, 0) & _REDUCED_OR_MASK:
            full.append((at, tags))
    if raw := _raw_type(content, directories, has_pages=bool(full)):
        raise FileRejected("file-invalid-type", {"detected_type": raw})
    pages = full or list(enumerate(directories[:1]))
    if not pages:
        raise corrupt()
    seen.pages, seen.images = [at for at, _ in pages], len(pages)
    seen.width, seen.height = (max(tags.get(side, 0) for _, tags in pages) for side in (_WIDTH, _HEIGHT))  # noqa: E501  # fmt: skip
    if not seen.pixels:
        raise corrupt()
    first = pages[0][1]
    seen.ycbcr = first.get(_PHOTOMETRIC) == _YCBCR and first.get(_COMPRESSION) not in _JPEG
    seen.exact = all(tags.get(_COMPRESSION, 1) in _EXACT for _, tags in pages)
    return seen


def _opaque(content: Content, directory: Directory) -> int:
    """How many channels have colours, where there are others that are said to be no transparency;
    0 elsewhere. Of others of which nothing is said, some programs make transparency."""
    tags = directory.values
    colours = _COLOURS.get(tags.get(_PHOTOMETRIC, 1), 0)
    try:
        further = directory.all_of(_FURTHER, content)
    except struct.error:
        further = ()
    return colours if further and _TRANSPARENCY.isdisjoint(further) else 0


def _raw_type(
    content: Content, directories: list[dict[int, int]], *, has_pages: bool
) -> str | None:
    """The type of a camera's raw file; None for a TIFF. What such a file has for pages are previews
    and thumbnails, and the picture isn't developed: it lies in directories below the first one,
    where no page of a TIFF does."""
    if any(_DNG in tags for tags in directories):
        return "image/x-adobe-dng"
    if content[8:11] == _CR2:
        return "image/x-canon-cr2"
    if not has_pages and any(_SUB_DIRECTORIES in tags for tags in directories):
        return "image/x-dcraw"  # of Nikon, Sony and others
    return None


def check_whole(content: Content, page: int) -> Directory:
    """The directory of a page. Whether all that it is made of lies in the file, as a decoder that
    says nothing of what is missing needs it. Raises `FileRejected`: `file-corrupt`,
    `file-too-complex`."""
    directory = next(itertools.islice(_directories(content), page, None), None)
    if directory is None:
        raise corrupt()
    tags, lists = directory.values, directory.lists
    within("pixels", tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_HEIGHT, 0), _MAX_TILE)
    try:
        ends = [
            sum(piece)
            for places, sizes in _BYTES_OF.items()
            if places in lists and sizes in lists
            for piece in zip(_all(content, lists[places]), _all(content, lists[sizes]), strict=True)
        ]
    except (struct.error, ValueError) as error:
        raise corrupt() from error
    if not ends or max(ends) > len(content):
        raise corrupt()
    return directory


def _all(content: Content, values: _Values) -> tuple[int, ...]:
    return struct.unpack_from(f"{values.order}{values.length}{values.letter}", content, values.at)


def _directories(content: Content) -> Iterator[Directory]:
    """Each of them, in the order of the file's pages."""
    order = "<" if content[:2] == b"II" else ">"
    try:
        layout = _Layout(order, big=_BIG in content[2:4])
        (at,) = struct.unpack_from(layout.offset, content, 8 if layout.big else 4)
        been: set[int] = set()
        while at and at not in been:
            been.add(at)
            within("directories", len(been), _MAX_DIRECTORIES)
            directory = _directory(content, at, layout)
            yield directory
            at = directory.following
    except (
        struct.error,
        OverflowError,
    ):  # the chain leads out of the file; the pages before it are there
        return


def _directory(content: Content, at: int, layout: _Layout) -> Directory:
    (count,) = struct.unpack_from(layout.count, content, at)
    within("tags", count, _MAX_TAGS)
    start = at + struct.calcsize(layout.count)
    found = Directory()
    for entry in range(start, start + count * layout.entry_bytes, layout.entry_bytes):
        tag, kind = struct.unpack_from(layout.order + "HH", content, entry)
        (values,) = struct.unpack_from(layout.offset, content, entry + 4)
        if tag in _PLACES:
            within("strips", values, MAX_PIECES)
        place = entry + 4 + struct.calcsize(layout.offset)
        letter = {1: "B", 3: "H", 4: "I", 7: "B", 16: "Q"}.get(kind, "I")
        inline = values * _SIZES.get(kind, 1) <= struct.calcsize(layout.offset)
        (first,) = struct.unpack_from(
            layout.order + letter if inline else layout.offset, content, place
        )
        found.values[tag] = first
        if tag in _LISTS and (values <= _MAX_CHANNELS or tag not in _OF_CHANNELS):
            found.lists[tag] = _Values(layout.order, letter, values, place if inline else first)
    (found.following,) = struct.unpack_from(
        layout.offset, content, start + count * layout.entry_bytes
    )
    return found
