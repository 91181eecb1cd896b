"""`Repr-Digest` (RFC 9530): the client's own hash of what it sends."""

import base64
import binascii
import re

from starlette.requests import Request

from api.errors import Problem

_BINARY = re.compile(r":([A-Za-z0-9+/=]*):")
"""A byte sequence of a structured field (RFC 9651)."""
_BYTES = 32


def sent_digest(request: Request) -> str | None:
    """The SHA-256 the client sent, in hex; None when it sent none that we know.

    Raises `Problem` bad-request for one that is no SHA-256.
    """
    header = ",".join(request.headers.getlist("repr-digest"))
    members = [member.strip().partition("=") for member in header.split(",")]
    sent = [value.strip() for name, _, value in members if name.strip().lower() == "sha-256"]
    if not sent:
        return None
    try:
        found = _BINARY.fullmatch(sent[-1])  # of a member that stands twice, the last counts
        digest = base64.b64decode(found.group(1), validate=True) if found else b""
    except binascii.Error:
        digest = b""
    if len(digest) != _BYTES:
        raise Problem("bad-request", "Repr-Digest holds no SHA-256: send sha-256=:<base64>:")
    return digest.hex()
