"""How much one client may have at a time, and all together: connections, and requests."""

import time
from collections import Counter
from collections.abc import Callable

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http import problems
from api.http.client_address import address_of, client_address
from api.settings.trusted_proxies import TrustedProxies
from api.texts.errors import Problem

log = structlog.get_logger()

RETRY_SECONDS = 5
TELL_SECONDS = 60.0
"""Between two lines in the log about clients that want more than their share."""


class Connections:
    """0 is no limit. A trusted proxy has no share: its clients have one each of the requests, see
    `ShareRequests`."""

    def __init__(
        self, in_all: int = 0, per_client: int = 0, proxies: TrustedProxies | None = None
    ) -> None:
        self._in_all = in_all
        self._per_client = per_client
        self._proxies = proxies or TrustedProxies()
        self._open: Counter[str] = Counter()
        self._told = -TELL_SECONDS

    def admit(self, peer: str) -> bool:
        """Count one more, unless it is one too many."""
        client = self._client(peer)
        if self._in_all and self._open.total() >= self._in_all:
            return False
        if self._has_its_share(client) and not self._proxies.trusts(peer):
            self._tell(client)
            return False
        self._open[client] += 1
        return True

    def gone(self, peer: str) -> None:
        """One that was admitted is closed."""
        client = self._client(peer)
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]

    def _has_its_share(self, client: str) -> bool:
        return bool(self._per_client) and self._open[client] >= self._per_client

    def _tell(self, client: str) -> None:
        """It may be a proxy that nobody named; an operator has to know."""
        now = time.monotonic()
        if now - self._told > TELL_SECONDS:
            self._told = now
            log.warning("client_has_its_share", client=client, connections=self._open[client])

    def _client(self, peer: str) -> str:
        return client_address(peer, (), self._proxies)


class ShareRequests:
    """Bounds the requests under way of each client that comes through a trusted proxy: 429.

    Who comes by itself is bounded by its connections, which carry one request each.
    """

    def __init__(self, app: ASGIApp, per_client: int, refused: Callable[[str], None]) -> None:
        self._app = app
        self._per_client = per_client
        self._refused = refused
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not (self._per_client and scope.get("by_proxy")):
            await self._app(scope, receive, send)
            return
        client = address_of(scope)
        if self._under_way[client] >= self._per_client:
            problem = Problem("too-many-requests", retry_after=RETRY_SECONDS)
            self._refused(problem.code)
            await problems.answer(Request(scope), problem)(scope, receive, send)
            return
        self._under_way[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way[client] -= 1
            if not self._under_way[client]:
                del self._under_way[client]
