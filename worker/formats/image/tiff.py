"""TIFF: its directories (TIFF 6.0, and BigTIFF), walked once and never in circles."""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.errors import FileRejected
from worker.formats.image.seen import MAX_PIECES, Seen, corrupt, within

_MAX_DIRECTORIES = 2_000
"""Reading one is a walk through all before it."""
_BIG = 43
_MAX_TAGS = 1_000
_WIDTH, _HEIGHT, _SUBFILE = 256, 257, 254
_COMPRESSION, _PHOTOMETRIC = 259, 262
_YCBCR = 6
_JPEG = {6, 7}
_STRIPS, _TILES = 273, 324
_RAW = 50_706
"""Of a camera's negative (DNG), whose first page is a thumbnail or not developed."""
_REDUCED_OR_MASK = 0b101
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # fmt: skip # noqa: E501
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


def read(content: mmap.mmap) -> Seen:
    """The pages, thumbnails and masks left out, and the size of a sheet that all of them fit on.

    Raises `FileRejected`: `file-corrupt` without a directory, `file-too-complex`.
    """
    seen = Seen()
    full: list[tuple[int, dict[int, int]]] = []
    for at, tags in enumerate(directories := list(_directories(content))):
        if _RAW in tags:
            raise FileRejected("file-invalid-type", {"detected_type": "image/x-adobe-dng"})
        seen.personal |= not _PERSONAL.isdisjoint(tags)
        if not tags.get(_SUBFILE, 0) & _REDUCED_OR_MASK:
            full.append((at, tags))
    pages = full or list(enumerate(directories[:1]))
    if not pages:
        raise corrupt()
    seen.pages, seen.images = [at for at, _ in pages], len(pages)
    seen.width, seen.height = (max(tags.get(side, 0) for _, tags in pages) for side in (_WIDTH, _HEIGHT))  # noqa: E501  # fmt: skip
    if not seen.pixels:
        raise corrupt()
    first = pages[0][1]
    seen.ycbcr = first.get(_PHOTOMETRIC) == _YCBCR and first.get(_COMPRESSION) not in _JPEG
    return seen


def _directories(content: mmap.mmap) -> Iterator[dict[int, int]]:
    """Tag → its first value, or where its values are, of each directory."""
    order = "<" if content[:2] == b"II" else ">"
    try:
        layout = _Layout(order, big=_BIG in content[2:4])
        (at,) = struct.unpack_from(layout.offset, content, 8 if layout.big else 4)
        been: set[int] = set()
        while at and at not in been:
            been.add(at)
            within("directories", len(been), _MAX_DIRECTORIES)
            tags, at = _directory(content, at, layout)
            yield tags
    except (
        struct.error,
        OverflowError,
    ):  # the chain leads out of the file; the pages before it are there
        return


def _directory(content: mmap.mmap, at: int, layout: _Layout) -> tuple[dict[int, int], int]:
    """Its tags, and where the next directory is."""
    (count,) = struct.unpack_from(layout.count, content, at)
    within("tags", count, _MAX_TAGS)
    start = at + struct.calcsize(layout.count)
    tags = {}
    for entry in range(start, start + count * layout.entry_bytes, layout.entry_bytes):
        tag, kind = struct.unpack_from(layout.order + "HH", content, entry)
        (values,) = struct.unpack_from(layout.offset, content, entry + 4)
        if tag in {_STRIPS, _TILES}:
            within("strips", values, MAX_PIECES)
        place = entry + 4 + struct.calcsize(layout.offset)
        letter = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind, "I")
        inline = values * _SIZES.get(kind, 1) <= struct.calcsize(layout.offset)
        (tags[tag],) = struct.unpack_from(
            layout.order + letter if inline else layout.offset, content, place
        )
    (following,) = struct.unpack_from(layout.offset, content, start + count * layout.entry_bytes)
    return tags, following
