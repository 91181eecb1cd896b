"""Files out of a body, straight onto the volume: each byte is written once, where it stays."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from api.errors import Problem
from api.receive.body import Body
from api.receive.multipart import PartData, PartEnd, PartStart, clean_filename, read_parts
from api.staging import Staged, Staging, Writer

UNNAMED = "file"


@dataclass(frozen=True, slots=True)
class Received:
    """A file that is durable on the volume and belongs to nobody yet."""

    staged: Staged
    filename: str
    declared_type: str | None


class Intake:
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
        return self.size > self._max

    async def write(self, data: bytes | memoryview) -> None:
        self.size += len(data)
        if self.too_large:
            await self.discard()
            return
        if self._writer is None:
            self._writer = await self._staging.open(self.name)
        await self._writer.write(data)

    async def finish(self) -> Received:
        """Make it durable; it must have bytes and not be too large."""
        if self._writer is None:
            raise Problem("file-empty")
        staged = await self._writer.finish()
        return Received(staged, self.filename, self.declared_type)

    async def discard(self) -> None:
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
    file = Intake(staging, name, max_bytes, clean_filename(filename), declared_type)
    try:
        async for chunk in body:
            await file.write(chunk)
            if file.too_large:
                raise file_too_large(max_bytes)
        return await file.finish()
    finally:
        await file.discard()


async def receive_one_of_multipart(
    staging: Staging, body: Body, boundary: bytes, name: str, *, max_bytes: int
) -> Received:
    """The first part with a filename is the file, whatever its name; text parts are ignored.

    Raises `Problem` too-many-files (422) for a second file that isn't empty, file-empty,
    file-missing, file-too-large.
    """
    file: Intake | None = None  # the one that is kept
    part: Intake | None = None  # the one that is arriving
    empty: Intake | None = None
    async with AsyncExitStack() as stack:
        async for event in read_parts(body, boundary):
            if isinstance(event, PartStart):
                part = None
                if event.filename is not None:
                    part = Intake(staging, name, max_bytes, event.filename, event.content_type)
                    stack.push_async_callback(part.discard)
            elif isinstance(event, PartData) and part:
                if file and file is not part:
                    raise Problem(
                        "too-many-files",
                        "You can only select one file",
                        params={"max_files": 1},
                        status=422,
                    )
                file = part
                await file.write(event.data)
                if file.too_large:
                    raise file_too_large(max_bytes)
            elif isinstance(event, PartEnd) and part:
                empty = part if not part.size else empty
        if file is None:
            raise Problem("file-empty" if empty else "file-missing")
        return await file.finish()


def file_too_large(max_bytes: int) -> Problem:
    return Problem("file-too-large", params={"max_bytes": max_bytes, "max_size": size(max_bytes)})


def size(count: int) -> str:
    """A size as people read it: '15MB'. Decimal units, as file managers show them."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f}".removesuffix(".0") + unit
    return f"{count} bytes"
