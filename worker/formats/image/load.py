"""Whether an image is whole and within its field's limits."""

from pathlib import Path
from typing import Any

import pyvips

from shared.formats import FORMATS, JPEG, Format
from shared.policy import ImageLimits
from worker.errors import FileRejected
from worker.formats.job import Notice, notice

_TURNED = range(5, 9)
"""EXIF orientations that swap width and height."""

_PIXELS_LOST = ("premature end", "bad Huffman code", "instead of RST", "arithmetic code")
"""libjpeg's warnings after which it makes pixels up. Its other ones are about odd, whole files."""
_OURS = ("memory", "system error", "unix error", "write error")
"""What libvips says when the machine, not the file, is at fault."""


def open_image(
    path: Path, detected: Format, target: str, limits: ImageLimits
) -> tuple[pyvips.Image, list[Notice]]:
    """The decoded, upright image, to be stored as `target`.

    Raises `FileRejected`: `image-too-small`, `image-too-large` (both before decoding) or
    `file-corrupt`; an image is decoded whole or not at all.
    """
    pyvips.cache_set_max(0)
    pyvips.block_untrusted_set(True)  # noqa: FBT003 - the binding's own signature
    notices: list[Notice] = []
    try:
        header = _load(path, detected)
        _check_size(header, target, limits)
        image = _decode(path, detected)
    except pyvips.Error as error:
        if any(sign in error.detail for sign in _OURS):
            raise
        raise FileRejected("file-corrupt") from error
    if header.get_n_pages() > 1:
        notices.append(notice("animation-dropped"))
    return image.autorot(), notices


def _check_size(header: pyvips.Image, target: str, limits: ImageLimits) -> None:
    width, height = header.width, header.height
    if header.get_typeof("orientation") and header.get("orientation") in _TURNED:
        width, height = height, width
    too_large = {
        "max_pixels": (width * height, limits.max_pixels),
        "max_width": (width, limits.max_width),
        "max_height": (height, limits.max_height),
    }
    seen = {"width": width, "height": height}
    exceeded = {
        name: limit for name, (value, limit) in too_large.items() if limit and value > limit
    }
    if not exceeded and max(width, height) > (longest := FORMATS[target].longest_side or 10**9):
        exceeded = {"max_width": longest, "max_height": longest}
    if exceeded:
        raise FileRejected("image-too-large", {**seen, **exceeded})
    too_small = {
        "min_width": (width, limits.min_width),
        "min_height": (height, limits.min_height),
    }
    missed = {name: limit for name, (_, limit) in too_small.items() if limit}
    if any(limit and value < limit for value, limit in too_small.values()):
        raise FileRejected("image-too-small", {**seen, **missed})


def _decode(path: Path, detected: Format) -> pyvips.Image:
    try:
        return _read(path, detected, fail_on="warning")
    except pyvips.Error as error:
        if detected is not JPEG or any(sign in error.detail for sign in _PIXELS_LOST):
            raise
    return _read(path, detected, fail_on="truncated")


def _read(path: Path, detected: Format, *, fail_on: str) -> pyvips.Image:
    image = _load(path, detected, fail_on=fail_on)
    image(0, 0)  # decodes all of it, to memory or, above 100 MB, to a temporary file
    return image


def _load(path: Path, detected: Format, **options: Any) -> pyvips.Image:
    image: pyvips.Image = pyvips.Operation.call(str(detected.loader), str(path), **options)
    return image
