"""HEIF's clean aperture: the part of a decoded image that is shown (ISO/IEC 14496-12, 12.1.4).

libheif cuts it out itself, but up to 1.23.0 it takes a part that is much smaller than the whole for
an attack. Then it gets a copy that shows the whole, and the part is cut out here.
"""

import struct
from fractions import Fraction

import pyvips

from worker.formats.isobmff import Described

_APERTURE_BYTES, _SIZE_BYTES = 32, 12


class Aperture:
    """That of the primary image, which comes before it is turned."""

    def __init__(self, described: Described) -> None:
        """Raises `ValueError` where it has none."""
        found = described.of(described.primary, b"clap")
        sizes = described.of(described.primary, b"ispe")
        if [*map(len, found), *map(len, sizes)] != [_APERTURE_BYTES, _SIZE_BYTES]:
            raise ValueError("no aperture that is known here")
        self._box = struct.pack(">I4s", 8 + len(found[0]), b"clap") + found[0]
        self._whole = struct.unpack_from(">II", sizes[0], 4)
        turns = described.of(described.primary, b"irot")
        self._turns = sum(each[0] & 3 for each in turns if each) % 4
        self._mirrored = bool(described.of(described.primary, b"imir"))

    def removed(self, content: bytes) -> bytes:
        """A copy, with everything in its place, that shows the whole image."""
        width, height = self._whole
        whole = struct.pack(">I4s8I", len(self._box), b"clap", width, 1, height, 1, 0, 1, 0, 1)
        return content.replace(self._box, whole)

    def cut_out_of(self, image: pyvips.Image) -> pyvips.Image:
        """`image` is the whole, turned. Raises `ValueError` for a part that leads out of it, or
        that would be elsewhere in a mirror."""
        numbers = struct.unpack_from(">4I4i", self._box, 8)
        if 0 in numbers[1::2]:
            raise ValueError("a size over nothing")
        width, height, right, down = map(Fraction, numbers[::2], numbers[1::2])
        if self._mirrored and (right or down):
            raise ValueError("not in the middle, and mirrored")
        left = round(right + (self._whole[0] - width) / 2)
        top = round(down + (self._whole[1] - height) / 2)
        part = left, top, round(width), round(height)
        whole = self._whole
        for _ in range(self._turns):  # a quarter each, against the clock
            left, top, wide, high = part
            part = top, whole[0] - left - wide, high, wide
            whole = whole[1], whole[0]
        left, top, wide, high = part
        if min(left, top) < 0 or left + wide > image.width or top + high > image.height:
            raise ValueError("it leads out of the image")
        return image.crop(*part)
