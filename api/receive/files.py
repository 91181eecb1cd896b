"""Files out of a body, straight onto the volume: each byte is written once, where it stays."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from api.receive import fragments
from api.receive.body import Body
from api.receive.multipart import PartData, PartEnd, PartStart, read_parts
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
    """The first part with a filename is the file, whatever its name; text parts are ignored, but
    for those that tell of pieces.

    Raises `Problem` too-many-files (422) for a second file that isn't empty, file-empty,
    file-missing, file-too-large, fragment-not-supported.
    """
    file: Intake | None = None  # the one that is kept
    part: Intake | None = None  # the one that is arriving
    empty: Intake | None = None
    text: _PieceField | None = None
    async with AsyncExitStack() as stack:
        async for event in read_parts(body, boundary):
            if isinstance(event, PartStart):
                part, text = None, _PieceField.of(event)
                if event.filename is not None:
                    part = Intake(staging, name, max_bytes, event.filename, event.content_type)
                    stack.push_async_callback(part.discard)
            elif isinstance(event, PartData) and part:
                if file and file is not part:
                    raise Problem(
                        "too-many-files",
                        "This request has two files. Send one file a request.",
                        params={"max_files": 1},
                        status=422,
                    )
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


class _PieceField:
    """A text part that tells of pieces of a file."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._value = b""

    @classmethod
    def of(cls, part: PartStart) -> "_PieceField | None":
        tells = part.filename is None and fragments.says_of_pieces(part.name)
        return cls(part.name) if tells else None

    def take(self, event: PartData | PartEnd) -> None:
        """Raises `Problem` fragment-not-supported at its end."""
        if isinstance(event, PartData):
            self._value = (self._value + event.data)[: fragments.MAX_VALUE]
        else:
            fragments.refuse_by_field(self._name, self._value.decode("latin-1"))


def file_too_large(max_bytes: int) -> Problem:
    """The problem of a file of over `max_bytes`."""
    return Problem("file-too-large", params={"max_bytes": max_bytes, "max_size": size(max_bytes)})
