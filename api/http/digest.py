"""`Repr-Digest` (RFC 9530): the client's own hash of what it sends."""

import base64
import binascii
import re

from starlette.requests import Request

from api.texts.errors import Problem

_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)\s*=\s*:([A-Za-z0-9+/=]*):\s*", re.IGNORECASE)
"""An algorithm and its byte sequence, of a structured field (RFC 9651)."""
_BYTES = 32


def sent_digest(request: Request) -> str | None:
    """The SHA-256 the client sent, in hex; None when it sent none, or only others.

    Raises `Problem` bad-request for a header that can't be read, or a SHA-256 that is none: who
    sends one counts on its being compared.
    """
    header = ",".join(request.headers.getlist("repr-digest"))
    if not header.strip():
        return None
    digests: dict[str, bytes] = {}  # of a member that stands twice, the last counts
    for member in header.split(","):
        found = _MEMBER.fullmatch(member)
        if found is None:
            raise _malformed()
        digests[found.group(1).lower()] = _decoded(found.group(2))
    digest = digests.get("sha-256")
    if digest is not None and len(digest) != _BYTES:
        raise _malformed()
    return digest.hex() if digest else None


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise _malformed() from error


def _malformed() -> Problem:
    return Problem("bad-request", "Repr-Digest can't be read: send sha-256=:<base64>:")
