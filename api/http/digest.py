"""`Repr-Digest` and `Content-Digest` (RFC 9530): the client's own hash of the file that it sends,
and of one request's body."""

import base64
import binascii
import re

from starlette.requests import Request

from api.receive.tus import Checksum
from api.texts.errors import Problem

_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)\s*=\s*:([A-Za-z0-9+/=]*):\s*", re.IGNORECASE)
"""An algorithm and its byte sequence, of a structured field (RFC 9651)."""
_BYTES = 32
_OF_CONTENT = {"sha-512": "sha512", "sha-256": "sha256"}
"""What is compared, with hashlib's names; the first that was sent."""


def sent_digest(request: Request) -> str | None:
    """The SHA-256 the client sent, in hex; None when it sent none, or only others.

    Raises `Problem` bad-request for a header that can't be read, or a SHA-256 that is none: who
    sends one counts on its being compared.
    """
    digest = _digests(request, "Repr-Digest").get("sha-256")
    if digest is not None and len(digest) != _BYTES:
        raise _malformed("Repr-Digest")
    return digest.hex() if digest else None


def sent_checksum(request: Request) -> Checksum | None:
    """Of the body; None without one, or with other algorithms only. Raises as `sent_digest`."""
    digests = _digests(request, "Content-Digest")
    for name, algorithm in _OF_CONTENT.items():
        if name in digests:
            return Checksum(algorithm, digests[name])
    return None


def _digests(request: Request, name: str) -> dict[str, bytes]:
    """By algorithm; of a member that stands twice, the last counts."""
    header = ",".join(request.headers.getlist(name))
    digests: dict[str, bytes] = {}
    for member in header.split(",") if header.strip() else []:
        found = _MEMBER.fullmatch(member)
        if found is None:
            raise _malformed(name)
        try:
            digests[found.group(1).lower()] = base64.b64decode(found.group(2), validate=True)
        except binascii.Error as error:
            raise _malformed(name) from error
    return digests


def _malformed(name: str) -> Problem:
    return Problem("bad-request", f"{name} can't be read: send sha-256=:<base64>:")
