"""Write the stored image and its derivatives: in sRGB, and without what cameras add."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
    if opened.stored:
        return opened.stored
    path = scratch / output_name(field, target)
    width, height = opened.size
    options: dict[str, Any] = {"keep": ForeignKeep.NONE}
    if keep_metadata:
        options = {"keep": ForeignKeep.ALL, "profile": "srgb"}
    if height < opened.image.height:
        options["page_height"] = height
    if opened.halved and target == JPEG.media_type:
        options["subsample_mode"] = ForeignSubsample.ON
    _write(opened.image, path, FORMATS[target], OBJECT_QUALITY, options)
    return facts_of(path, target, width=width, height=height)


def write_derivatives(
    image: pyvips.Image,
    scratch: Path,
    field: str,
    derivatives: Mapping[str, Derivative],
    *,
    size: tuple[int, int] | None = None,
) -> dict[str, Facts]:
    """Write every derivative, each made of the smallest image that is large enough for it.

    `size` is what `image` would have been, where it was decoded as a smaller one.
    """
    sources, whole = [image], size or (image.width, image.height)
    with ThreadPoolExecutor(1) as writer:  # which writes one while the next one is made
        writing = {}
        for name, wanted in sorted(derivatives.items(), key=lambda item: -item[1].size):
            source = _smallest_enough(sources, wanted)
            of = whole if source is image else (source.width, source.height)
            made = _shrink(source, of, wanted).copy_memory()
            if wanted.fit == "inside":
                sources.append(made)
            path = scratch / output_name(field, f"image/{wanted.format}", name)
            writing[name] = writer.submit(_write_derivative, made, path, wanted)
        return {name: facts.result() for name, facts in writing.items()}


def _smallest_enough(sources: Sequence[pyvips.Image], wanted: Derivative) -> pyvips.Image:
    """The first one where none is."""
    side = max if wanted.fit == "inside" else min
    enough = (each for each in reversed(sources) if side(each.width, each.height) >= wanted.size)
    return next(enough, sources[0])


def _write_derivative(made: pyvips.Image, path: Path, wanted: Derivative) -> Facts:
    media_type = f"image/{wanted.format}"
    _write(made, path, FORMATS[media_type], wanted.quality, {"keep": ForeignKeep.NONE})
    return facts_of(path, media_type, width=made.width, height=made.height)


def _shrink(image: pyvips.Image, size: tuple[int, int], wanted: Derivative) -> pyvips.Image:
    """As high and wide as what would be made of an image of `size`."""
    if wanted.fit == "cover":
        side = min(wanted.size, *size)
        return image.thumbnail_image(side, height=side, crop="centre")
    if size == (image.width, image.height):
        return image.thumbnail_image(wanted.size, height=wanted.size, size="down")
    of_whole = pyvips.Image.black(*size).thumbnail_image(
        wanted.size, height=wanted.size, size="down"
    )
    width, height = of_whole.width, of_whole.height  # of which no pixel is ever made
    return image.thumbnail_image(width, height=height, size="force")


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
