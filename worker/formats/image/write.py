"""Write the stored image and its derivatives: in sRGB, and without what cameras add."""

from collections.abc import Mapping
from pathlib import Path

import pyvips
from pyvips.enums import ForeignKeep

from shared.formats import JPEG, PNG
from shared.policy import Derivative
from worker.formats.job import Facts, facts_of, output_name

OBJECT_QUALITY = 90
"""Of the stored image itself, where its format loses anything: nobody sees this much missing."""


def write_object(
    image: pyvips.Image, scratch: Path, field: str, target: str, *, keep_metadata: bool
) -> Facts:
    """Write `image`, upright and in sRGB, as type `target`."""
    path = scratch / output_name(field, target)
    keep = ForeignKeep.ALL if keep_metadata else ForeignKeep.NONE
    return _write(image, path, target, quality=OBJECT_QUALITY, keep=keep)


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
        written[name] = _write(
            made, path, media_type, quality=wanted.quality, keep=ForeignKeep.NONE
        )
    return written


def _shrink(image: pyvips.Image, wanted: Derivative) -> pyvips.Image:
    if wanted.fit == "cover":
        side = min(wanted.size, image.width, image.height)
        return image.thumbnail_image(side, height=side, crop="centre")
    return image.thumbnail_image(wanted.size, height=wanted.size, size="down")


def _write(image: pyvips.Image, path: Path, media_type: str, *, quality: int, keep: int) -> Facts:
    if media_type == JPEG.media_type:
        image = image.flatten(background=[255]) if image.hasalpha() else image
        image.jpegsave(str(path), Q=quality, keep=keep)
    elif media_type == PNG.media_type:
        image.pngsave(str(path), keep=keep)
    else:
        image.webpsave(str(path), Q=quality, keep=keep)
    return facts_of(path, media_type, width=image.width, height=image.height)
