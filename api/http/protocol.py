"""The HTTP parser's edge: the head of a request is bounded before anything is made of it."""

import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.errors import Problem
from api.http.problems import PROBLEM_JSON

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100


class HeadTooLargeError(ValueError):
    """Raised inside the parser, which takes it for a malformed request."""


class BoundedHead(HttpToolsProtocol):
    """uvicorn's protocol; it keeps whatever a client sends as headers, for as long as it sends.

    A request it can't parse is answered with a problem too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._head_count = 0
        self._head_received = 0

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = self._head_count = self._head_received = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_count += 1
        self._head_bytes += len(name) + len(value)
        if self._head_count > MAX_HEADERS or self._head_bytes > MAX_HEAD_BYTES:
            raise HeadTooLargeError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_received += len(data)  # one endless header calls nobody until it ends
            if self._head_received > MAX_HEAD_BYTES:
                self.send_400_response("The head of the request is too large.")

    def send_400_response(self, msg: str) -> None:
        problem = Problem("bad-request", msg)
        body = json.dumps(
            {
                "type": f"urn:longshore:error:{problem.code}",
                "title": problem.title,
                "status": problem.status,
                "detail": problem.detail,
                "code": problem.code,
                "retryable": problem.retryable,
            }
        ).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {PROBLEM_JSON}\r\ncontent-length: {len(body)}\r\n"
            "access-control-allow-origin: *\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
