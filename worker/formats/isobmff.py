"""Boxes of ISO's base media format (ISO/IEC 14496-12), as HEIF (23008-12) and AVIF use them.

Read with bounds on depth, number and size. It says which codec is inside, how large the primary
image is, of how many pieces it is made, and what its colours are: all without decoding.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.formats import AVIF_BRANDS, GENERAL_BRANDS, HEIC_BRANDS

MAX_BOXES = 20_000
MAX_META = 16 << 20
"""Bytes of the box that describes the images: a grid of thousands of tiles needs one."""

_STILL_BRANDS = {*HEIC_BRANDS, *AVIF_BRANDS}
_PICTURES = {b"hvc1", b"av01", b"grid", b"iovl", b"iden"}
"""Types of items that show something: coded, or derived from others."""
_BRAND_OF = {b"hvc1": b"heic", b"av01": b"avif"}
"""A brand that says that this codec is inside."""
_BRANDS_WITHIN = 512
_SHOWN_AS_ONE = {b"ster", b"altr"}
"""Groups of a spatial photo, and of what a viewer chooses one of."""


class TooManyBoxes(Exception):  # noqa: N818 - a budget that is exceeded
    """More boxes or items than `MAX_BOXES`."""


@dataclass
class Described:
    """What the boxes say of the images in a file."""

    items: dict[int, bytes] = field(default_factory=dict)
    """Id → type: `hvc1`, `av01`, `grid`, `Exif` and so on."""
    hidden: set[int] = field(default_factory=set)
    primary: int = 0
    references: dict[bytes, list[tuple[int, tuple[int, ...]]]] = field(default_factory=dict)
    """Kind → from which item to which."""
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    of_item: dict[int, list[int]] = field(default_factory=dict)
    places: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    """Id → of each of its pieces, whether it lies in `data`, where, and how many bytes."""
    groups: list[tuple[int, ...]] = field(default_factory=list)
    """Of images that are shown as one: left and right of a pair, or one in place of another."""
    data: bytes = b""
    """What the description holds of the items themselves."""
    moving: bool = False
    """Whether there is a sequence beside the images."""

    def of(self, item: int, kind: bytes) -> list[bytes]:
        """An item's properties of a kind."""
        places = (at - 1 for at in self.of_item.get(item, ()))
        found = (self.properties[at] for at in places if 0 <= at < len(self.properties))
        return [data for name, data in found if name == kind]

    @property
    def size(self) -> tuple[int, int]:
        """Of the primary image as it is shown, turned; zeros if it isn't said."""
        said = [each for each in self.of(self.primary, b"ispe") if len(each) >= 12]  # noqa: PLR2004 - the box's own layout
        if not said:
            return 0, 0
        width, height = struct.unpack_from(">II", said[0], 4)
        turned = sum(each[0] & 1 for each in self.of(self.primary, b"irot") if each) % 2
        return (height, width) if turned else (width, height)

    @property
    def tiles(self) -> tuple[int, ...]:
        """Items that the primary image is put together from."""
        derived = self.references.get(b"dimg", [])
        return tuple(goal for source, goals in derived if source == self.primary for goal in goals)

    @property
    def end(self) -> int:
        """Where the last of what the primary image is made of, its transparency too, ends."""
        shown = {self.primary, *self.tiles}
        beside = {s for s, goals in self.references.get(b"auxl", []) if not shown.isdisjoint(goals)}
        places = (place for item in shown | beside for place in self.places.get(item, ()))
        return max((start + length for inside, start, length in places if inside == 0), default=0)

    @property
    def work(self) -> int:
        """Pixels that are decoded for it: tiles may overlap, or lie outside of it."""
        return sum(_area(self.of(item, b"ispe")) for item in (self.primary, *self.tiles))

    @property
    def premultiplied(self) -> bool:
        """Whether the primary image's colours were multiplied by how opaque they are."""
        return any(source == self.primary for source, _ in self.references.get(b"prem", []))

    @property
    def images(self) -> int:
        """Those that a person would see: no tiles, thumbnails, masks or depth maps."""
        parts = {goal for _, goals in self.references.get(b"dimg", []) for goal in goals}
        beside = {
            source for kind in (b"thmb", b"auxl") for source, _ in self.references.get(kind, [])
        }
        beside |= {each for group in self.groups for each in group[1:]}
        shown = (item for item, kind in self.items.items() if kind in _PICTURES)
        return max(1, sum(item not in parts | beside | self.hidden for item in shown))

    @property
    def colours(self) -> tuple[int, int] | None:
        """Primaries and transfer of H.273, unless there is a profile."""
        said = self.of(self.primary, b"colr")
        if any(each[:4] in {b"prof", b"rICC"} for each in said):
            return None
        points = [each for each in said if each[:4] == b"nclx" and len(each) >= 8]  # noqa: PLR2004 - the box's own layout
        if not points:
            return None
        primaries, transfer = struct.unpack_from(">HH", points[0], 4)
        return primaries, transfer


def _area(sizes: list[bytes]) -> int:
    said = [each for each in sizes if len(each) >= 12]  # noqa: PLR2004 - flags, width and height
    width, height = struct.unpack_from(">II", said[0], 4) if said else (0, 0)
    return int(width * height)


def media_type(head: bytes) -> str | None:
    """HEIC or AVIF by the brands in a file's first box, None if it holds no still images.

    A general brand leaves it open; then the other brands decide, then the codec of the items.
    `image/heif` is what has a codec that nobody here knows.
    """
    if head[4:8] != b"ftyp" or len(head) < 16:  # noqa: PLR2004 - a box with a brand
        return None
    length = min(struct.unpack_from(">I", head)[0], _BRANDS_WITHIN, len(head))
    major, compatible = head[8:12], {head[at : at + 4] for at in range(16, length - 3, 4)}
    if major not in GENERAL_BRANDS:
        compatible = {major}
    elif not compatible & _STILL_BRANDS:
        compatible = {_BRAND_OF[codec] for codec in _BRAND_OF if codec in head} or {b"heif"}
    if not compatible.isdisjoint(HEIC_BRANDS):
        return "image/heic"
    if not compatible.isdisjoint(AVIF_BRANDS):
        return "image/avif"
    return "image/heif" if major in GENERAL_BRANDS else None


def read_item(content: bytes | mmap.mmap, described: Described, kind: bytes) -> bytes | None:
    """The bytes of the first item of a kind, None if there is none, or one beyond `MAX_META`."""
    for item, name in described.items.items():
        places = described.places.get(item, [])
        length = sum(each for _, _, each in places)
        if name == kind and 0 < length <= MAX_META and {way for way, _, _ in places} <= {0, 1}:
            return b"".join(
                (described.data if inside else content)[start : start + each]
                for inside, start, each in places
            )
    return None


def describe(content: bytes | mmap.mmap) -> Described:
    """Read the description in `content`, a whole file or a map of one.

    What makes no sense is left out: the decoder will say. Raises `TooManyBoxes`.
    """
    seen = Described()
    for kind, start, end in _boxes(content, 0, len(content)):
        if kind == b"moov":
            seen.moving = True
        if kind == b"meta" and end - start <= MAX_META:
            try:
                _meta(content[start + 4 : end], seen)
            except (struct.error, IndexError):
                break
    return seen


def _boxes(content: bytes | mmap.mmap, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of what is in each box."""
    for _ in range(MAX_BOXES):
        if at + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", content, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, start)
            start += 8
        stop = at + size if size else end
        if stop <= at or start > stop:
            return
        yield kind, start, min(stop, end)
        at = stop
    raise TooManyBoxes


def _meta(content: bytes, seen: Described) -> None:
    for kind, start, end in _boxes(content, 0, len(content)):
        data = content[start:end]
        if kind == b"pitm":
            seen.primary = int.from_bytes(data[4 : 6 if data[0] == 0 else 8])
        elif kind == b"iinf":
            _items(data, seen)
        elif kind == b"iref":
            _references(data, seen)
        elif kind == b"iloc":
            _locations(data, seen)
        elif kind == b"idat":
            seen.data = data
        elif kind == b"grpl":
            _groups(data, seen)
        elif kind == b"iprp":
            _properties(data, seen)


def _items(data: bytes, seen: Described) -> None:
    for kind, start, _end in _boxes(data, 6 if data[0] == 0 else 8, len(data)):
        if kind != b"infe" or data[start] < 2:  # noqa: PLR2004 - older ones have no type
            continue
        wide = data[start] > 2  # noqa: PLR2004 - the box's own version
        identity = int.from_bytes(data[start + 4 : start + (8 if wide else 6)])
        at = start + (10 if wide else 8)
        seen.items[identity] = data[at : at + 4]
        if data[start + 3] & 1:
            seen.hidden.add(identity)


def _locations(data: bytes, seen: Described) -> None:
    version, sizes = data[0], data[4] << 8 | data[5]
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    wide = 4 if version > 1 else 2
    at = 6 + wide
    pieces = 0
    for _ in range(min(int.from_bytes(data[6:at]), MAX_BOXES)):
        item = int.from_bytes(data[at : at + wide])
        at += wide
        inside = data[at + 1] & 15 if version else 0
        at += 4 if version else 2
        base = int.from_bytes(data[at : at + base_size])
        extents = int.from_bytes(data[at + base_size : at + base_size + 2])
        at += base_size + 2
        places = seen.places.setdefault(item, [])
        for _ in range(extents):
            pieces += 1
            if pieces > MAX_BOXES:
                raise TooManyBoxes
            first = at + index_size
            at = first + offset_size + length_size
            offset = int.from_bytes(data[first : first + offset_size])
            length = int.from_bytes(data[first + offset_size : at])
            places.append((inside, base + offset, length))


def _references(data: bytes, seen: Described) -> None:
    letter, size = ("H", 2) if data[0] == 0 else ("I", 4)
    for kind, start, end in _boxes(data, 4, len(data)):
        (source,) = struct.unpack_from(">" + letter, data, start)
        (count,) = struct.unpack_from(">H", data, start + size)
        count = min(count, (end - start - size - 2) // size)
        goals = struct.unpack_from(f">{count}{letter}", data, start + size + 2)
        seen.references.setdefault(kind, []).append((source, goals))


def _groups(data: bytes, seen: Described) -> None:
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind in _SHOWN_AS_ONE:
            (count,) = struct.unpack_from(">I", data, start + 8)
            count = min(count, (end - start - 12) // 4)
            seen.groups.append(struct.unpack_from(f">{count}I", data, start + 12))


def _properties(data: bytes, seen: Described) -> None:
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"ipco":
            seen.properties += [
                (name, data[first:last]) for name, first, last in _boxes(data, start, end)
            ]
        elif kind == b"ipma":
            _associations(data[start:end], seen)


def _associations(data: bytes, seen: Described) -> None:
    version, wide = data[0], data[3] & 1
    (count,) = struct.unpack_from(">I", data, 4)
    at = 8
    for _ in range(min(count, MAX_BOXES)):
        (item,) = struct.unpack_from(">H" if version < 1 else ">I", data, at)
        at += 2 if version < 1 else 4
        number = data[at]
        at += 1
        size = 2 if wide else 1
        mask = 0x7FFF if wide else 0x7F
        seen.of_item[item] = [
            int.from_bytes(data[each : each + size]) & mask
            for each in range(at, at + number * size, size)
        ]
        at += number * size
