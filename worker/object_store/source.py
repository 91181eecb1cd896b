"""The file behind a put: read once, in order, and held against what was announced of it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from worker.errors import SourceChanged, TransientError


class Piece(NamedTuple):
    body: bytes
    digest: bytes
    """SHA-256 of `body`."""


class Source:
    """Gives out the announced bytes and no others: the last piece comes only when all fit."""

    def __init__(self, file: BinaryIO, size: int, sha256: str) -> None:
        self._file = file
        self._size = size
        self._left = size
        self._sha256 = sha256
        self._seen = hashlib.sha256()

    async def read(self, limit: int) -> Piece | None:
        """The next at most `limit` bytes, None after the last. One call at a time.

        Raises `SourceChanged` in place of the last piece of a file that is not the announced one,
        and `TransientError("volume")` when it can't be read.
        """
        return await asyncio.to_thread(self._read, limit) if self._left else None

    def _read(self, limit: int) -> Piece:
        wanted = min(limit, self._left)
        try:
            body = self._file.read(wanted)
            more = self._file.read(1) if wanted == self._left else b""
        except OSError as error:
            raise _unreadable(error) from error
        self._seen.update(body)
        self._left -= len(body)
        if len(body) < wanted:
            raise SourceChanged(f"{self._left} of {self._size} bytes are missing")
        if more:
            raise SourceChanged(f"there are more than {self._size} bytes")
        if not self._left and self._seen.hexdigest() != self._sha256:
            raise SourceChanged("the SHA-256 is another one")
        return Piece(body, hashlib.sha256(body).digest())


@asynccontextmanager
async def open_source(path: Path, *, size: int, sha256: str) -> AsyncIterator[Source]:
    """The file at `path`, announced as `size` bytes with the hex digest `sha256`."""
    try:
        file = await asyncio.to_thread(path.open, "rb")
    except OSError as error:
        raise _unreadable(error) from error
    with file:
        yield Source(file, size, sha256)


def _unreadable(error: OSError) -> TransientError:
    return TransientError("volume", counted=False, detail=error.strerror or str(error))
