"""Conditional and patient requests: ETag, If-None-Match (RFC 9110), Prefer: wait (RFC 7240)."""

import re

from starlette.requests import Request

MAX_WAIT = 20
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?", re.IGNORECASE)


def wait_seconds(request: Request) -> int:
    """How long the client is ready to wait, at most `MAX_WAIT`; 0 when it didn't say."""
    found = _WAIT.search(request.headers.get("prefer", ""))
    return min(int(found.group(1)), MAX_WAIT) if found else 0


def applied(seconds: int) -> dict[str, str]:
    return {"Preference-Applied": f"wait={seconds}"} if seconds else {}


def matches(request: Request, etag: str) -> bool:
    """Whether If-None-Match names this representation."""
    header = request.headers.get("if-none-match")
    if header is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag in tags


def wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")
