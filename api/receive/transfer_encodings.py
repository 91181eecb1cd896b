"""`Content-Transfer-Encoding` of a part: deprecated (RFC 7578, section 4.7) and sent all the same.

Decoded as the bytes come, in bounded memory; what isn't valid is refused, never guessed. So is what
a part of a form can't be: compressed, or a multipart of its own.
"""

import binascii
import re
from typing import Protocol

from api.receive.charsets import codec
from api.texts.errors import Problem

_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
_BASE64_SPACE = b"\r\n\t "
_STRAY = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)")
_BEGUN = re.compile(rb"=(?:[0-9A-Fa-f]|\r)?\Z")
"""An escape that the next piece may end."""


class Decoder(Protocol):
    """Decodes one part, piece by piece."""

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


def refuse_content_encoding(header: str | None) -> None:
    """Raise `Problem` unsupported-content-encoding for a part that says it is encoded; one whose
    `Content-Encoding` is a charset, as some clients have it, is not."""
    coding = (header or "").strip().strip('"').lower()
    if coding not in _IDENTITY and coding != "identity" and codec(coding) is None:
        raise Problem(
            "unsupported-content-encoding",
            "A part comes with a Content-Encoding; send it as it is.",
            headers={"Accept-Encoding": "identity"},
        )


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
    """RFC 2045, section 6.7. Space at the end of a line stays: nothing on HTTP's way adds any."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        text = self._rest + data
        begun = _BEGUN.search(text, max(0, len(text) - 2))
        whole = begun.start() if begun else len(text)
        self._rest = text[whole:]
        return self._decoded(text[:whole])

    def finish(self) -> bytes:
        return b"" if self._rest in (b"=", b"=\r") else self._decoded(self._rest)

    def _decoded(self, text: bytes) -> bytes:
        if _STRAY.search(text):
            raise _invalid("quoted-printable")
        return binascii.a2b_qp(text)


def _invalid(encoding: str) -> Problem:
    return Problem("malformed-multipart", f"A part is no valid {encoding}.")
