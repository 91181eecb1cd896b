"""What the headers of tus 1.0.0 say (https://tus.io/protocols/resumable-upload)."""

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

from api.receive.multipart import clean_media_type
from api.receive.names import text_of
from api.texts.errors import Problem

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination,expiration,checksum"
ALGORITHMS = ("sha1", "sha256", "sha512", "md5")
"""Of `Upload-Checksum`."""
CONTENT_TYPE = "application/offset+octet-stream"
_NAMES = ("filename", "name")
_TYPES = ("filetype", "type", "contenttype")
_DIGESTS = ("sha256",)
_DIGEST_BYTES = 32
_NUMBER = re.compile(r"[0-9]{1,18}")
_KEY = re.compile(r"[!-+\--~]+")
"""ASCII without spaces and commas."""


class Checksum(NamedTuple):
    """What the client says of one request's bytes."""

    algorithm: str
    """One of hashlib's."""
    digest: bytes

    def is_of(self, data: bytes) -> bool:
        return hashlib.new(self.algorithm, data, usedforsecurity=False).digest() == self.digest


class Metadata(NamedTuple):
    """What `Upload-Metadata` tells of a file."""

    filename: str
    declared_type: str | None
    sha256: str | None
    """Of the whole, in hex."""


def length_of(headers: Mapping[str, str]) -> int:
    """`Upload-Length`, in bytes. Raises `Problem` bad-request."""
    if "upload-defer-length" in headers:
        raise _bad("The length has to be known when the upload is created: send Upload-Length.")
    if "upload-concat" in headers:
        raise _bad("Uploads aren't concatenated here: send the file as one upload.")
    return _number(headers, "upload-length")


def offset_of(headers: Mapping[str, str]) -> int:
    """`Upload-Offset`, in bytes. Raises `Problem` bad-request."""
    return _number(headers, "upload-offset")


def metadata_of(headers: Mapping[str, str]) -> Metadata:
    """Raises `Problem` bad-request."""
    values = _metadata(headers.get("upload-metadata", ""))
    return Metadata(
        filename=text_of(_first(values, _NAMES)),
        declared_type=clean_media_type(_first(values, _TYPES).decode("latin-1") or None),
        sha256=_digest(_first(values, _DIGESTS)),
    )


def checksum_of(headers: Mapping[str, str]) -> Checksum | None:
    """`Upload-Checksum`. Raises `Problem` bad-request, also for an algorithm that isn't known."""
    sent = headers.get("upload-checksum")
    if sent is None:
        return None
    algorithm, _, digest = sent.strip().partition(" ")
    if algorithm.lower() not in ALGORITHMS:
        raise _bad(f"Upload-Checksum is one of {', '.join(ALGORITHMS)}.")
    if not digest.strip():
        raise _bad("Upload-Checksum has no digest: send the algorithm and, in Base64, the digest.")
    return Checksum(algorithm.lower(), _decoded(digest.strip(), "Upload-Checksum"))


def _metadata(sent: str) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    for pair in sent.split(",") if sent.strip() else []:
        key, _, value = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in values:
            raise _bad("Upload-Metadata can't be read: send keys with values in Base64, by commas.")
        values[key] = _decoded(value.strip(), "Upload-Metadata")
    return values


def _first(values: Mapping[str, bytes], names: tuple[str, ...]) -> bytes:
    lower = {key.lower(): value for key, value in values.items()}
    return next((lower[name] for name in names if lower.get(name)), b"")


def _digest(sent: bytes) -> str | None:
    """In hex or Base64."""
    if not sent:
        return None
    text = sent.decode("latin-1").strip()
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return text.lower()
    digest = _decoded(text, "sha256 in Upload-Metadata")
    if len(digest) != _DIGEST_BYTES:
        raise _bad("sha256 in Upload-Metadata is no SHA-256: send it in hex or Base64.")
    return digest.hex()


def _number(headers: Mapping[str, str], name: str) -> int:
    sent = headers.get(name, "").strip()
    if not _NUMBER.fullmatch(sent):
        raise _bad(f"{name.title()} is no number of bytes.")
    return int(sent)


def _decoded(value: str, name: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except ValueError as error:
        raise _bad(f"{name} can't be read: it isn't Base64.") from error


def _bad(detail: str) -> Problem:
    return Problem("bad-request", detail)
