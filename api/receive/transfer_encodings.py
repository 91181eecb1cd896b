"""`Content-Transfer-Encoding` of a part: deprecated (RFC 7578, section 4.7) and sent all the same.

Decoded as the bytes come, in bounded memory; what isn't valid is refused, never guessed.
"""

import binascii
import re
from typing import Protocol

from api.errors import Problem

_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
_BASE64_SPACE = b"\r\n\t "
_HEX = b"0123456789ABCDEFabcdef"
_STRAY = re.compile(rb"=(?![0-9A-Fa-f]{2})")
_ENCODED = re.compile(rb"=([0-9A-Fa-f]{2})")
MAX_UNFINISHED = 1000


class Decoder(Protocol):
    def feed(self, data: bytes) -> bytes:
        """What is decoded so far. Raises `Problem` malformed-multipart."""

    def finish(self) -> bytes:
        """The rest. Raises the same for a part that ends within something."""


def decoder_of(header: str | None) -> Decoder | None:
    """The decoder for a part's header; None where it stands as it is.

    Raises `Problem` unsupported-transfer-encoding.
    """
    encoding = (header or "").strip().strip('"').lower()
    if encoding in _IDENTITY:
        return None
    if encoding == "base64":
        return _Base64()
    if encoding == "quoted-printable":
        return _QuotedPrintable()
    raise Problem("unsupported-transfer-encoding")


class _Base64:
    """RFC 4648, section 4, in lines (RFC 2045, section 6.8)."""

    def __init__(self) -> None:
        self._rest = b""
        self._ended = False

    def feed(self, data: bytes) -> bytes:
        text = self._rest + data.translate(None, _BASE64_SPACE)
        if self._ended and text:
            raise _invalid("base64")
        whole = len(text) - len(text) % 4
        self._rest = text[whole:]
        return self._decoded(text[:whole])

    def finish(self) -> bytes:
        return self._decoded(self._rest + b"=" * (-len(self._rest) % 4))  # padding may be left out

    def _decoded(self, text: bytes) -> bytes:
        self._ended = text.endswith(b"=")
        try:
            return binascii.a2b_base64(text, strict_mode=True) if text else b""
        except binascii.Error as error:
            raise _invalid("base64") from error


class _QuotedPrintable:
    """RFC 2045, section 6.7."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        text = self._rest + data
        whole = _whole(text)
        self._rest = text[whole:]
        if len(self._rest) >= MAX_UNFINISHED:
            raise _invalid("quoted-printable")
        return self._decoded(text[:whole])

    def finish(self) -> bytes:
        rest = self._rest.rstrip(b" \t\r")
        return b"" if rest == b"=" else self._decoded(rest)

    def _decoded(self, text: bytes) -> bytes:
        *lines, last = text.split(b"\n")
        unbroken = b"".join([*map(_line, lines), last])
        if _STRAY.search(unbroken):
            raise _invalid("quoted-printable")
        return _ENCODED.sub(lambda found: bytes.fromhex(found[1].decode()), unbroken)


def _whole(text: bytes) -> int:
    """How much of it can be decoded, whatever follows: not an escape or the spaces at its end,
    which go if they are followed by the end of a line."""
    end = text[-MAX_UNFINISHED:]
    kept = end.rstrip(b" \t\r")
    if kept.endswith(b"="):
        kept = kept[:-1]
    elif kept == end and kept[-2:-1] == b"=" and kept[-1] in _HEX:
        kept = kept[:-2]
    return len(text) - len(end) + len(kept)


def _line(line: bytes) -> bytes:
    """A line without its line feed: with its end, unless that is a soft one."""
    plain = line.removesuffix(b"\r").rstrip(b" \t")
    if plain.endswith(b"="):
        return plain[:-1]
    return plain + (b"\r\n" if line.endswith(b"\r") else b"\n")


def _invalid(encoding: str) -> Problem:
    return Problem("malformed-multipart", f"A part is no valid {encoding}.")
