"""Around every request: its id, and what becomes of a body that nobody read."""

import asyncio
import re
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import problems
from api.http.tus import IS_TUS_HEAD
from api.texts.errors import Problem
from shared.ids import new_id

DRAIN_BYTES = 64 * 1024 * 1024
DRAIN_SECONDS = 2.0
_IS_HEAD = "longshore.head"
_REQUEST_ID = re.compile(r"(?!lst_)[A-Za-z0-9._-]{1,64}")  # a token is no id: ids are logged

ALLOWED_HEADERS = [
    "Authorization",
    "Content-Type",
    "Content-Disposition",
    "Cache-Control",
    "X-Requested-With",
    "X-Request-ID",
    "X-HTTP-Method-Override",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Prefer",
    "Repr-Digest",
    "Last-Event-ID",
    # of tus, and of those that send in pieces
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Offset",
    "Upload-Metadata",
    "Upload-Name",
    "Upload-Checksum",
    "Upload-Defer-Length",  # refused, which a page is to be told
    "Upload-Concat",  # the same
    "Upload-Complete",
    "Upload-Draft-Interop-Version",
    "Content-Digest",
    # of tracing tools, which add them to every call of a page
    "traceparent",
    "tracestate",
    "baggage",
    "sentry-trace",
    "b3",
    "X-B3-TraceId",
    "X-B3-SpanId",
    "X-B3-ParentSpanId",
    "X-B3-Sampled",
    "X-B3-Flags",
    "uber-trace-id",
    "newrelic",
    "elastic-apm-traceparent",
    "X-Amzn-Trace-Id",
    "X-Cloud-Trace-Context",
    "X-Datadog-Trace-Id",
    "X-Datadog-Parent-Id",
    "X-Datadog-Origin",
    "X-Datadog-Sampling-Priority",
    "X-Datadog-Tags",
    "Request-Id",
    "Request-Context",
    "X-Correlation-ID",
]
EXPOSED_HEADERS = [
    "Location",
    "ETag",
    "Retry-After",
    "Preference-Applied",
    "Content-Disposition",
    "Tus-Resumable",
    "Tus-Version",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Checksum-Algorithm",
    "Upload-Offset",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Expires",
    "Upload-Complete",
    "Upload-Limit",
    "Upload-Draft-Interop-Version",
    "X-Request-ID",
]


def with_cors(app: ASGIApp, origins: tuple[str, ...], headers: tuple[str, ...] = ()) -> ASGIApp:
    """Outermost, so that errors can be read by a page of another origin too. Cross-origin is
    bearer only: credentials are never allowed. `headers` are allowed besides ours."""
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=[*ALLOWED_HEADERS, *headers],
        expose_headers=EXPOSED_HEADERS,
        allow_credentials=False,
        max_age=7200,
    )


class RequestId:
    """Takes the client's `X-Request-ID` or makes one; logs and answers carry it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else new_id("req")
        scope["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            structlog.contextvars.reset_contextvars(**bound)


class HeadAsGet:
    """Answers HEAD wherever GET is answered (RFC 9110, section 9.3.2); the server leaves out the
    content."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        if is_head and not scope.get(IS_TUS_HEAD):
            scope = {**scope, "method": "GET", _IS_HEAD: True}
        await self._app(scope, receive, send)


def is_head(request: Request) -> bool:
    """Whether the client asked by HEAD, which `HeadAsGet` hides."""
    return bool(request.scope.get(_IS_HEAD))


class RefuseHead:
    """Answers what the protocol found wrong with a head that it could read to its end."""

    def __init__(self, app: ASGIApp, refused: Callable[[str], None]) -> None:
        self._app = app
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem: Problem | None = scope.get("refused")
        if problem is None:
            await self._app(scope, receive, send)
            return
        self._refused(problem.code)
        await problems.answer(Request(scope), problem)(scope, receive, send)


class DrainUnread:
    """Answers first, then reads on for a while where a body was not read to its end.

    A client that is still sending would otherwise see a reset in place of the answer. The drain
    is bounded; then the connection is closed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
            await self._app(scope, receive, send)
            return
        unread = True
        closing = False

        async def watched_receive() -> Message:
            nonlocal unread
            message = await receive()
            unread = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def watched_send(message: Message) -> None:
            nonlocal closing
            if message["type"] == "http.response.start" and unread:
                closing = True
                MutableHeaders(scope=message)["Connection"] = "close"
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if closing and last:
                await send({**message, "more_body": True})
                await drain()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        async def drain() -> None:
            drained = 0
            try:
                async with asyncio.timeout(DRAIN_SECONDS):
                    while unread and drained < DRAIN_BYTES:
                        drained += len((await watched_receive()).get("body", b""))
            except TimeoutError:
                return

        await self._app(scope, watched_receive, watched_send)
