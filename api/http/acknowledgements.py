"""How long a client waits for its 202 once its last byte has come: what we owe it."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics

ACCEPTED = 202


class TimeAcknowledgements:
    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        complete: float | None = None

        async def watched_receive() -> Message:
            nonlocal complete
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                complete = time.perf_counter()
            return message

        async def watched_send(message: Message) -> None:
            if (
                complete is not None
                and message["type"] == "http.response.start"
                and message["status"] == ACCEPTED
            ):
                self._metrics.acknowledgement.observe(time.perf_counter() - complete)
            await send(message)

        await self._app(scope, watched_receive, watched_send)
