"""What the headers of the IETF's resumable uploads say
(draft-ietf-httpbis-resumable-upload-12, whose interop version is 8).

Experimental, as the draft is. What it leaves to a server is done in the careful way: an upload is
begun by a request that is answered 201, no interim answer (104) is sent, and its length has to be
known at its beginning.
"""

from collections.abc import Mapping

from api.texts.errors import Problem

INTEROP_VERSION = "8"
CONTENT_TYPE = "application/partial-upload"
_VERSION_HEADER = "upload-draft-interop-version"
_BOOLEANS = {"?0": False, "?1": True}


def is_spoken(headers: Mapping[str, str]) -> bool:
    """Whether the request is one of these, and none of tus, which has headers of the same names."""
    if "tus-resumable" in headers:
        return False
    return _VERSION_HEADER in headers or "upload-complete" in headers


def completes(headers: Mapping[str, str]) -> bool:
    """`Upload-Complete`: whether the request brings the last byte. Raises `Problem` bad-request."""
    sent = headers.get("upload-complete", "").strip()
    if sent not in _BOOLEANS:
        raise Problem("bad-request", "Upload-Complete is ?0, or ?1 with the last bytes.")
    return _BOOLEANS[sent]


def inconsistent() -> Problem:
    """inconsistent-length: what the client says of how long the file is doesn't fit together."""
    return Problem("inconsistent-length")
