"""What Longshore makes of a file, made with the libraries alone: in process, trusting the bytes."""

import io

import pikepdf
import pyvips
from PIL import Image, ImageOps
from pyvips.enums import ForeignKeep

SIZES = (1600, 800, 200)
OBJECT_QUALITY, DERIVATIVE_QUALITY = 90, 82


def with_pyvips(photo: bytes) -> list[bytes]:
    """Each of the next larger one, as Longshore does."""
    image = pyvips.Image.new_from_buffer(photo, "").autorot().copy_memory()
    made = [image.jpegsave_buffer(Q=OBJECT_QUALITY, keep=ForeignKeep.NONE)]
    for size in SIZES:
        image = image.thumbnail_image(size, height=size, size="down").copy_memory()
        made.append(image.jpegsave_buffer(Q=DERIVATIVE_QUALITY, keep=ForeignKeep.NONE))
    return made


def with_pillow(photo: bytes) -> list[bytes]:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(photo)))
    made = [_as_jpeg(image, OBJECT_QUALITY)]
    for size in SIZES:
        image.thumbnail((size, size))
        made.append(_as_jpeg(image, DERIVATIVE_QUALITY))
    return made


def _as_jpeg(image: Image.Image, quality: int) -> bytes:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=quality)
    return written.getvalue()


def checked_pdf(pdf: bytes) -> list[bytes]:
    """The document itself, which opens and has pages that can be counted."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert len(document.pages)  # noqa: S101 - it was made by a bench
    return [pdf]
