"""What a file is, by its bytes alone: neither its name nor its declared type is asked."""

import os
import struct
from pathlib import Path

from shared.file_types import JPEG, PDF, PNG, WEBP

PDF_MARKER = b"%PDF-"
PDF_MARKER_WITHIN = 1024
"""Bytes: readers of PDF accept this much before the marker, and printers' software uses it."""

_SIGNATURES = (
    (0, b"\xff\xd8\xff", JPEG.media_type),
    (0, b"\x89PNG\r\n\x1a\n", PNG.media_type),
    (8, b"WEBP", WEBP.media_type),
    (8, b"AVI ", "video/x-msvideo"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heif"),
    (4, b"ftypavif", "image/avif"),
    (0, b"GIF8", "image/gif"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, PDF_MARKER, PDF.media_type),
)
"""The types we decode and those people send in their place. Ours to keep, because the answer
picks a decoder: puremagic ranks by length of match and takes any ZIP for a Word document."""

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
        found = _by_signature(head)
        if found is None and (marker := head[:PDF_MARKER_WITHIN].find(PDF_MARKER)) > 0:
            found = _by_name(head[:marker]) or PDF.media_type
        if found == PDF.media_type and _is_also_zip(_tail(file.fileno())):
            return "application/zip"
    return found or _by_name(head)


def _by_signature(head: bytes) -> str | None:
    for offset, signature, media_type in _SIGNATURES:
        if head.startswith(signature, offset):
            return media_type
    return None


def _by_name(head: bytes) -> str | None:
    """A name for what we don't decode: it only tells the person what was sent."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<"):
        if b"<svg" in text:
            return "image/svg+xml"
        return "application/xml" if text.startswith(b"<?xml") else "text/html"
    import puremagic  # noqa: PLC0415 - reads a large table first, which good files don't need

    matches = puremagic.magic_string(head) if head else []
    best = max((match.confidence for match in matches), default=0)
    names = {match.mime_type for match in matches if match.confidence == best}
    return names.pop() if best >= _SURE_ENOUGH and len(names) == 1 else None


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
