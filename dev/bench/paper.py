"""A scan as an office's machine sends it: pages that are images, in a PDF."""

import io
import random

import pikepdf
from pikepdf import Array, Dictionary, Name, Pdf

OF_100_KIB = 100 * 1024
A4 = (595, 842)
"""In points."""
_WIDTH = 400
"""Of a page's image, in grey pixels."""


def scan(size: int, pages: int = 1) -> bytes:
    """A PDF of about `size` bytes."""
    document = Pdf.new()
    for number in range(pages):
        _add_page(document, size // pages // _WIDTH, number)
    written = io.BytesIO()
    document.save(written, compress_streams=False)
    return written.getvalue()


def _add_page(document: pikepdf.Pdf, lines: int, seed: int) -> None:
    grain = random.Random(seed).randbytes(lines * _WIDTH)  # noqa: S311 - the same in every run
    image = document.make_stream(
        grain,
        Type=Name.XObject,
        Subtype=Name.Image,
        Width=_WIDTH,
        Height=lines,
        ColorSpace=Name.DeviceGray,
        BitsPerComponent=8,
    )
    page = document.add_blank_page(page_size=A4)
    page.Resources = Dictionary(XObject=Dictionary(Scan=image))
    drawn = f"q {A4[0]} 0 0 {A4[1]} 0 0 cm /Scan Do Q"
    page.Contents = Array([document.make_stream(drawn.encode())])
