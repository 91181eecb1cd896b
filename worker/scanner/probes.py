"""Files that a scanner which looks at all of them can't call clean.

They hold the test virus of EICAR, which every scanner is to find and which does nothing.
"""

import io
import zipfile
from collections.abc import AsyncIterator

PIECE = 256 * 1024
_HALVES = ("X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*")
"""In two: a scanner that looks at this very file is to let it be."""
DEPTH = 40
"""Archives in each other: more than clamd unpacks, unless it was told to."""


def test_virus() -> bytes:
    return "".join(_HALVES).encode()


def in_archive(content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("probe", content, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def nested() -> bytes:
    """The test virus, deeper than clamd looks by itself: it has to say so."""
    content = test_virus()
    for _ in range(DEPTH):
        content = in_archive(content)
    return content


async def whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def as_long_as(length: int) -> AsyncIterator[bytes]:
    """An archive with the test virus in it, followed by zeros up to `length` bytes; no shorter
    than the archive itself.

    The virus is a file of its own in it: a signature may be one of the whole file.
    """
    content = in_archive(test_virus())
    yield content
    left = length - len(content)
    zeros = bytes(PIECE)
    while left > 0:
        yield zeros[:left]
        left -= PIECE
