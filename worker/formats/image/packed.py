"""TIFFs whose samples are of 5, 10, 12 or 14 bits and so on, one behind the other, which no library
here takes apart.

libtiff unpacks a copy that says each byte is a grey pixel; the samples are found in those.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import pyvips

from worker.errors import FileRejected
from worker.formats.image import tiff
from worker.formats.image.colour import set_blob
from worker.formats.image.seen import MAX_DECODED
from worker.formats.verdicts import corrupt, within

_BYTE, _DEEPEST = 8, 65_535
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _KIND, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIPS, _TURNED, _SAMPLES, _ROWS, _SIZES, _LAYOUT = 273, 274, 277, 278, 279, 284
_PREDICTOR, _FURTHER, _FORM = 317, 338, 339
_HEADER = struct.Struct("<2sHHHQ")
_READ = {1, 5, 8, 32_773, 32_946}
"""Without compression, LZW, deflate and PackBits."""
_COLOURS = {0: 1, 1: 1, 2: 3}
"""Of grey and of red, green and blue."""
_USUAL = {1, 2, 4, 8, 16, 24, 32, 64}
"""Bits that other readers know, those below eight of grey alone."""
_MAX_SAMPLES = 8
"""Of a pixel. Each is taken apart, and held for many pixels at once, though four are shown."""
_TRANSPARENCY = {(1,), (2,)}
_WHITE_IS_NOTHING = 0
_APART = 2
"""Each colour has strips of its own."""


def is_packed(content: bytes, page: tiff.Directory) -> bool:
    """Whether samples of `page` are of bits that libtiff leaves as they are."""
    try:
        bits = page.all_of(_BITS, content)
    except struct.error:
        return False
    known = _STRIPS in page.lists and page.values.get(_KIND) in _COLOURS
    of_colours = len(bits) > 1 and max(bits) < _BYTE
    return known and bool(bits) and (of_colours or _USUAL.isdisjoint(bits))


def decode(content: bytes, page: tiff.Directory) -> pyvips.Image:
    """The page, which is known to be in the file, in sixteen bits and not yet turned.

    Raises `FileRejected`: `file-too-complex` for one of another kind, `file-corrupt`.
    """
    rows = _rows_of(content, page)
    image = _joined([rows.plane(content, at) for at in range(min(rows.planes, rows.shown))])
    white = (1 << rows.bits) - 1
    image = (image.extract_band(0, n=rows.shown) * (_DEEPEST / white)).cast("ushort")
    if page.values[_KIND] == _WHITE_IS_NOTHING:
        image = _joined([image[0].invert(), *(image[at] for at in range(1, image.bands))])
    image = image.copy(interpretation="grey16" if rows.colours == 1 else "rgb16")
    if profile := page.profile(content):
        set_blob(image, "icc-profile-data", profile)
    image.set_type(pyvips.GValue.gint_type, "orientation", page.values.get(_TURNED, 1))
    return image


@dataclass(frozen=True)
class _Rows:
    """How samples lie in a page."""

    tags: dict[int, int]
    bits: int
    colours: int
    shown: int
    """Channels of colours, and of transparency."""
    planes: int
    samples: int
    """Of a pixel, in each plane."""
    strips: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def length(self) -> int:
        """Bytes of a row of one plane."""
        return -(-self.tags[_WIDTH] * self.samples * self.bits // _BYTE)

    def plane(self, content: bytes, number: int) -> pyvips.Image:
        """One plane, with all its channels."""
        count = len(self.strips) // self.planes
        ours = slice(number * count, (number + 1) * count)
        directory = {
            _WIDTH: (self.length,),
            _HEIGHT: (self.tags[_HEIGHT],),
            _BITS: (_BYTE,),
            _COMPRESSION: (self.tags.get(_COMPRESSION, 1),),
            _KIND: (1,),
            _FILL_ORDER: (self.tags.get(_FILL_ORDER, 1),),
            _STRIPS: tuple(_HEADER.size + each for each in self.strips[ours]),
            _ROWS: (min(self.tags.get(_ROWS, self.tags[_HEIGHT]), self.tags[_HEIGHT]),),
            _SIZES: self.sizes[ours],
        }
        copy = _with_directory(content, directory)
        grey = pyvips.Image.tiffload_buffer(copy, access="random", fail_on="warning")
        return _apart(grey, self.bits, self.tags[_WIDTH] * self.samples).bandfold(
            factor=self.samples
        )


def _rows_of(content: bytes, page: tiff.Directory) -> _Rows:
    tags = page.values
    try:
        bits = page.all_of(_BITS, content)
        further = page.all_of(_FURTHER, content)
        strips, sizes = page.all_of(_STRIPS, content), page.all_of(_SIZES, content)
    except struct.error as error:
        raise corrupt() from error
    usual = len({*bits}) == 1 and 0 < bits[0] < 2 * _BYTE and tags.get(_FORM, 1) == 1
    if not usual or tags.get(_COMPRESSION, 1) not in _READ or tags.get(_PREDICTOR, 1) != 1:
        raise FileRejected("file-too-complex")
    channels, colours = tags.get(_SAMPLES, 1), _COLOURS[tags[_KIND]]
    planes = channels if tags.get(_LAYOUT) == _APART else 1
    shown = colours + (further[:1] in _TRANSPARENCY)
    if channels < shown or len(strips) < planes:
        raise corrupt()
    within("bytes", 2 * tags[_WIDTH] * tags[_HEIGHT] * channels, MAX_DECODED)
    within("samples", channels // planes, _MAX_SAMPLES)
    return _Rows(tags, bits[0], colours, shown, planes, channels // planes, strips, sizes)


def _with_directory(content: bytes, said: dict[int, tuple[int, ...]]) -> bytes:
    """A BigTIFF with `content` behind its header, and a directory that says so much of it."""
    entries, lists = b"", b""
    lists_at = _HEADER.size + len(content)
    for tag, values in said.items():
        written = struct.pack(f"<{len(values)}Q", *values)
        if len(values) > 1:
            lists, written = lists + written, struct.pack("<Q", lists_at + len(lists))
        entries += struct.pack("<HHQ", tag, 16, len(values)) + written
    header = _HEADER.pack(b"II", 43, 8, 0, lists_at + len(lists))
    return b"".join([header, content, lists, struct.pack("<Q", len(said)), entries, bytes(8)])


def _apart(rows: pyvips.Image, bits: int, count: int) -> pyvips.Image:
    """`count` numbers of so many bits in each row of bytes, the highest bit first."""
    groups = -(-rows.width // bits)
    group = rows.embed(0, 0, groups * bits, rows.height).bandfold(factor=bits)
    eight = _joined([_number(group, at * bits, bits) for at in range(_BYTE)])
    return eight.bandunfold(factor=_BYTE).crop(0, 0, count, rows.height)


def _number(group: pyvips.Image, start: int, bits: int) -> pyvips.Image:
    """That which begins at the bit `start` of a group of bytes."""
    first, last = start // _BYTE, (start + bits - 1) // _BYTE
    number = group[first].cast("uint")
    for at in range(first + 1, last + 1):
        number = (number << _BYTE) | group[at].cast("uint")
    behind = _BYTE * (last + 1) - start - bits
    return ((number >> behind) & ((1 << bits) - 1)).cast("ushort")


def _joined(images: Sequence[pyvips.Image]) -> pyvips.Image:
    first, *others = images
    for each in others:
        first = first.bandjoin(each)
    return first
