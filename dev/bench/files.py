"""Files as people send them, made anew and alike in every run."""

import io
from functools import partial

import pillow_heif

from dev.bench import letter, paper, photo

pdf = partial(paper.scan, paper.OF_100_KIB)
long_pdf = partial(paper.scan, 20 * paper.OF_100_KIB, 20)
docx = partial(letter.write, 5)
small_jpeg = partial(photo.take, photo.OF_ONE_MEGABYTE)
jpeg = partial(photo.take, photo.SIZE)
large_jpeg = partial(photo.take, (8000, 6000))


def heic() -> bytes:
    """12 megapixels, as newer phones save them."""
    written = io.BytesIO()
    pillow_heif.from_pillow(photo.picture(photo.SIZE)).save(written, quality=60)
    return written.getvalue()


def tiff() -> bytes:
    """12 megapixels, as scanners save them."""
    written = io.BytesIO()
    photo.picture(photo.SIZE).save(written, "TIFF", compression="tiff_lzw")
    return written.getvalue()
