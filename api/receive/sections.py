"""A section of a form as multipart: text and files mixed, files straight onto the volume."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from api.receive.charsets import codec, decoded
from api.receive.files import FileReceiver, Received
from api.receive.fragments import MAX_VALUE, refuse_by_field, says_of_pieces
from api.receive.multipart import Event, PartData, PartStart, is_bytes
from api.staging.staging import Staging
from api.texts.errors import Problem
from shared.ids import new_id

MAX_TEXT_BYTES = 256 * 1024
"""Of one text part: four bytes for each character that a value may have."""
MAX_ALL_TEXT_BYTES = 1024 * 1024
"""Of all text parts together: they are held in memory."""
MAX_FILES = 32
"""File parts with contents in one request: each holds a file open until the body is whole."""


CHARSET = "_charset_"
"""A part of this name says the charset of text parts that name none (RFC 7578, section 4.6)."""
DEFAULT_CHARSET = "utf-8"


@dataclass(frozen=True, slots=True)
class TextPart:
    """A text field of the form, decoded."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A value as it came; `charset` is what it said of itself."""

    name: str
    data: bytes
    charset: str | None = None


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file with contents. `received` is None for one over its field's limit."""

    name: str
    upload_id: str
    filename: str
    declared_type: str | None
    size: int
    received: Received | None


@dataclass(slots=True)
class SectionBody:
    """What a section's request held, in its order."""

    text: list[TextPart] = field(default_factory=list)
    files: list[FilePart] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    """Names of file parts without contents."""
    unreadable: list[str] = field(default_factory=list)
    """Names of texts that aren't in the charset they are said to be in."""

    def read_text(self, came: list[EncodedText]) -> None:
        """Decode values that came, each in its charset, that of `_charset_`, or UTF-8."""
        named = [each.data.decode("latin-1").strip() for each in came if each.name == CHARSET]
        common = named[-1] if named and codec(named[-1]) else DEFAULT_CHARSET
        for each in came:
            if each.name == CHARSET:
                continue
            value = decoded(each.data, each.charset or common)
            if value is None:
                self.unreadable.append(each.name)
            else:
                self.text.append(TextPart(each.name, value))


async def receive_section(
    staging: Staging,
    events: AsyncIterator[Event],
    limit_of: Callable[[str], int],
    max_bytes: int,
) -> SectionBody:
    """Read all parts of a body; files are durable when this returns.

    `limit_of` says how many bytes a file of that name may have, or raises `Problem` unknown-field;
    `max_bytes` is for all files together: one for which no room is left counts as too large.
    Whatever is raised, nothing stays on the volume.
    """
    reader = _Reader(staging, limit_of, max_bytes)
    try:
        async for event in events:
            if isinstance(event, PartStart):
                reader.start(event)
            elif isinstance(event, PartData):
                await reader.data(event.data)
            else:
                reader.end()
        return await reader.finish()  # only now: a body that broke off keeps nothing
    finally:
        await reader.discard()


class _Reader:
    """Gathers text, writes files."""

    def __init__(self, staging: Staging, limit_of: Callable[[str], int], max_bytes: int) -> None:
        self._staging = staging
        self._limit_of = limit_of
        self._max_bytes = max_bytes
        self._section = SectionBody()
        self._files: list[tuple[str, FileReceiver]] = []
        self._part = PartStart("", None, None)
        self._file: FileReceiver | None = None
        self._text = bytearray()
        self._came: list[EncodedText] = []
        self._all_text = 0

    def start(self, part: PartStart) -> None:
        self._part, self._file, self._text = part, None, bytearray()
        if part.filename is None and (part.name == CHARSET or says_of_pieces(part.name)):
            return
        limit = self._limit_of(part.name)
        filename = part.filename
        if filename is None and limit and is_bytes(part.content_type):
            filename = ""  # of a file without a name; of a text it is a text
        if filename is not None:
            kept = sum(file.size for _, file in self._files if not file.too_large)
            limit = min(limit, self._max_bytes - kept)
            self._file = FileReceiver(
                self._staging, new_id("upl"), limit, filename, part.content_type
            )
            self._files.append((part.name, self._file))

    async def data(self, data: memoryview) -> None:
        if self._file:
            if not self._file.size and sum(file.size > 0 for _, file in self._files) >= MAX_FILES:
                raise Problem("bad-request", f"The request has more than {MAX_FILES} files.")
            await self._file.write(data)
            return
        self._all_text += len(data)
        if len(self._text) + len(data) > MAX_TEXT_BYTES or self._all_text > MAX_ALL_TEXT_BYTES:
            raise Problem("bad-request", "The text of the request is too long.")
        self._text += data

    def end(self) -> None:
        if self._file:
            return
        name, data = self._part.name, bytes(self._text)
        if says_of_pieces(name):
            refuse_by_field(name, data[:MAX_VALUE].decode("latin-1"))
            self._limit_of(name)  # of a whole file, and perhaps no field of ours
        self._came.append(EncodedText(name, data, self._part.charset))

    async def finish(self) -> SectionBody:
        section = self._section
        section.read_text(self._came)
        section.empty = [name for name, file in self._files if not file.size]
        try:
            for name, file in self._files:
                if file.size:
                    section.files.append(await _finish(name, file))
        except BaseException:  # a request that is cancelled leaves no file either
            for finished in section.files:
                if finished.received:
                    await self._staging.delete(finished.received.staged.name)
            raise
        return section

    async def discard(self) -> None:
        for _, file in self._files:
            await file.discard()


async def _finish(name: str, file: FileReceiver) -> FilePart:
    return FilePart(
        name=name,
        upload_id=file.name,
        filename=file.filename,
        declared_type=file.declared_type,
        size=file.size,
        received=None if file.too_large else await file.finish(),
    )
