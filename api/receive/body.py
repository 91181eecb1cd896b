"""The body of a request, bounded once: what stands behind it can trust its size and its pace."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable

from starlette.requests import ClientDisconnect, Request

from api.receive.meter import Meter
from api.settings.pace import Pace
from api.texts.errors import Problem


class ClientGone(Exception):  # noqa: N818 - what happened, nobody's error
    """The client went away before its body was complete: there is nobody to answer."""


async def gone(request: Request) -> None:
    """Until the client has gone. What it still sends of a body that nobody wants is dropped."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Body:
    """Chunks of a request's body as they arrive, each seen once. Whoever keeps one keeps the buffer
    that it may be a view of.

    Raises what `over` makes (by default `Problem` request-too-large) when more than `limit` bytes
    are declared or have come, `Problem` request-timeout when nothing comes for `idle_seconds`, and
    `ClientGone`.
    """

    def __init__(
        self,
        request: Request,
        *,
        limit: int,
        pace: Pace,
        over: Callable[[], Problem] | None = None,
        hashed: bool = False,
    ) -> None:
        self._request = request
        self._limit = limit
        self._over = over or (lambda: Problem("request-too-large", params={"max_bytes": limit}))
        self._pace = pace
        self.declared = declared_length(request)
        """Content-Length in bytes; None for a chunked body."""
        self._hash = hashlib.sha256() if hashed else None
        if self.declared is not None and self.declared > limit:
            raise self._over()

    async def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        received = 0
        meter = Meter(self._pace)
        stream = self._request.stream()
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._pace.idle_seconds):
                    chunk = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise too_slow() from error
            except ClientDisconnect as error:
                raise ClientGone from error
            if meter.too_slow(len(chunk), time.monotonic() - began):
                raise too_slow()
            received += len(chunk)
            if received > self._limit:
                raise self._over()
            if chunk:
                if self._hash:
                    self._hash.update(chunk)
                yield chunk

    @property
    def sha256(self) -> str | None:
        """In hex, of what has come, as it was sent; None unless it is `hashed`."""
        return self._hash.hexdigest() if self._hash else None

    async def read(self) -> bytes:
        """The whole body, for bodies that are small by their limit."""
        return b"".join([chunk async for chunk in self])


def too_slow() -> Problem:
    """request-timeout; the connection ends with it, as what comes of the body later could be taken
    for a request."""
    return Problem("request-timeout", headers={"Connection": "close"})


def declared_length(request: Request) -> int | None:
    """Content-Length in bytes; None for a chunked body."""
    value = request.headers.get("content-length", "")
    return int(value) if value.isdecimal() else None
