"""Write the stored image and its derivatives: in sRGB, and without what cameras add."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyvips
from pyvips.enums import ForeignKeep, ForeignSubsample

from shared.formats import FORMATS, GIF, JPEG, TIFF, WEBP, Format
from shared.policy import Derivative
from worker.formats.image.load import Opened
from worker.formats.job import Facts, facts_of, output_name

OBJECT_QUALITY = 90
"""Of the stored image itself, where its format loses anything: nobody sees this much missing."""


def write_object(
    opened: Opened, scratch: Path, field: str, target: str, *, keep_metadata: bool
) -> Facts:
    """Write the image, or all of its frames or pages, as type `target`.

    Kept metadata has a profile beside it: a camera's own notes may name another colour space. A
    JPEG gets as many samples of colour as there were: more would cost a quarter more to write.
    """
    path = scratch / output_name(field, target)
    options: dict[str, Any] = {"keep": ForeignKeep.NONE}
    if keep_metadata:
        options = {"keep": ForeignKeep.ALL, "profile": "srgb"}
    if opened.page_height < opened.image.height:
        options["page_height"] = opened.page_height
    if opened.halved and target == JPEG.media_type:
        options["subsample_mode"] = ForeignSubsample.ON
    _write(opened.image, path, FORMATS[target], OBJECT_QUALITY, options)
    return facts_of(path, target, width=opened.image.width, height=opened.page_height)


def write_derivatives(
    image: pyvips.Image, scratch: Path, field: str, derivatives: Mapping[str, Derivative]
) -> dict[str, Facts]:
    """Write every derivative, each made of the smallest image that is large enough for it."""
    written = {}
    sources = [image]
    for name, wanted in sorted(derivatives.items(), key=lambda item: -item[1].size):
        side = max if wanted.fit == "inside" else min
        source = next(
            (made for made in reversed(sources) if side(made.width, made.height) >= wanted.size),
            sources[0],
        )
        made = _shrink(source, wanted).copy_memory()
        if wanted.fit == "inside":
            sources.append(made)
        media_type = f"image/{wanted.format}"
        path = scratch / output_name(field, media_type, name)
        _write(made, path, FORMATS[media_type], wanted.quality, {"keep": ForeignKeep.NONE})
        written[name] = facts_of(path, media_type, width=made.width, height=made.height)
    return written


def _shrink(image: pyvips.Image, wanted: Derivative) -> pyvips.Image:
    if wanted.fit == "cover":
        side = min(wanted.size, image.width, image.height)
        return image.thumbnail_image(side, height=side, crop="centre")
    return image.thumbnail_image(wanted.size, height=wanted.size, size="down")


def _write(
    image: pyvips.Image, path: Path, made: Format, quality: int, options: dict[str, Any]
) -> None:
    if image.hasalpha() and not made.alpha:
        image = image.flatten(background=[255])
    if made in (JPEG, WEBP):
        options = {**options, "Q": quality}
    elif made is TIFF:
        options = {**options, "compression": "deflate", "predictor": "horizontal"}
    elif made is GIF and image.interpretation == "b-w":
        image = image.colourspace("srgb")
    pyvips.Operation.call(str(made.writer), image, str(path), **options)
