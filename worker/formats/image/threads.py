"""How many threads libvips works with on an image."""

import pyvips
from pyvips.voperation import concurrency_set

from worker.formats.job import THREADS

_ALONE = 512 * 512
"""Pixels that one thread has done before a second one has begun."""


def share_out(image: pyvips.Image) -> None:
    """Use as many threads for `image`, and for what is made of it, as are worth their while."""
    concurrency_set(1 if image.width * image.height <= _ALONE else THREADS)
