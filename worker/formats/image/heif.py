"""HEIF, with HEVC or AV1 in it: what its boxes say, and HEVC decoded by libheif."""

import mmap
from pathlib import Path
from typing import Any

import pyvips

from worker.errors import FileRejected
from worker.formats import isobmff
from worker.formats.blame import is_ours
from worker.formats.image import profiles
from worker.formats.image.aperture import Aperture
from worker.formats.image.colour import set_blob
from worker.formats.image.seen import MAX_WORK, Seen
from worker.formats.job import THREADS
from worker.formats.verdicts import corrupt, too_complex, within

_MAX_TILES = 10_000
_MAX_WORK = MAX_WORK // 2
"""Pixels of all tiles, which may overlap or lie outside: HEVC and AV1 take longer than a scan."""
_UNKNOWN = ("unsupported", "no decoding plugin", "not been built in")
_NO_STILL = "primary item"
"""Of a film without a still image, as cameras write a burst."""
_LIMIT = "security limit"
_BANDS = {"L": 1, "LA": 2, "La": 2, "RGB": 3, "RGBA": 4, "RGBa": 4}
_DEEP_GREY = "I;"
_EIGHT_BITS = (True, False, True, False)
"""Eight bits, as RGB, without gaps between rows, and not in sixteen bits."""
_NO_CHOICE, _WITH_LIMITS = "", False
_UNREADABLE = (ValueError, EOFError, SyntaxError, RuntimeError, OSError)
"""What libheif's words come in. A verdict of ours is none of them, and neither is `MemoryError`."""
_CUT_OFF, _SAID_TWICE = "exceeds the maximum image size", "has double references"
_REFERENCES, _NOTHING = b"iref", b"free"
"""Kinds of boxes: that of what belongs to which image, and that of unused room."""
_PROFILES = {"prof", "rICC"}
_EXIF = b"Exif\0\0"
_PREMULTIPLIED = {"La", "RGBa"}


def read(content: mmap.mmap) -> Seen:
    """Raises `FileRejected`: `file-too-complex` for too many boxes, tiles or pixels in them,
    `file-corrupt` where one of its pieces isn't in the file."""
    try:
        described = isobmff.describe(content)
    except isobmff.TooManyBoxes as error:
        raise too_complex("boxes", isobmff.MAX_BOXES) from error
    if described.end > len(content):
        raise corrupt()  # libheif shows tiles that are missing as black
    within("tiles", len(described.tiles), _MAX_TILES)
    seen = Seen(*described.size, images=described.images, moving=described.moving)
    within("pixels", described.work, _MAX_WORK)
    seen.premultiplied = described.premultiplied
    if seen.moving:
        seen.images = max(2, seen.images)  # nobody counts frames that nobody decodes
    if described.colours:
        primaries, transfer = described.colours
        transfer = profiles.SRGB if transfer in profiles.VIDEO else transfer
        seen.srgb = profiles.is_srgb(primaries, transfer)
        if not seen.srgb and profiles.is_known(primaries, transfer):
            seen.profile = profiles.of_code_points(primaries, transfer)
    return seen


def decode(path: Path, max_pixels: int) -> pyvips.Image:
    """The primary image of a HEIC, upright, with its profile, EXIF and XMP beside it.

    Depth maps, thumbnails and other images are never decoded. Raises `FileRejected`; what is
    short here, and not wrong with the file, comes out as it is.

    The binding's own classes read the metadata of every image first, which malformed files crash:
    that is left to `isobmff`.
    """
    content = path.read_bytes()
    described = isobmff.describe(content)
    try:
        image, profile = _decoded(content, max_pixels)
    except _UNREADABLE as error:
        image, profile = _decoded_anew(content, described, max_pixels, error)
    blobs = {
        "icc-profile-data": profile.get("data") if profile.get("type") in _PROFILES else None,
        "exif-data": _exif(isobmff.read_item(content, described, b"Exif")),
        "xmp-data": isobmff.read_item(content, described, b"mime"),
    }
    for name, data in blobs.items():
        if data:
            set_blob(image, name, data)
    image.set_type(pyvips.GValue.gint_type, "orientation", 1)  # turned by the boxes, EXIF's is old
    return image


def _decoded(content: bytes, max_pixels: int) -> tuple[pyvips.Image, dict[str, Any]]:
    """The primary image, and its profile. Raises `FileRejected`, or what libheif has to say."""
    import _pi_heif  # noqa: PLC0415 - other images don't wait for it

    images = _pi_heif.load_file(content, THREADS, *_EIGHT_BITS, _NO_CHOICE, _WITH_LIMITS)
    primary = _shown(images)
    (width, height), mode = primary.size_mode
    within("pixels", width * height, max_pixels)
    pixels = bytes(primary.data)  # a copy: libheif's own goes with its image
    image = _image_of(pixels, width, height, mode)
    if mode in _PREMULTIPLIED:
        image = image.unpremultiply().cast("uchar")
    return image, primary.color_profile or {}


def _decoded_anew(
    content: bytes, described: isobmff.Described, max_pixels: int, error: Exception
) -> tuple[pyvips.Image, dict[str, Any]]:
    """As `_decoded`, of what libheif takes for an attack or a mistake, and is neither: an image of
    which much is cut off, or one in which a reference is said twice and none is needed."""
    said = str(error)
    try:
        if _CUT_OFF in said:
            aperture = Aperture(described)
            image, profile = _decoded(aperture.removed(content), max_pixels)
            return aperture.cut_out_of(image), profile
        if _SAID_TWICE in said and not described.tiles:
            return _decoded(content.replace(_REFERENCES, _NOTHING), max_pixels)
    except _UNREADABLE as again:
        error = again
    raise _verdict(error) from error


def _shown(images: list[Any]) -> Any:
    """The primary one. Where that is a thumbnail, which is no image of its own, it is the first."""
    known = [each for each in images if each is not None]
    primary = [each for each in known if each.primary]
    if not primary and len(known) < len(images):
        raise FileRejected("file-too-complex")  # made of another image, in a way nobody reads
    if not known:
        raise corrupt()
    return (primary or known)[0]


def _image_of(pixels: bytes, width: int, height: int, mode: str) -> pyvips.Image:
    """The binding gives grey of more than eight bits as it is: `I;10`."""
    if mode.startswith(_DEEP_GREY):
        bits = int(mode.removeprefix(_DEEP_GREY))
        deep = pyvips.Image.new_from_memory(pixels, width, height, 1, "ushort")
        return (deep >> (bits - 8)).cast("uchar").copy(interpretation="b-w")
    bands = _BANDS.get(mode)
    if bands is None:
        raise FileRejected("file-too-complex")
    image = pyvips.Image.new_from_memory(pixels, width, height, bands, "uchar")
    return image.copy(interpretation="b-w" if bands <= 2 else "srgb")  # noqa: PLR2004 - grey, and its transparency


def _exif(item: bytes | None) -> bytes | None:
    """From where its own header begins: four bytes say what stands before that."""
    if item is None:
        return None
    start = 4 + int.from_bytes(item[:4])
    return _EXIF + item[start:].removeprefix(_EXIF)


def _verdict(error: Exception) -> Exception:
    said = str(error).lower()
    if _LIMIT in said or _NO_STILL in said:
        return FileRejected("file-too-complex")
    if is_ours(said):
        return error
    if any(sign in said for sign in _UNKNOWN):
        return FileRejected("file-invalid-type", {"detected_type": "image/heif"})
    return corrupt()
