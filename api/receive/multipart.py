"""multipart/form-data (RFC 7578), parsed as it streams by.

The parser calls back synchronously; here its calls become events, so that whoever consumes them
can await a write in between. Data events are views into the received chunk, or into copied slices
of a large one; what comes in a transfer encoding is copied too.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState

from api.receive import header_values
from api.receive.body import Body
from api.receive.fragments import fragment
from api.receive.header_values import HeaderValue
from api.receive.names import filename_in, text_of, unescaped
from api.receive.preamble import Preamble
from api.receive.transfer_encodings import Decoder, decoder_of, refuse_content_encoding
from api.texts.errors import Problem
from shared.formats import NAMES, canonical

MAX_PARTS = 1000
MAX_HEADERS = 8
MAX_HEADER_BYTES = 4096
MAX_ALL_HEADER_BYTES = 128 * 1024
"""Of all parts together."""
MAX_NAME = 200
SLICE = 64 * 1024
"""Bytes that are parsed in one step."""
MANY_EVENTS = 20


@dataclass(frozen=True, slots=True)
class PartStart:
    """The head of a part: its data and its end follow, before the next part starts."""

    name: str
    filename: str | None
    """None for a text part; may be empty: a file input that nothing was selected for."""
    content_type: str | None
    charset: str | None = None
    """Of a text part that names one (RFC 7578, section 4.5)."""


@dataclass(frozen=True, slots=True)
class PartData:
    """Some of a part's bytes."""

    data: memoryview


class PartEnd:
    """The part is whole."""


Event = PartStart | PartData | PartEnd


def boundary_of(content_type: str | None) -> bytes:
    """The boundary of a multipart/form-data request.

    Raises `Problem` unsupported-media-type or malformed-multipart.
    """
    value = header_values.parse((content_type or "").encode("latin-1", "replace"))
    if value.value != "multipart/form-data":
        raise Problem("unsupported-media-type", params={"expected": "multipart/form-data"})
    boundary = value.get("boundary") or b""
    if not 1 <= len(boundary) <= 70:  # noqa: PLR2004 - RFC 2046, section 5.1.1
        raise Problem("malformed-multipart", "The Content-Type has no usable boundary.")
    return boundary


async def read_parts(body: Body, boundary: bytes) -> AsyncIterator[Event]:
    """The parts of a body, as events.

    Raises `Problem` malformed-multipart for a body that is not complete: one without its closing
    boundary is a truncated one, whatever the parser makes of it.
    """
    collector = _Collector()
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": collector.part_begin,
            "on_header_field": collector.header_field,
            "on_header_value": collector.header_value,
            "on_header_end": collector.header_end,
            "on_headers_finished": collector.headers_finished,
            "on_part_data": collector.part_data,
            "on_part_end": collector.part_end,
        },
        max_header_count=MAX_HEADERS,
        max_header_size=MAX_HEADER_BYTES,
    )
    preamble = Preamble(boundary)
    async for chunk in body:
        for start in range(0, len(chunk), SLICE):
            piece = bytes(chunk[start : start + SLICE])
            try:
                parser.write(piece if preamble.over else preamble.rest_of(piece))
            except FormParserError as error:
                raise Problem("malformed-multipart") from error
            events = collector.take()
            for event in events:
                yield event
            if len(events) > MANY_EVENTS:
                await asyncio.sleep(0)  # others have a turn between many small parts
    if parser.state != MultipartState.END:
        raise Problem("malformed-multipart", "The body ends before its closing boundary.")


class _Collector:
    def __init__(self) -> None:
        self._events: list[Event] = []
        self._parts = self._header_bytes = 0
        self._headers: dict[str, bytes] = {}
        self._field = b""
        self._value = b""
        self._decoder: Decoder | None = None

    def take(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise Problem("malformed-multipart", f"The body has more than {MAX_PARTS} parts.")
        self._headers = {}

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        name = self._field.decode("latin-1").lower()
        if name in self._headers:  # parsers disagree on which of two counts
            raise Problem("malformed-multipart", f"A part has two {name!r} headers.")
        if name == "content-range":
            raise fragment()
        self._header_bytes += len(self._field) + len(self._value)
        if self._header_bytes > MAX_ALL_HEADER_BYTES:
            raise Problem("malformed-multipart", "The headers of its parts are too long together.")
        self._headers[name] = self._value
        self._field = self._value = b""

    def headers_finished(self) -> None:
        disposition = header_values.parse(self._headers.get("content-disposition", b""))
        names = [value for name, value in disposition.parameters if name == "name"]
        if disposition.value != "form-data" or not names:
            raise Problem("malformed-multipart", "A part has no name.")
        if len(names) > 1 or [each for each, _ in disposition.parameters].count("filename") > 1:
            raise Problem("malformed-multipart", "A part has two names.")
        name = unescaped(text_of(names[0]))
        if len(name) > MAX_NAME:
            raise Problem("malformed-multipart", "A part's name is too long.")
        content_type = self._header("content-type")
        media_type = header_values.parse(self._headers.get("content-type", b""))
        if media_type.value.startswith("multipart/"):  # RFC 7578, section 4.3: the way of old
            raise Problem(
                "malformed-multipart", "A part has parts of its own; send each by itself."
            )
        charset = media_type.get("charset")
        refuse_content_encoding(self._header("content-encoding"))
        self._decoder = decoder_of(self._header("content-transfer-encoding"))
        self._events.append(
            PartStart(
                name=name,
                filename=_filename(disposition, media_type.value),
                content_type=clean_media_type(content_type),
                charset=None if charset is None else charset.decode("latin-1"),
            )
        )

    def part_data(self, data: bytes, start: int, end: int) -> None:
        view = memoryview(data)[start:end]
        self._add(self._decoder.feed(bytes(view)) if self._decoder else view)

    def part_end(self) -> None:
        if self._decoder:
            self._add(self._decoder.finish())
        self._events.append(PartEnd())

    def _add(self, data: bytes | memoryview) -> None:
        if data:
            self._events.append(PartData(memoryview(data)))

    def _header(self, name: str) -> str | None:
        value = self._headers.get(name)
        return None if value is None else text_of(value)


def _filename(disposition: HeaderValue, media_type: str) -> str | None:
    """None for a text part. A file may come without a name (RFC 7578, section 4.2); then its type
    shows that it is one, and its name is empty."""
    name = filename_in(disposition)
    return "" if name is None and canonical(media_type) in NAMES else name


def is_bytes(content_type: str | None) -> bool:
    """Whether a part says of its contents that they are bytes, and nothing more."""
    return (content_type or "").partition(";")[0].strip().lower() == "application/octet-stream"


def filename_of(disposition: str | None) -> str:
    """The filename of a request's own Content-Disposition (RFC 6266), cleaned; empty without
    one."""
    return filename_in(header_values.parse((disposition or "").encode("latin-1", "replace"))) or ""


def clean_media_type(header: str | None) -> str | None:
    """A declared type, for showing only."""
    shown = "".join(char for char in header or "" if char.isprintable())[:255]
    return shown or None
