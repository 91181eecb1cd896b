"""PUBLIC_URL: what may stand in it, and how it is kept."""

import re
from typing import Annotated
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from pydantic import AfterValidator

from shared.setting_types import HttpUrl

_TAKEN = frozenset(
    {"v1", "static", "docs", "openapi.json", "healthz", "readyz", "metrics", "internal"}
)
"""What the service's own addresses begin with; `/signup` alone can be told apart."""
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")
_SEGMENT = re.compile(r"[\w.~-]+")


def _public_url(value: str) -> str:
    """Scheme and host in lower case, the path percent-encoded and without a slash at its end."""
    if re.search(r"[\s\x00-\x1f\x7f\\]", value):
        raise ValueError("has a space, a backslash or a control character in it")
    if "?" in value or "#" in value:
        raise ValueError("has a query or a fragment; end it after the path")
    parts = urlsplit(value)
    if "@" in parts.netloc:
        raise ValueError("names a user; everybody is told this address")
    if not _HOST.fullmatch(parts.netloc):
        raise ValueError("has a host that isn't ASCII; write it as browsers send it, xn--…")
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{_path(parts.path)}"


def _path(path: str) -> str:
    if not path.strip("/"):
        return ""
    segments = [_segment(each) for each in path.removesuffix("/").split("/")[1:]]
    if segments[0] in _TAKEN or (segments[0] == "signup" and len(segments) > 1):
        raise ValueError(f"has a path that begins like the service's own, /{segments[0]}")
    return "".join(f"/{quote(each, safe='')}" for each in segments)


def _segment(encoded: str) -> str:
    try:
        segment = unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        segment = ""
    if not segment.strip("."):
        raise ValueError("has an empty segment, `.`, `..` or other bytes than UTF-8 in its path")
    if not _SEGMENT.fullmatch(segment):
        raise ValueError("has more in its path than letters, digits, - . _ and ~")
    return segment


def path_of(public_url: str | None) -> tuple[str, str]:
    """The path as a server decodes it, and as addresses have it; empty where there is none."""
    encoded = urlsplit(public_url or "").path
    return unquote(encoded), encoded


PublicUrl = Annotated[HttpUrl, AfterValidator(_public_url)]
