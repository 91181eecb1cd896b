"""Headers in the description, by name: those of answers and those that a request may bring."""

from typing import Any

_INTEGER = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}

_ANSWERED: dict[str, tuple[str, dict[str, Any], Any]] = {
    "Accept-Encoding": ("the content codings that a body may have", _TEXT, "identity"),
    "Cache-Control": ("who may keep the answer", _TEXT, "private, no-cache"),
    "Connection": (
        "`close` where the body was not read to its end",
        {"type": "string", "enum": ["close"]},
        "close",
    ),
    "Content-Disposition": (
        "the file's name (RFC 6266)",
        _TEXT,
        "attachment; filename=\"licence.pdf\"; filename*=UTF-8''licence.pdf",
    ),
    "ETag": ("the version of what was answered; send it back as `If-None-Match`", _TEXT, '"4"'),
    "Location": (
        "where the resource is",
        _TEXT,
        "/v1/uploads/upl_7w3rpmaaqtbyhxg6vts2u5nqjm",
    ),
    "Preference-Applied": ("how long the answer would have waited", _TEXT, "wait=20"),
    "Retry-After": ("seconds until asking again makes sense", _INTEGER, 1),
    "Tus-Version": ("the versions of tus that are spoken", _TEXT, "1.0.0"),
    "Upload-Complete": ("whether all bytes are here (IETF)", _TEXT, "?0"),
    "Upload-Draft-Interop-Version": ("the draft that is spoken (IETF)", _TEXT, "8"),
    "Upload-Expires": (
        "when the upload ends unless more bytes come",
        _TEXT,
        "Sun, 01 Feb 2026 12:00:00 GMT",
    ),
    "Upload-Length": ("bytes of the whole", _INTEGER, 20_971_520),
    "Upload-Limit": (
        "bytes that it may have, and seconds until it ends unless more come (IETF)",
        _TEXT,
        "max-size=20000000, max-age=86400",
    ),
    "Upload-Metadata": ("as it was sent", _TEXT, "filename bGljZW5jZS5wZGY="),
    "Upload-Offset": (
        "bytes that were acknowledged: the next one comes there",
        _INTEGER,
        5_242_880,
    ),
    "X-Accel-Buffering": (
        "`no`: proxies are not to gather the answer",
        {"type": "string", "enum": ["no"]},
        "no",
    ),
    "WWW-Authenticate": ("how to say who asks", _TEXT, 'Bearer realm="longshore"'),
    "X-Request-ID": (
        "names the request in the logs; the client's own, if it sent one",
        _TEXT,
        "req_3hq7ktwkd5m2u6vyp4xzfbnsce",
    ),
}


def header_objects(
    always: tuple[str, ...] = (), sometimes: tuple[str, ...] = ()
) -> dict[str, dict[str, Any]]:
    """The headers of an answer; `X-Request-ID` is on every one."""
    return {
        name: {
            "description": _ANSWERED[name][0],
            "required": name in always or name == "X-Request-ID",
            "schema": _ANSWERED[name][1],
            "example": _ANSWERED[name][2],
        }
        for name in sorted({*always, *sometimes, "X-Request-ID"})
    }


def _sent(name: str, description: str, example: str, *, required: bool = False) -> dict[str, Any]:
    """A header that a request may have. What it looks like is told in words: tools that send
    requests fill an `example` in, and nobody wants a condition or a digest of something else."""
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": f"{description}; such as `{example}`",
        "schema": {"type": "string"},
    }


IF_NONE_MATCH = _sent(
    "If-None-Match", "304 while this is still the version; with `Prefer: wait`, wait for it", '"4"'
)
IF_MATCH = _sent(
    "If-Match", "412 if the person has edited since; only the part before the dot counts", '"1.1"'
)
PREFER = _sent(
    "Prefer", "`wait=N`: answer once there is news, at most 20 s later (RFC 7240)", "wait=20"
)
LAST_EVENT_ID = _sent(
    "Last-Event-ID", "the `id` of the last event that came: only what changed since is told", "4"
)
IDEMPOTENCY_KEY = _sent(
    "Idempotency-Key",
    "the client's own name for this upload: sent again with the same bytes it is the first one",
    "8d1f0c3e",
)
REPR_DIGEST = _sent(
    "Repr-Digest",
    "SHA-256 of the file or of the whole body, which what arrives is held against (RFC 9530)",
    "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
)
CONTENT_DIGEST = _sent(
    "Content-Digest",
    "of this body, sha-256 or sha-512 (RFC 9530), with `Upload-Complete`: all of it counts or none",
    "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
)
CONTENT_DISPOSITION = _sent(
    "Content-Disposition", "the file's name (RFC 6266)", 'attachment; filename="licence.pdf"'
)
ASKS_BY_TUS = _sent("Tus-Resumable", "the version of tus, for its answer", "1.0.0")
TUS_RESUMABLE = _sent("Tus-Resumable", "the version of tus", "1.0.0", required=True)
UPLOAD_LENGTH = _sent("Upload-Length", "bytes of the whole file", "20971520", required=True)
UPLOAD_OFFSET = _sent(
    "Upload-Offset", "where in the file the body begins", "5242880", required=True
)
LENGTH_OF_CHUNKS = _sent("Upload-Length", "bytes of a whole file that comes in chunks", "20971520")
UPLOAD_NAME = _sent("Upload-Name", "the file's name, in UTF-8", "licence.pdf")
UPLOAD_METADATA = _sent(
    "Upload-Metadata",
    "keys with values in Base64, by commas: `filename`, `filetype`, and `sha256` of the whole in "
    "hex or Base64, which is compared at the end",
    "filename bGljZW5jZS5wZGY=,filetype YXBwbGljYXRpb24vcGRm",
)
UPLOAD_COMPLETE = _sent(
    "Upload-Complete",
    "in place of `Tus-Resumable`: the IETF's draft 12 of resumable uploads, an experiment; `?1` "
    "with the last bytes",
    "?0",
)
UPLOAD_CHECKSUM = _sent(
    "Upload-Checksum",
    "of this body, in Base64: sha1, sha256, sha512 or md5; all of it counts or nothing",
    "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
)
