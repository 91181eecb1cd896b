"""What a file is, by its bytes alone: neither its name nor its declared type is asked."""

import os
import re
import struct
from pathlib import Path

from shared.formats import ALL, DOC, FORMATS, PDF, RTF, Signature
from worker.formats import containers, isobmff

((_, PDF_MARKER),) = PDF.signatures[0]
_OTHERS: tuple[tuple[Signature, str], ...] = (
    (((0, b"PK\x03\x04"),), containers.ZIP),
    (DOC.signatures[0], containers.COMPOUND),
    (((0, b"GIF8"),), "image/gif"),
)
"""How types that people send in place of those we take begin, beyond `shared.formats`. All of these
are ours to keep, because the answer picks a decoder: puremagic ranks by length of match and takes
any ZIP for a Word document."""

_SURE_ENOUGH = 0.4
"""puremagic's confidence for a match of four bytes."""
_ZIP_END = b"PK\x05\x06"
_ZIP_END_BYTES = 22
_ZIP_END_WITHIN = 65_535 + _ZIP_END_BYTES


def detect(path: Path) -> str | None:
    """The media type of the file at `path`, or None for what nobody knows.

    A file that is a PDF and also something else is that something else: a PDF is stored as it
    came, and another program might open it as the other thing.
    """
    with path.open("rb") as file:
        head = file.read(4096)
        found = isobmff.media_type(head) or _in_container(path, _by_signature(head))
        if found is None and (marker := head[: PDF.starts_within].find(PDF_MARKER)) > 0:
            found = _by_name(head[:marker]) or _program(head) or PDF.media_type
        if found is None and _lost_its_marker(head, file.fileno()):
            found = PDF.media_type
        if found == PDF.media_type and _is_also_zip(_tail(file.fileno())):
            return containers.ZIP
    return found or _by_name(head)


def _by_signature(head: bytes) -> str | None:
    known = (
        (signature, each.media_type)
        for each in ALL
        if each.kind != "document"  # they begin as other things do: see below
        for signature in each.signatures
    )
    for signature, media_type in (*known, *_OTHERS):
        if all(head.startswith(piece, offset) for offset, piece in signature):
            return media_type
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return RTF.media_type if text.startswith(RTF.signatures[0][0][1]) else None


def _in_container(path: Path, found: str | None) -> str | None:
    """What `found` holds, if it is a container. One with a PDF at its start is only a container:
    another program might open the PDF."""
    looks = {
        containers.ZIP: containers.in_archive,
        containers.COMPOUND: containers.in_compound_file,
    }
    if found not in looks:
        return found
    with path.open("rb") as file:
        hides_pdf = PDF_MARKER in file.read(PDF.starts_within)
    return found if hides_pdf else looks[found](path)


_FIRST_OBJECT = re.compile(rb"\s*(?:%[^\r\n]*[\r\n]\s*)*\d+ \d+ obj\b")
_START_OF_TABLE = b"startxref"


def _lost_its_marker(head: bytes, descriptor: int) -> bool:
    """Whether it is a PDF but for its first line, which a program that copied it left out."""
    return _START_OF_TABLE in _tail(descriptor) and bool(_FIRST_OBJECT.match(head))


_PROGRAMS = {b"MZ": "application/vnd.microsoft.portable-executable", b"#!": "text/x-shellscript"}
"""By two bytes, which say enough only where there is reason to ask."""


def _program(head: bytes) -> str | None:
    """What a file with a PDF further in would be run as."""
    return _PROGRAMS.get(head[:2])


def _by_name(head: bytes) -> str | None:
    """A name for what we don't decode: it only tells the person what was sent."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<"):
        if b"<svg" in text:
            return "image/svg+xml"
        return "application/xml" if text.startswith(b"<?xml") else "text/html"
    import puremagic  # noqa: PLC0415 - reads a large table first, which good files don't need

    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):  # unknown, or empty
        return None
    best = max(match.confidence for match in matches)
    names = {match.mime_type for match in matches if match.confidence == best}
    if best < _SURE_ENOUGH or len(names) > 1:
        return None
    named = names.pop()
    return None if named in FORMATS else named or None  # ours has other ways to be known


def _tail(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, _ZIP_END_WITHIN, max(0, size - _ZIP_END_WITHIN))


def _is_also_zip(tail: bytes) -> bool:
    """Whether an archive ends where the file ends, or after the document does.

    An archive attached inside the document has the document's end behind it.
    """
    start = tail.rfind(_ZIP_END)
    if start < 0 or len(tail) < start + _ZIP_END_BYTES:
        return False
    (comment_bytes,) = struct.unpack_from("<H", tail, start + _ZIP_END_BYTES - 2)
    ends_the_file = start + _ZIP_END_BYTES + comment_bytes == len(tail)
    return ends_the_file or b"%%EOF" not in tail[start:]
