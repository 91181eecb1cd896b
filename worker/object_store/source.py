"""The file behind a put: read once, in order, and held against what was announced of it.

A file that was hashed before, and is in the same state still, isn't hashed again: then the store
has the digests of then to hold the bytes against.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from shared.causes import Cause
from worker.errors import SourceChanged, TransientError
from worker.hashed import Hashed, state_of


class Piece(NamedTuple):
    body: bytes
    digest: bytes
    """SHA-256 of `body`."""


class Source:
    """Gives out the announced bytes and no others: the last piece comes only when all fit."""

    def __init__(
        self, file: BinaryIO, size: int, sha256: str, digests: Iterator[bytes] | None = None
    ) -> None:
        """`digests` are those of the pieces that will be read, where they are known."""
        self._file = file
        self._size = size
        self._left = size
        self._sha256 = sha256
        self._digests = digests
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
        self._left -= len(body)
        if len(body) < wanted:
            raise SourceChanged(f"{self._left} of {self._size} bytes are missing")
        if more:
            raise SourceChanged(f"there are more than {self._size} bytes")
        return Piece(body, next(self._digests) if self._digests else self._hash(body))

    def _hash(self, body: bytes) -> bytes:
        digest = hashlib.sha256(body)
        whole = digest
        if len(body) < self._size:
            self._seen.update(body)
            whole = self._seen
        if not self._left and whole.hexdigest() != self._sha256:
            raise SourceChanged("the SHA-256 is another one")
        return digest.digest()


@asynccontextmanager
async def open_source(
    path: Path, *, size: int, sha256: str, hashed: Hashed | None = None
) -> AsyncIterator[Source]:
    """The file at `path`, announced as `size` bytes with the hex digest `sha256`. `hashed` is what
    was known of it when it was found to be that."""
    try:
        file = await asyncio.to_thread(path.open, "rb")
    except OSError as error:
        raise _unreadable(error) from error
    with file:
        known = hashed is not None and (hashed.state, hashed.sha256) == (state_of(file), sha256)
        yield Source(file, size, sha256, iter(hashed.parts) if hashed and known else None)


def _unreadable(error: OSError) -> TransientError:
    return TransientError(Cause.VOLUME, counted=False, detail=error.strerror or str(error))
