"""What Longshore makes of a file, made with the libraries alone: in process, trusting the bytes.

They write a photo anew to leave its metadata out, where Longshore copies a JPEG's pixels.
"""

import io
import subprocess
import tempfile
from pathlib import Path

import pikepdf
import pillow_heif
import pypdfium2
import pyvips
from PIL import Image, ImageOps
from pyvips.enums import ForeignKeep, ForeignSubsample

SIZES = (1600, 800, 200)
PREVIEW = 800
OBJECT_QUALITY, DERIVATIVE_QUALITY = 90, 82

pillow_heif.register_heif_opener()


def with_pyvips(photo: bytes) -> list[bytes]:
    """Each of the next larger one, as Longshore does; of a JPEG with its colours halved, as it has
    them and Pillow writes them."""
    image = pyvips.Image.new_from_buffer(photo, "").autorot().copy_memory()
    is_jpeg = image.get("vips-loader") == "jpegload_buffer"
    return _chain(image, ForeignSubsample.ON if is_jpeg else ForeignSubsample.AUTO)


def with_heif(photo: bytes) -> list[bytes]:
    """The same, decoded by libheif: libvips' wheel has no HEVC."""
    pixels = pillow_heif.open_heif(photo)
    (width, height), bands = pixels.size, len(pixels.mode)
    return _chain(pyvips.Image.new_from_memory(pixels.data, width, height, bands, "uchar"))


def _chain(image: pyvips.Image, colours: str = ForeignSubsample.AUTO) -> list[bytes]:
    made = [image.jpegsave_buffer(Q=OBJECT_QUALITY, keep=ForeignKeep.NONE, subsample_mode=colours)]
    for size in SIZES:
        image = image.thumbnail_image(size, height=size, size="down").copy_memory()
        made.append(image.jpegsave_buffer(Q=DERIVATIVE_QUALITY, keep=ForeignKeep.NONE))
    return made


def derivatives_with_pyvips(photo: bytes) -> list[bytes]:
    """The smaller ones alone: of a JPEG no more is decoded than the largest of them needs."""
    first, *others = SIZES
    image = pyvips.Image.thumbnail_buffer(photo, first, height=first, size="down").copy_memory()
    made = [image.jpegsave_buffer(Q=DERIVATIVE_QUALITY, keep=ForeignKeep.NONE)]
    for size in others:
        image = image.thumbnail_image(size, height=size, size="down").copy_memory()
        made.append(image.jpegsave_buffer(Q=DERIVATIVE_QUALITY, keep=ForeignKeep.NONE))
    return made


def decoded_by_pyvips(photo: bytes) -> list[bytes]:
    """Every pixel, and nothing made of them."""
    pyvips.Image.new_from_buffer(photo, "").copy_memory()
    return []


def decoded_by_pillow(photo: bytes) -> list[bytes]:
    """Every pixel, and nothing made of them."""
    Image.open(io.BytesIO(photo)).load()
    return []


def with_pillow(photo: bytes) -> list[bytes]:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(photo)))
    return [_as_jpeg(image, OBJECT_QUALITY), *_smaller(image)]


def derivatives_with_pillow(photo: bytes) -> list[bytes]:
    """The smaller ones alone."""
    return _smaller(ImageOps.exif_transpose(Image.open(io.BytesIO(photo))))


def _smaller(image: Image.Image) -> list[bytes]:
    made = []
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


def preview(pdf: bytes) -> list[bytes]:
    """The document itself, and its first page as an image."""
    page = pypdfium2.PdfDocument(pdf)[0]
    scale = PREVIEW / max(page.get_size())
    image = page.render(scale=scale).to_pil().convert("RGB")
    return [*checked_pdf(pdf), _as_jpeg(image, DERIVATIVE_QUALITY)]


def with_soffice(document: bytes) -> list[bytes]:
    """As a PDF, by an office that is started for it, with a profile of its own."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "letter.docx"
        source.write_bytes(document)
        command = ["soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless"]
        command += ["--convert-to", "pdf", "--outdir", folder, str(source)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return [source.with_suffix(".pdf").read_bytes()]
