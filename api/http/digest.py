"""`Repr-Digest` (RFC 9530): the client's own hash of what it sends."""

import base64
import binascii
import re

from starlette.requests import Request

from api.errors import Problem

_SHA256 = re.compile(r"(?:^|[,\s])sha-256\s*=\s*:([A-Za-z0-9+/=]*):")
_BYTES = 32


def sent_digest(request: Request) -> str | None:
    """The SHA-256 the client sent, in hex; None when it sent none that we know.

    Raises `Problem` bad-request for one that is no SHA-256.
    """
    header = request.headers.get("repr-digest")
    found = _SHA256.search(header) if header else None
    if found is None:
        return None
    try:
        digest = base64.b64decode(found.group(1), validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != _BYTES:
        raise Problem("bad-request", "Repr-Digest holds no SHA-256: send sha-256=:<base64>:")
    return digest.hex()
