"""Files out of a body, straight onto the volume: each byte is written once, where it stays."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from api.receive.body import Body
from api.receive.multipart import PartData, PartEnd, PartStart
from api.receive.multipart_head import Head, PieceField, two_files
from api.receive.names import clean_filename
from api.staging.staging import Staging
from api.staging.writer import Staged, Writer
from api.texts.errors import Problem
from api.texts.sizes import size

UNNAMED = "file"


@dataclass(frozen=True, slots=True)
class Earlier:
    """An upload that is used again, and which bytes of it."""

    id: str
    prefix: str | None
    """In the bucket, ending in a slash; None for what it still has on the volume."""
    name: str | None
    size: int
    sha256: str
    declared_type: str | None


@dataclass(frozen=True, slots=True)
class Received:
    """A file that is durable on the volume and belongs to nobody yet."""

    staged: Staged
    filename: str
    declared_type: str | None
    earlier: Earlier | None = None
    """The upload whose bytes these are, if they weren't sent. Those that are in the bucket stay
    there: nothing of them is on the volume."""


class FileReceiver:
    """One file on its way to the volume. Past `max_bytes` nothing more is kept.

    Always `discard` it in the end: that takes back what was not finished, and nothing else.
    """

    def __init__(
        self, staging: Staging, name: str, max_bytes: int, filename: str, declared_type: str | None
    ) -> None:
        self.name = name
        self.size = 0
        self.filename = filename or UNNAMED
        self.declared_type = declared_type
        self._staging = staging
        self._max = max_bytes
        self._writer: Writer | None = None

    @property
    def too_large(self) -> bool:
        """Whether more than `max_bytes` came; then nothing is kept of it."""
        return self.size > self._max

    async def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the file.

        Raises `Problem` storage-full or unavailable, as the volume does.
        """
        self.size += len(data)
        if self.too_large:
            await self.discard()
            return
        if self._writer is None:
            self._writer = self._staging.open(self.name)
        await self._writer.write(data)

    async def finish(self) -> Received:
        """Make it durable; it must have bytes and not be too large."""
        if self._writer is None:
            raise Problem("file-empty")
        staged = await self._writer.finish()
        return Received(staged, self.filename, self.declared_type)

    async def discard(self) -> None:
        """Take back what was not finished; does nothing after `finish`, or a second time."""
        if self._writer:
            writer, self._writer = self._writer, None
            await asyncio.shield(writer.discard())


async def receive_raw(
    staging: Staging,
    body: Body,
    name: str,
    *,
    max_bytes: int,
    filename: str,
    declared_type: str | None,
) -> Received:
    """The whole body is the file."""
    file = FileReceiver(staging, name, max_bytes, clean_filename(filename), declared_type)
    try:
        async for chunk in body:
            await file.write(chunk)
            if file.too_large:
                raise file_too_large(max_bytes)
        return await file.finish()
    finally:
        await file.discard()


async def receive_one_of_multipart(
    staging: Staging, head: Head, name: str, *, max_bytes: int
) -> Received:
    """The first part with a filename, where `head` ends, is the file, whatever its name; text parts
    are ignored, but for those that tell of pieces.

    Raises `Problem` too-many-files (422) for a second file that isn't empty, file-empty,
    file-missing, file-too-large, fragment-not-supported.
    """
    head.refuse_pieces()
    file: FileReceiver | None = None  # the one that is kept
    part: FileReceiver | None = None  # the one that is arriving
    empty: FileReceiver | None = None
    text: PieceField | None = None
    async with AsyncExitStack() as stack:
        async for event in head.rest():
            if isinstance(event, PartStart):
                part, text = None, PieceField.of(event)
                if event.filename is not None:
                    part = FileReceiver(
                        staging, name, max_bytes, event.filename, event.content_type
                    )
                    stack.push_async_callback(part.discard)
            elif isinstance(event, PartData) and part:
                if file and file is not part:
                    raise two_files()
                file = part
                await file.write(event.data)
                if file.too_large:
                    raise file_too_large(max_bytes)
            elif isinstance(event, PartEnd) and part:
                empty = part if not part.size else empty
            elif text:
                text.take(event)
        if file is None:
            raise Problem("file-empty" if empty else "file-missing")
        return await file.finish()


def check_size(announced: int, max_bytes: int) -> None:
    """Raise `Problem` file-empty or file-too-large for what is said of a file before it comes."""
    if announced == 0:
        raise Problem("file-empty")
    if announced > max_bytes:
        raise file_too_large(max_bytes)


def file_too_large(max_bytes: int) -> Problem:
    """The problem of a file of over `max_bytes`."""
    return Problem("file-too-large", params={"max_bytes": max_bytes, "max_size": size(max_bytes)})
