"""The answer that goes on: sends a stream's events until it is over or its client has gone."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.news.event_format import retry
from api.news.streams import Stream
from api.receive.body import gone

MEDIA_TYPE = "text/event-stream"
HEADERS = {
    "Content-Type": MEDIA_TYPE,
    "Cache-Control": "no-store, no-transform",  # nor compress, which would gather events
    "X-Accel-Buffering": "no",  # what nginx and others look for, so as not to gather them either
}
RETRY_MS = (1000, 3000)
"""Each client gets a pause of its own: not all come back at once after a restart."""
LAST_SECONDS = 1.0
"""For the end of the answer, to a client that takes nothing."""


class EventStream(Response):
    """`opened` is what opens the stream; `Problem`s that it raises are answered as ever."""

    media_type = MEDIA_TYPE

    def __init__(self, opened: AbstractAsyncContextManager[Stream], *, head_only: bool) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(HEADERS)
        self._opened = opened
        self._head_only = head_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._opened as stream:
            if stream.nothing_more:
                self.status_code = 204
                del self.headers["content-type"]
            start = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **start})
            if not (stream.nothing_more or self._head_only):
                with _gone_meanwhile():
                    await _send_all(stream, Request(scope, receive), send)
        with suppress(TimeoutError), _gone_meanwhile():
            async with asyncio.timeout(LAST_SECONDS):
                await send({"type": "http.response.body", "body": b"", "more_body": False})


@contextmanager
def _gone_meanwhile() -> Iterator[None]:
    """The event loop raises this for a connection that closed before the server was told so."""
    try:
        yield
    except RuntimeError as error:
        if "closed=True" not in str(error):
            raise


async def _send_all(stream: Stream, request: Request, send: Send) -> None:
    leaving = asyncio.ensure_future(gone(request))
    leaving.add_done_callback(lambda _: stream.end())
    text: bytes | None = retry(random.randint(*RETRY_MS))  # noqa: S311 - spread, not secret
    try:
        while text is not None:
            await send({"type": "http.response.body", "body": text, "more_body": True})
            text = await stream.next()
    finally:
        leaving.cancel()
