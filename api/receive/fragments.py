"""One piece of a file is never a file: what uploaders that send in pieces say of a request.

Until pieces can be put together such a request is refused, before its body where a header says it.
"""

from collections.abc import Mapping

from api.errors import Problem

_HEADERS = ("content-range", "upload-offset", "upload-length", "tus-resumable")
"""Of a part of a representation (RFC 9110, section 14.5), of tus, of FilePond, of the resumable
uploads of the IETF."""
_COMPLETE = "upload-complete"
_TOTALS = frozenset(
    {
        "dztotalchunkcount",  # Dropzone
        "resumabletotalchunks",  # resumable.js
        "flowtotalchunks",  # flow.js
        "chunks",  # Plupload
        "qqtotalparts",  # Fine Uploader
    }
)
"""How many pieces there are: one is a whole file."""
_PLACES = {
    "dzchunkindex": 0,
    "dzchunkbyteoffset": 0,
    "resumablechunknumber": 1,
    "flowchunknumber": 1,
    "chunk": 0,
    "qqpartindex": 0,
    "qqpartbyteoffset": 0,
}
"""Which piece it is, and the number of the first."""
MAX_VALUE = 40
"""Bytes of a value that is looked at."""


def refuse_by_headers(headers: Mapping[str, str]) -> None:
    """Raise `Problem` fragment-not-supported if they say that the body isn't a whole file."""
    if any(name in headers for name in _HEADERS) or headers.get(_COMPLETE, "?1").strip() != "?1":
        raise fragment()


def says_of_pieces(name: str) -> bool:
    """Whether a field of this name tells of pieces, so that its value is to be looked at."""
    return name.lower() in _TOTALS or name.lower() in _PLACES


def refuse_by_field(name: str, value: str) -> None:
    """Raise the same if a field of the body, or of the query, says so."""
    number = _number(value)
    lower = name.lower()
    if (lower in _TOTALS and number not in (0, 1)) or (
        lower in _PLACES and number != _PLACES[lower]
    ):
        raise fragment()


def fragment() -> Problem:
    return Problem("fragment-not-supported")


def _number(value: str) -> int | None:
    text = value.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < MAX_VALUE else None
