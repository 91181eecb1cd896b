"""multipart/form-data (RFC 7578), parsed as it streams by.

The parser calls back synchronously; here its calls become events, so that whoever consumes them
can await a write in between. Data events are views into the received chunk: nothing is copied.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header

from api.errors import Problem
from api.receive.body import Body

MAX_PARTS = 1000
MAX_HEADERS = 8
MAX_HEADER_BYTES = 4096
MAX_NAME = 200
MAX_FILENAME = 255
"""Bytes; a longer file name keeps its end, where the extension is."""


@dataclass(frozen=True, slots=True)
class PartStart:
    name: str
    filename: str | None
    """None for a text part; may be empty: a file input that nothing was selected for."""
    content_type: str | None


@dataclass(frozen=True, slots=True)
class PartData:
    data: memoryview


class PartEnd:
    pass


Event = PartStart | PartData | PartEnd


def boundary_of(content_type: str | None) -> bytes:
    """The boundary of a multipart/form-data request.

    Raises `Problem` unsupported-media-type or malformed-multipart.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise Problem("unsupported-media-type", params={"expected": "multipart/form-data"})
    boundary = options.get(b"boundary", b"")
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
    async for chunk in body:
        try:
            parser.write(chunk)
        except FormParserError as error:
            raise Problem("malformed-multipart") from error
        for event in collector.take():
            yield event
    if parser.state != MultipartState.END:
        raise Problem("malformed-multipart", "The body ends before its closing boundary.")


class _Collector:
    def __init__(self) -> None:
        self._events: list[Event] = []
        self._parts = 0
        self._headers: dict[str, str] = {}
        self._field = b""
        self._value = b""

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
        self._headers[name] = self._value.decode("utf-8", "replace")
        self._field = self._value = b""

    def headers_finished(self) -> None:
        kind, options = _options(self._headers.get("content-disposition", ""))
        name = options.get("name")
        if kind != "form-data" or name is None:
            raise Problem("malformed-multipart", "A part has no name.")
        if len(name) > MAX_NAME:
            raise Problem("malformed-multipart", "A part's name is too long.")
        filename = options.get("filename")
        self._events.append(
            PartStart(
                name=name,
                filename=None if filename is None else clean_filename(filename),
                content_type=clean_media_type(self._headers.get("content-type")),
            )
        )

    def part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(PartData(memoryview(data)[start:end]))

    def part_end(self) -> None:
        self._events.append(PartEnd())


def filename_of(disposition: str | None) -> str:
    """The filename of a request's own Content-Disposition (RFC 6266); empty without one.

    `filename*` counts before `filename`, which may hold UTF-8 as it is.
    """
    message = Message()
    sent = (disposition or "").encode("latin-1", "replace")
    message["Content-Disposition"] = sent.decode("utf-8", "replace")
    try:
        parameters: list[tuple[str, Any]] = message.get_params([], header="content-disposition")
        names = [value for name, value in parameters if name.lower() == "filename"]
        extended = [value for value in names if isinstance(value, tuple)]  # of filename*, as parsed
        return collapse_rfc2231_value((extended or names or [""])[0])
    except (TypeError, ValueError):  # what the parser makes of continuations and charsets
        return ""


def _options(header: str) -> tuple[str, dict[str, str]]:
    kind, options = parse_options_header(header.encode("utf-8").decode("latin-1"))
    return kind.decode("latin-1"), {
        name.decode("latin-1"): _unescape(value.decode("utf-8", "replace"))
        for name, value in options.items()
    }


def _unescape(value: str) -> str:
    """Undo what browsers escape in names (HTML, "multipart form data"): quotes and line ends."""
    return value.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def clean_media_type(header: str | None) -> str | None:
    """A declared type, for showing only."""
    shown = "".join(char for char in header or "" if char.isprintable())[:255]
    return shown or None


def clean_filename(name: str) -> str:
    """A file name that is safe to show and to send in a header; it never names a path.

    Keeps the last path segment; control characters and those that turn the writing direction are
    dropped, and what is too long loses its beginning.
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(char for char in last if char.isprintable()).strip()
    encoded = shown.encode("utf-8", "ignore")[-MAX_FILENAME:]
    return encoded.decode("utf-8", "ignore")
