"""The HTTP parser's edge: connections, and the head of a request, are bounded before anything is
made of them."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.errors import Problem
from api.http import problems
from api.http.connections import Connections
from shared.ids import new_id

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100


class HeadTooLargeError(ValueError):
    """Raised inside the parser, which takes it for a malformed request."""


class BoundedHead(HttpToolsProtocol):
    """uvicorn's protocol, which waits for a head for ever and keeps all of it.

    A connection too many, a head too large, too slow or that can't be parsed is answered with a
    problem too, and closed.
    """

    head_seconds = 15.0
    connections_admitted = Connections()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._between_requests = False
        self._head_bytes = 0
        self._head_count = 0
        self._head_received = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._admitted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._admitted = self.connections_admitted.admit(self._client)
        if self._admitted:
            self._expect_head()
        else:
            self._refuse(Problem("unavailable", "There are too many connections."), retry=5)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        if self._admitted:
            self.connections_admitted.gone(self._client)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._in_head, self._between_requests = True, False
        self._head_bytes = self._head_count = self._head_received = 0
        self._expect_head()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_count += 1
        self._head_bytes += len(name) + len(value)
        if self._head_count > MAX_HEADERS or self._head_bytes > MAX_HEAD_BYTES:
            raise HeadTooLargeError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_is_here()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._between_requests = True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return  # refused
        if self._between_requests:
            self._expect_head()
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_received += len(data)  # one endless header calls nobody until it ends
            if self._head_received > MAX_HEAD_BYTES:
                self.send_400_response("The head of the request is too large.")

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
        request_id = new_id("req")
        body = json.dumps(problems.details(problem, request_id)).encode()
        head = (
            f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n"
            f"content-type: {problems.PROBLEM_JSON}\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\ncache-control: no-store\r\n"
            + (f"retry-after: {retry}\r\n" if retry else "")
            + "access-control-allow-origin: *\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def bounded(head_seconds: float, connections: Connections) -> type[BoundedHead]:
    """The protocol with these limits, as a class: the server makes one object a connection."""
    return type(
        "Bounded",
        (BoundedHead,),
        {"head_seconds": head_seconds, "connections_admitted": connections},
    )
