"""Requests as bytes, and the answers to them as they come on one connection."""

import json
import socket
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool
    """Whether the connection was closed behind it, with nothing more to come."""

    def json(self) -> Any:
        return json.loads(self.body)


def request(method: str, path: str, headers: str = "", body: bytes = b"") -> bytes:
    """`headers` are whole lines, each with its end; nothing is added but a Host."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"
    return head.encode("latin-1") + body


def answers(
    port: int, sent: bytes, *, count: int, pieces: int | None = None, seconds: float = 30
) -> list[Answer]:
    """Send, in pieces of so many bytes, and read until `count` answers came or the other side
    closes. Answers to HEAD are read as if they had a content, so only their closing ends them."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        came, closed = b"", False
        try:
            for at in range(0, len(sent), pieces or len(sent)):
                connection.sendall(sent[at : at + (pieces or len(sent))])
        except (ConnectionResetError, BrokenPipeError):
            pass  # what was answered before is still to be read
        found: list[Answer] = []
        deadline = time.monotonic() + seconds
        head_only = sent.startswith(b"HEAD ")
        while len(found) < count and not closed:
            assert time.monotonic() < deadline, came
            try:
                chunk = connection.recv(1 << 16)
            except ConnectionResetError:
                chunk = b""
            closed = not chunk
            came += chunk
            found += _taken(came, head_only=head_only)[0]
            came = _taken(came, head_only=head_only)[1]
        if found and found[-1].headers.get("connection") == "close" and not closed:
            closed = _is_closed(connection)
        if found and closed:
            found[-1] = Answer(found[-1].status, found[-1].headers, found[-1].body, closed=True)
        return found


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def _taken(came: bytes, *, head_only: bool) -> tuple[list[Answer], bytes]:
    """The whole answers of what came, and the rest."""
    found: list[Answer] = []
    while b"\r\n\r\n" in came:
        head, _, rest = came.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (each.partition(":") for each in lines)
        }
        length = 0 if head_only and not found else int(headers.get("content-length", 0))
        if len(rest) < length:
            break
        status = int(first.split()[1])
        found.append(Answer(status, headers, rest[:length], closed=False))
        came = rest[length:]
    return found, came
