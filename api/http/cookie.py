"""The cookies that count here. The libraries' reading of the header takes quadratic time, and
the framework reads it for every request, wanted or not."""

from collections.abc import Collection, Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_VALUE = 200
"""Characters; ours have fewer, and a longer one counts as empty."""


def value_of(headers: Iterable[str], wanted: str) -> str | None:
    """The cookie of that name, which needs no unquoting; of several the last."""
    found = None
    for header in headers:
        for pair in header.split(";"):
            name, equals, value = pair.partition("=")
            if equals and name.strip() == wanted:
                found = value.strip()
    return found


class OnlyCookies:
    """Lets nothing of the Cookie headers through but the cookies of these names."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = Headers(scope=scope).getlist("cookie") if scope["type"] == "http" else []
        if sent:
            others = [each for each in scope["headers"] if each[0] != b"cookie"]
            values = {name: value_of(sent, name) for name in self._names}
            ours = [
                f"{name}={value if len(value) <= MAX_VALUE else ''}"
                for name, value in values.items()
                if value is not None
            ]
            if ours:
                others.append((b"cookie", "; ".join(ours).encode("latin-1")))
            scope = {**scope, "headers": others}
        await self._app(scope, receive, send)
