"""The path of PUBLIC_URL: taken off what comes in, put on the addresses that go out.

Inside, every address is as without it. That a proxy took the path off already, or didn't, is told
by the address itself, so that both kinds of proxy work, and health checks that know of no path.
"""

import re
from collections.abc import Sequence
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_KEY = "longshore.public_path"


def public_path(request: HTTPConnection) -> str:
    """What stands before every address of ours for clients: `/apply`, or nothing."""
    return str(request.scope.get(_KEY, ""))


class BelowPath:
    """Serves an app below a path such as `/apply`, decoded and without a slash at its end.

    Not by ASGI's `root_path`: the app would see a path that has it in front, and Starlette takes
    it off paths that only happen to begin with it (`/signup/about` below `/signup`).
    """

    def __init__(self, app: ASGIApp, path: str, public: str, routes: Sequence[BaseRoute]) -> None:
        """`path` is decoded, `public` the same as addresses have it (percent-encoded)."""
        self._app = app
        self._path = path
        self._public = public
        self._routes = routes
        self._raw = re.compile(b"".join(_as_sent(byte) for byte in path.encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_public(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._publish(MutableHeaders(scope=message))
            await send(message)

        await self._app({**self._inner(scope), _KEY: self._public}, receive, send_public)

    def _inner(self, scope: Scope) -> Scope:
        """Without the path, where it is there and what is left is an address of ours: behind a
        proxy that takes it off, an address may begin with the same segment by itself."""
        path: str = scope["path"]
        if path != self._path and not path.startswith(f"{self._path}/"):
            return scope
        inner: dict[str, Any] = {**scope, "path": path[len(self._path) :] or "/"}
        if raw := scope.get("raw_path"):
            sent = self._raw.match(raw)
            inner["raw_path"] = (raw[sent.end() :] or b"/") if sent else raw
        known = any(route.matches(inner)[0] is not Match.NONE for route in self._routes)
        return inner if known else scope

    def _publish(self, headers: MutableHeaders) -> None:
        location = headers.get("location", "")
        if location.startswith("/") and not location.startswith("//"):
            headers["location"] = self._public + location


def _as_sent(byte: int) -> bytes:
    """A pattern for a byte of a path, which a client may have percent-encoded (RFC 3986, 2.1)."""
    return b"(?:" + re.escape(bytes([byte])) + b"|%%(?i:%02x))" % byte
