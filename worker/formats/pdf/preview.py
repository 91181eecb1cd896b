"""A picture of the first page, as viewers show it. Nothing in the document is run."""

import contextlib
import ctypes
import math
import resource
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pypdfium2
import pypdfium2.raw
import pyvips

from shared.policy import Derivative

MAX_PIXELS = 16_000_000
"""Of the rendering: a derivative of 4,000 pixels a side, 64 MB."""
LONGEST_SIDE = 10_000
CPU_SECONDS = 10
"""For one page. Drawings of maps and plants take seconds."""
_TO_NOTICE = 2
"""Seconds more, in which pdfium may stop by itself. In patterns and shadings it doesn't ask."""

_BYTES_A_PIXEL = 4
pdfium: Any = pypdfium2.raw
"""Made of pdfium's headers by a generator, without types."""


def render_first_page(
    source: Path | bytes, derivatives: Iterable[Derivative]
) -> pyvips.Image | None:
    """The first page on white, large enough for all of `derivatives`, in RGB; None where it can't
    be rendered, or not in time.

    Where pdfium doesn't stop in time, the process ends: the document is then decoded once more,
    without a picture.
    """
    until = time.process_time() + CPU_SECONDS
    try:
        with _ended_at(until + _TO_NOTICE):
            document = pypdfium2.PdfDocument(source)
            try:
                page = document[0]
                width, height = page.get_size()
                return _render(page, *_pixels(width, height, derivatives), until)
            finally:
                document.close()
    except pypdfium2.PdfiumError:
        return None


@contextlib.contextmanager
def _ended_at(cpu_seconds: float) -> Iterator[None]:
    """Let the kernel end the process where the block takes longer; both count all its threads."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    bound = math.ceil(cpu_seconds)
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    resource.setrlimit(resource.RLIMIT_CPU, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _pixels(width: float, height: float, derivatives: Iterable[Derivative]) -> tuple[int, int]:
    """Of the whole page, whose size in points may be anything."""
    width, height = max(width, 1e-3), max(height, 1e-3)
    long, short = max(width, height), min(width, height)
    scale = max(each.size / (long if each.fit == "inside" else short) for each in derivatives)
    scale = min(scale, LONGEST_SIDE / long, (MAX_PIXELS / width / height) ** 0.5)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _render(page: pypdfium2.PdfPage, width: int, height: int, until: float) -> pyvips.Image | None:
    bitmap = pypdfium2.PdfBitmap.new_native(width, height, pdfium.FPDFBitmap_BGRx)
    bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
    pause = pdfium.IFSDK_PAUSE(version=1)
    is_over = type(pause.NeedToPauseNow)(lambda _: time.process_time() >= until)
    pause.NeedToPauseNow = is_over
    try:
        state = pdfium.FPDF_RenderPageBitmap_Start(
            bitmap, page, 0, 0, width, height, 0, pdfium.FPDF_ANNOT, ctypes.byref(pause)
        )
        if state != pdfium.FPDF_RENDER_DONE:
            return None
    finally:
        pdfium.FPDF_RenderPage_Close(page)
    drawn = pyvips.Image.new_from_memory(
        bitmap.buffer, bitmap.stride // _BYTES_A_PIXEL, height, _BYTES_A_PIXEL, "uchar"
    )
    bands = drawn.crop(0, 0, width, height)
    rgb: pyvips.Image = bands[2].bandjoin(bands[1]).bandjoin(bands[0])
    return rgb.copy(interpretation="srgb")
