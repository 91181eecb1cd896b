"""The client's own key for an upload, out of a header or the path: keys are the same if their bytes
are."""

import re
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from api.texts.errors import Problem

MAX_KEY = 200
_HEADER = b"idempotency-key"
_KEY_OF_PATH = re.compile(rb"/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+/(.*)", re.DOTALL)
"""What stands behind `/v1/forms/{form_id}/fields/{field}/uploads/`, however that is encoded."""


def key_of_header(request: Request) -> str | None:
    """`Idempotency-Key`; None without one. Raises `Problem` bad-request."""
    sent = [value for name, value in request.scope["headers"] if name == _HEADER]
    if len(sent) > 1:
        raise Problem("bad-request", "There are two Idempotency-Key headers.")
    return _key(sent[0]) if sent else None


def key_of_path(request: Request) -> str:
    """The last segment of the address, and whatever slashes are in it.

    The server's own decoding makes one character of all bytes that aren't UTF-8; so the address is
    read as it came. Raises `Problem` bad-request.
    """
    found = _KEY_OF_PATH.fullmatch(request.scope["raw_path"].partition(b"?")[0])
    return _key(unquote_to_bytes(found[1]) if found else b"")


def _key(sent: bytes) -> str:
    try:
        key = sent.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem("bad-request", "A key isn't UTF-8.") from error
    if not (0 < len(key) <= MAX_KEY and key.isprintable()):
        raise Problem("bad-request", f"A key has 1 to {MAX_KEY} printable characters.")
    return key
