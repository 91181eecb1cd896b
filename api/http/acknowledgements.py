"""How long a client waits to be acknowledged once its last byte has come: what we owe it."""

import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.telemetry.metrics import Metrics

ACCEPTED = 202
UPLOADS = "/v1/uploads/"


class TimeAcknowledgements:
    """Observes the seconds from the last byte of an upload's body to its acknowledgement."""

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
                and _acknowledges(message)
            ):
                self._metrics.acknowledgement.observe(time.perf_counter() - complete)
            await send(message)

        await self._app(scope, watched_receive, watched_send)


def _acknowledges(answer: Message) -> bool:
    """Whether it is a 202, or names an upload: FilePond's is a 201. That of an upload of tus has an
    offset: most of them have yet to come."""
    headers = Headers(raw=answer["headers"])
    if "upload-offset" in headers:
        return False
    named = headers.get("location", "")
    return answer["status"] == ACCEPTED or named.startswith(UPLOADS)
