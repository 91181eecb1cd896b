"""The HTTP parser's edge: connections, and the head of a request, are bounded before anything is
made of them."""

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import nullcontext
from http import HTTPStatus
from typing import Any

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.http import head, problems
from api.http.connections import Connections
from api.http.mended import MendedProtocol
from api.telemetry.watchdog import Watchdog
from api.texts.errors import Problem
from shared.ids import new_id

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
LINGER_SECONDS = 2.0
"""How long what a refused client still sends is read, and thrown away."""


class RefusedError(ValueError):
    """Raised inside the parser, which then stops; `problem` is the answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def _uncounted(_: str) -> None:
    """Where nobody counts refusals."""


class BoundedHead(MendedProtocol):
    """uvicorn's protocol, which waits for a head for ever and keeps all of it.

    A connection too many, a head too large, too slow or that can't be parsed is answered with a
    problem too, and closed. A client that doesn't take its answer is let go. `bounded` gives it
    its limits.
    """

    head_seconds: float
    send_seconds: float
    connections_admitted: Connections
    watchdog: Watchdog | None
    root: str
    refused: Callable[[str], None]
    """Told the code of each refusal."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._between_requests = False
        self._head_bytes = 0
        self._head_count = 0
        self._head_received = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._admitted = False
        self._refused = False
        self._lingering: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        _let_go_after(self.send_seconds, transport)
        self._admitted = self.connections_admitted.admit(self._client)
        if self._admitted:
            self._expect_head()
        else:
            self._refuse(Problem("unavailable", "There are too many connections."), retry=5)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        if self._lingering:
            self._lingering.cancel()
        if self._admitted:
            self.connections_admitted.gone(self._client)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        if self.is_replaying:
            return
        self._in_head, self._between_requests = True, False
        self._head_bytes = self._head_count = self._head_received = 0
        self._expect_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self.is_replaying:
            return
        self._head_bytes += len(url)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise RefusedError(_too_large())
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.is_replaying:
            return
        self._head_count += 1
        self._head_bytes += len(name) + len(value)
        if self._head_count > MAX_HEADERS or self._head_bytes > MAX_HEAD_BYTES:
            raise RefusedError(_too_large())
        if self._in_head:  # a trailer is no header (RFC 9110, section 6.5.1)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.is_replaying:
            return
        self._head_is_here()
        self._judge()
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._between_requests = not self.parser.should_upgrade()
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        if self._refused or self.transport.is_closing():
            return
        if self._between_requests:
            self._expect_head()
        self._unset_keepalive_if_required()
        try:
            with self.watchdog.step(_reading) if self.watchdog else nullcontext():
                self.feed(memoryview(data))
        except httptools.HttpParserError as error:
            self._refuse_in_turn(_problem_of(error))
            return
        if self._in_head and not self.transport.is_closing():
            self._head_received += len(data)  # one endless header calls nobody until it ends
            if self._head_received > MAX_HEAD_BYTES:
                self._refuse_in_turn(_too_large())

    def _judge(self) -> None:
        """Refuse what can't be framed here; what is wrong besides is answered in the app, where
        the answer gets all that others get."""
        version = self.parser.get_http_version()
        wrong = head.framing_problem(self.parser.get_method().decode(), version, self.headers)
        if wrong:
            raise RefusedError(wrong)
        self.url, self.headers[:] = head.origin_form(self.url, self.headers)
        if version == "1.0":
            self.expect_100_continue = False  # RFC 9110, section 10.1.1
        found = head.problem_of(self.url, version, self.headers)
        if found:
            problem, name = found
            self.scope["refused"] = problem  # type: ignore[typeddict-unknown-key] # ours: see `RefuseHead`
            # not a preflight either, which CORS would answer before anybody sees the refusal
            gone = (name, b"access-control-request-method")
            self.headers[:] = [each for each in self.headers if each[0] not in gone]
            if problem.code == "uri-too-long":
                self.url = b"/"

    def _refuse_in_turn(self, problem: Problem) -> None:
        """Answer with the problem, after the answers to the requests before it, and close."""
        self._refused = True
        self._head_is_here()
        current: RequestResponseCycle | None = self.cycle
        under_way = current is not None and not current.response_complete
        if under_way and self._in_head:
            self.pipeline.appendleft((self._last_cycle(), self._answering(problem)))
        elif self.pipeline:  # the body of one that waits
            self.pipeline[0] = (self._last_cycle(), self._answering(problem))
        elif under_way and current is not None and current.response_started:
            self.transport.close()
        else:
            self._refuse(problem)

    def _answering(self, problem: Problem) -> Any:
        """An application that answers with the problem, whatever it is asked."""
        self.refused(problem.code)
        headers, body = _written(problem, self.root)

        async def app(_: Scope, __: Receive, send: Send) -> None:
            start = {"type": "http.response.start", "status": problem.status, "headers": headers}
            await send(start)
            await send({"type": "http.response.body", "body": body})

        return app

    def _last_cycle(self) -> RequestResponseCycle:
        return RequestResponseCycle(
            scope={"method": "GET", **self.scope},  # refused within its head, it has none yet
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem("bad-request", msg))

    @property
    def _client(self) -> str:
        return self.client[0] if self.client else ""

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_is_late)

    def _head_is_here(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        before: RequestResponseCycle | None = self.cycle
        if before and not before.response_complete:
            self._expect_head()  # an answer to the request before it is under way
        elif self._in_head and not self._head_received:
            self.transport.close()  # opened in advance, as browsers do, and never used
        else:
            self._refuse(Problem("request-timeout", "The head of the request took too long."))

    def _refuse(self, problem: Problem, retry: int | None = None) -> None:
        self._refused = True
        if self._admitted:  # a connection too many is no request, and one client's own affair
            self.refused(problem.code)
        headers, body = _written(problem, self.root, retry)
        lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}".encode()]
        lines += [name + b": " + value for name, value in headers]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        if self._admitted and self.transport.can_write_eof():
            # Closed while the rest of the head still comes, it would be reset, and the client's
            # kernel would throw the answer away unread (RFC 9112, section 9.6).
            self._head_is_here()
            self.transport.write_eof()
            self._lingering = self.loop.call_later(LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()


def _let_go_after(seconds: float, transport: asyncio.Transport) -> None:
    """Have the kernel end the connection to a client that takes nothing of what it is sent for so
    long, or that is gone and never said so. Nobody here would notice before the answer's end."""
    connection: socket.socket = transport.get_extra_info("socket")
    milliseconds = int(seconds * 1000)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _reading() -> str:
    return "reading a request"


def _too_large() -> Problem:
    detail = f"The head of the request has over {MAX_HEAD_BYTES} bytes, or {MAX_HEADERS} headers."
    return Problem("bad-request", detail)


def _problem_of(error: httptools.HttpParserError) -> Problem:
    if isinstance(error.__context__, RefusedError):
        return error.__context__.problem
    reason = str(error)
    if reason == "Invalid HTTP version" or "PRI/Upgrade" in reason:
        return Problem("http-version-not-supported")
    if reason == "Invalid `Transfer-Encoding` header value":
        return Problem("unsupported-transfer-coding")
    return Problem("bad-request", "Invalid HTTP request received.")


def _written(problem: Problem, root: str, retry: int | None = None) -> tuple[head.Headers, bytes]:
    """Headers and body of a problem that is answered before there is a request; `root` is the
    public path."""
    request_id = new_id("req")
    body = json.dumps(problems.details(problem, request_id, root)).encode()
    headers = [
        (b"content-type", problems.PROBLEM_JSON.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        (b"cache-control", b"no-store"),
        *([(b"retry-after", b"%d" % retry)] if retry else []),
        (b"access-control-allow-origin", b"*"),
        (b"connection", b"close"),
    ]
    return headers, body


def bounded(
    head_seconds: float,
    send_seconds: float,
    connections: Connections,
    watchdog: Watchdog | None = None,
    root: str = "",
    refused: Callable[[str], None] = _uncounted,
) -> type[BoundedHead]:
    """The protocol with these limits, as a class: the server makes one object a connection. `root`
    is the public path; `refused` is told the code of each refusal."""
    return type(
        "Bounded",
        (BoundedHead,),
        {
            "head_seconds": head_seconds,
            "send_seconds": send_seconds,
            "connections_admitted": connections,
            "watchdog": watchdog,
            "root": root,
            "refused": staticmethod(refused),
        },
    )
