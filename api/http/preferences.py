"""Conditional and patient requests: ETag, If-None-Match (RFC 9110), Prefer: wait (RFC 7240)."""

import re

from starlette.requests import Request

MAX_WAIT = 20
HTML = ("text/html", "application/xhtml+xml")
JSON = ("application/json", "application/problem+json")
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?", re.IGNORECASE)


def wait_seconds(request: Request) -> int:
    """How long the client is ready to wait, at most `MAX_WAIT`; 0 when it didn't say, or when it
    has `*`: nothing that could come would differ from that."""
    found = _WAIT.search(request.headers.get("prefer", ""))
    if found is None or "*" in _tags(request):
        return 0
    return min(int(found.group(1)), MAX_WAIT)


def applied(seconds: int) -> dict[str, str]:
    """Headers that say how long was waited at most (RFC 7240); none where nobody waited."""
    return {"Preference-Applied": f"wait={seconds}"} if seconds else {}


def matches(request: Request, etag: str) -> bool:
    """Whether If-None-Match names this representation."""
    return not {"*", etag}.isdisjoint(_tags(request))


def _tags(request: Request) -> list[str]:
    """What the client has, by If-None-Match."""
    header = request.headers.get("if-none-match", "")
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]


def wants_json(request: Request) -> bool:
    """Whether Accept names JSON, as our script does and a browser's navigation doesn't."""
    return "application/json" in request.headers.get("accept", "")


def prefers_html(request: Request) -> bool:
    """Whether Accept names HTML before any JSON, as a browser's navigation does and a script's
    `*/*` does not."""
    named = []
    for position, entry in enumerate(request.headers.get("accept", "").lower().split(",")):
        name, *params = (part.strip() for part in entry.split(";"))
        if name in HTML + JSON:
            named.append((-_weight(params), position, name))
    return bool(named) and min(named)[0] < 0 and min(named)[2] in HTML


def accepts(request: Request, wanted: str) -> bool:
    """Whether Accept lets the answer be of this media type (RFC 9110, section 12.5.1)."""
    header = request.headers.get("accept", "").lower()
    ranges = ["*/*", f"{wanted.split('/', maxsplit=1)[0]}/*", wanted]
    found = []
    for entry in header.split(","):
        name, *params = (part.strip() for part in entry.split(";"))
        if name in ranges:
            found.append((ranges.index(name), _weight(params)))
    return not header.strip() or (bool(found) and max(found)[1] > 0)


def _weight(params: list[str]) -> float:
    given = [param.removeprefix("q=") for param in params if param.startswith("q=")]
    try:
        return float(given[0]) if given else 1.0
    except ValueError:
        return 0.0
