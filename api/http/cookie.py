"""The one cookie that counts here. The libraries' reading of the header takes quadratic time, and
the framework reads it for every request, wanted or not."""

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_VALUE = 200
"""Characters; ours has fewer, and a longer one counts as empty."""


def value_of(headers: Iterable[str], wanted: str) -> str | None:
    """The cookie of that name, which needs no unquoting; of several the last."""
    found = None
    for header in headers:
        for pair in header.split(";"):
            name, equals, value = pair.partition("=")
            if equals and name.strip() == wanted:
                found = value.strip()
    return found


class OneCookie:
    """Lets nothing of the Cookie headers through but the cookie of that name."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = Headers(scope=scope).getlist("cookie") if scope["type"] == "http" else []
        if sent:
            value = value_of(sent, self._name)
            others = [each for each in scope["headers"] if each[0] != b"cookie"]
            if value is not None:
                kept = value if len(value) <= MAX_VALUE else ""
                others.append((b"cookie", f"{self._name}={kept}".encode("latin-1")))
            scope = {**scope, "headers": others}
        await self._app(scope, receive, send)
