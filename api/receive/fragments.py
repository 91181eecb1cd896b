"""One piece of a file is never a file: what uploaders that send in pieces say of a request.

Where pieces can't be put together such a request is refused, before its body where a header says
it. Uploaders have no common words for it, but all of them say which piece it is, and of how many.
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from api.texts.errors import Problem

_RANGES = ("content-range", "x-content-range")
"""Of a part of a representation (RFC 9110, section 14.5)."""
_HEADERS = (*_RANGES, "upload-offset", "upload-length", "tus-resumable")
"""Besides of tus, of FilePond, of the resumable uploads of the IETF."""
_BOOLEANS = {"upload-complete": "?1", "upload-incomplete": "?0"}
"""Of drafts of the latter: what a whole file says."""
_FIRST = {
    "dzchunkindex": 0,  # Dropzone
    "dzchunkbyteoffset": 0,
    "resumablechunknumber": 1,  # resumable.js
    "flowchunknumber": 1,  # flow.js
    "chunknumber": 1,  # simple-uploader.js
    "chunk": 0,  # Plupload
    "qqpartindex": 0,  # Fine Uploader
    "qqpartbyteoffset": 0,
}
"""Fields that say which piece it is, with the first one's number."""
_TOTALS = {"chunks", "qqtotalparts"}
_NOT_A_LETTER = re.compile(r"[^a-z]")
MAX_VALUE = 2000
"""Bytes of a value that is looked at."""


def refuse_by_headers(headers: Mapping[str, str], *, but: Collection[str] = ()) -> None:
    """Raise `Problem` fragment-not-supported if they say that the body isn't a whole file, by other
    headers than these."""
    for name in _HEADERS:
        if name in headers and name not in but and not _is_said_of_whole(name, headers):
            raise fragment()
    if any(headers.get(name, whole).strip() != whole for name, whole in _BOOLEANS.items()):
        raise fragment()
    for name, value in headers.items():
        if "chunk" in name:
            refuse_by_field(name, value)


def refuse_range(headers: Mapping[str, str]) -> None:
    """Raise the same for a range, where the other headers are how pieces are sent: the place of one
    is said once."""
    if any(name in headers for name in _RANGES):
        raise fragment()


def says_of_pieces(name: str) -> bool:
    """Whether a field of this name may tell of pieces, so that its value is to be looked at."""
    letters = _letters(name)
    return letters == "metadata" or _is_total(letters) or _is_place(letters) or _is_record(letters)


def refuse_by_field(name: str, value: str) -> None:
    """Raise the same if a field of the body, or of the query, says so."""
    letters, number = _letters(name), _number(value)
    if _is_total(letters) and number not in (0, 1):
        raise fragment()
    if _is_place(letters) and number != _FIRST.get(letters, number if number in (0, 1) else None):
        raise fragment()
    if letters == "metadata" or _is_record(letters):
        for key, each in _members(value).items():
            inner = key if "chunk" in _letters(key) else f"chunk{key}" * _is_record(letters)
            if inner and says_of_pieces(inner):
                refuse_by_field(inner, str(each))


def fragment() -> Problem:
    """The problem of a piece of a file: whole ones are taken."""
    return Problem("fragment-not-supported")


def _is_said_of_whole(name: str, headers: Mapping[str, str]) -> bool:
    """Whether the length is the body's own, in an offer to make an upload of a whole file one that
    can be resumed: who doesn't want to takes it as any other."""
    if name != "upload-length" or headers.get("upload-complete", "").strip() != "?1":
        return False
    return headers[name].strip() == headers.get("content-length")


def _letters(name: str) -> str:
    return _NOT_A_LETTER.sub("", name.lower())


def _is_total(letters: str) -> bool:
    return letters in _TOTALS or (
        "chunk" in letters and "size" not in letters and ("total" in letters or "count" in letters)
    )


def _is_place(letters: str) -> bool:
    return letters in _FIRST or (
        "chunk" in letters and letters.endswith(("index", "number", "offset"))
    )


def _is_record(letters: str) -> bool:
    """A JSON object about the piece, as DevExtreme sends it."""
    return letters == "chunkmetadata"


def _members(value: str) -> dict[str, Any]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: str) -> int | None:
    text = value.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None  # noqa: PLR2004 - digits of any count
