"""The end in good order: what is under way may finish, what is new is sent elsewhere."""

import asyncio
from contextlib import suppress

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import problems
from api.telemetry.metrics import Metrics
from api.texts.errors import Problem


class Stopping:
    """Knows what is under way, and whether anything new may begin."""

    def __init__(self) -> None:
        self.begun = False
        self._under_way = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def begin(self) -> None:
        """Let nothing new begin."""
        self.begun = True

    def entered(self) -> None:
        """A request is under way, until `left`."""
        self._under_way += 1
        self._empty.clear()

    def left(self) -> None:
        """A request that `entered` is answered, or gone."""
        self._under_way -= 1
        if not self._under_way:
            self._empty.set()

    async def finished(self, seconds: float) -> None:
        """Wait for what is under way, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._empty.wait()


class RefuseWhenStopping:
    """503 with `Connection: close`: a proxy, or the client's next try, finds another replica."""

    def __init__(self, app: ASGIApp, stopping: Stopping, metrics: Metrics) -> None:
        self._app = app
        self._stopping = stopping
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._stopping.begun:
            await self._refuse(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        self._stopping.entered()
        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            if begun or not self._stopping.begun:
                raise
            await self._refuse(scope, receive, send)  # the grace is over, and nothing was promised
        finally:
            self._stopping.left()

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = Problem("unavailable", headers={"Connection": "close"}, retry_after=2)
        self._metrics.refusal("public", problem.code)
        await problems.answer(Request(scope), problem)(scope, receive, send)
