"""Kinds of TIFF and AVIF that libvips doesn't read, and Pillow does.

Pillow's readers are named, and not looked for: those are loaded before a child is confined. It is
told nothing of what it fills in where pixels are missing, so that it is asked for whole files only.
"""

import io
import warnings
from pathlib import Path
from typing import Any

import pyvips
from PIL import AvifImagePlugin, Image, ImageFile, ImageOps, TiffImagePlugin

from shared.formats import AVIF, TIFF, Format
from worker.errors import FileRejected
from worker.formats.image import packed, tiff
from worker.formats.image.colour import set_blob
from worker.formats.job import THREADS
from worker.formats.verdicts import corrupt, within

READS: dict[Format, type[ImageFile.ImageFile]] = {
    TIFF: TiffImagePlugin.TiffImageFile,
    AVIF: AvifImagePlugin.AvifImageFile,
}
_DAMAGED = "parsing failed"
"""What libavif says of an AVIF whose boxes make no sense, or lead out of it."""
_PLAIN = {"L": "b-w", "LA": "b-w", "RGB": "srgb", "RGBA": "srgb", "CMYK": "cmyk"}
"""Modes that are eight bits a channel in both libraries, and what libvips calls them."""


def decode(path: Path, detected: Format, max_pixels: int, page: int) -> pyvips.Image:
    """One page of the image, upright, with its profile and XMP beside it.

    Raises `FileRejected`: `file-too-complex` for a kind that Pillow doesn't read either, or of more
    pixels, `file-corrupt` if it can't be decoded.
    """
    AvifImagePlugin.DEFAULT_MAX_THREADS = THREADS
    content = path.read_bytes()
    if detected is TIFF:
        directory = tiff.check_whole(content, page)
        if packed.is_packed(content, directory):
            return packed.decode(content, directory)
    opened: ImageFile.ImageFile | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what is odd in a header
            opened = READS[detected](io.BytesIO(content))
            within("pixels", opened.width * opened.height, max_pixels)
            opened.seek(page)
            opened.load()
            image = ImageOps.exif_transpose(opened)
    except (MemoryError, FileRejected):
        raise
    except Exception as error:  # of any kind: what a file can make of a parser has no list
        unknown = opened is None and _DAMAGED not in str(error).lower()
        raise FileRejected("file-too-complex") if unknown else corrupt() from error
    shown = _image_of(image)
    for name, data in _beside(opened.info).items():
        set_blob(shown, name, data)
    shown.set_type(pyvips.GValue.gint_type, "orientation", 1)
    return shown


def _beside(info: dict[Any, Any]) -> dict[str, bytes]:
    found = {"icc-profile-data": info.get("icc_profile"), "xmp-data": info.get("xmp")}
    return {name: data for name, data in found.items() if data and isinstance(data, bytes)}


def _image_of(image: Image.Image) -> pyvips.Image:
    mode = image.mode
    if mode == "LAB":
        return _lab(image)
    if mode == "F":
        return _from(image, 1, "float")
    if mode == "I":
        return _from(image, 1, "int")
    if mode.startswith("I;16"):
        return _deep_grey(image)
    if mode == "1":
        image = image.convert("L")
    elif mode not in _PLAIN:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return _from(image, len(image.getbands()), "uchar").copy(interpretation=_PLAIN[image.mode])


def _from(image: Image.Image, bands: int, form: str) -> pyvips.Image:
    return pyvips.Image.new_from_memory(image.tobytes(), *image.size, bands, form)


def _deep_grey(image: Image.Image) -> pyvips.Image:
    if image.mode == "I;16":
        samples = _from(image, 1, "ushort")
    else:  # another order of bytes, which Pillow knows
        samples = _from(image.convert("I"), 1, "int").cast("ushort")
    return samples.copy(interpretation="grey16")


def _lab(image: Image.Image) -> pyvips.Image:
    """Its bytes are lightness in 255 steps, and two colours with signs (CIE L*a*b*, TIFF 6.0)."""
    biased = _from(image, 3, "uchar") ^ [0, 128, 128]
    return (biased * [100 / 255, 1, 1] - [0, 128, 128]).copy(interpretation="lab")
