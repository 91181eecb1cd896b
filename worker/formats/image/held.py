"""Pixels that are decoded once, to where they can be read often."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pyvips

_MAX_HELD = 100 << 20
"""Bytes of pixels that are held in memory; more go to a temporary file."""

_MAX_HEARD = 1_000


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


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.said) < _MAX_HEARD:
            self.said.add(record.getMessage())


@contextmanager
def heard() -> Iterator[set[str]]:
    """What libvips logs meanwhile: there alone it says what it was warned of by libtiff."""
    logger, handler = logging.getLogger("pyvips"), _Heard()
    logger.addHandler(handler)
    try:
        yield handler.said
    finally:
        logger.removeHandler(handler)
