"""Requests under the watchdog of the loop."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.telemetry.watchdog import Watchdog


class WatchLoop:
    """Outermost: what holds the loop is known by its route, never by its path, which has ids and
    keys."""

    def __init__(self, app: ASGIApp, watchdog: Watchdog, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._watchdog = watchdog
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._watchdog.watch(self._serve(scope, receive, send), lambda: self._route(scope))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def _route(self, scope: Scope) -> str:
        as_get = {**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope
        for route in self._routes:
            if isinstance(route, Route) and route.matches(as_get)[0] is Match.FULL:
                return f"{scope['method']} {route.path}"
        return "none"
