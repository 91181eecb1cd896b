"""Pixels that are decoded once, to where they can be read often."""

import pyvips

_MAX_HELD = 100 << 20
"""Bytes of pixels that are held in memory; more go to a temporary file."""


def hold(image: pyvips.Image) -> pyvips.Image:
    """Decode all of it now, once, to where it can be read as often as it takes."""
    if image.width * image.height * image.bands <= _MAX_HELD:
        return image.copy_memory()
    held = pyvips.Image.new_temp_file("%s.v")
    image.write(held)
    return held


def noted() -> str:
    """What libvips has noted without failing since it was asked last.

    It looks for a JPEG decoder's warnings before each strip of rows, and so not behind the last.
    """
    return str(pyvips.Error("").detail)
