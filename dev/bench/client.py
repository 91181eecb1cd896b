"""The client process: reads a `load.Job` from stdin, sends it, writes a `load.Result` to stdout.

One epoll loop over raw sockets, bodies by sendfile from memory: it has to cost far less than any
server that is measured with it.
"""

import json
import os
import re
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict

from dev.bench.load import PIECE, Job, Result, piece

TURN = 1024 * 1024
"""Bytes sent on one connection before the others have their turn."""
CAN_SEND = select.EPOLLIN | select.EPOLLOUT
CAN_ONLY_READ = select.EPOLLIN
WITHOUT_BODY = (b"204", b"304")
"""An answer of such a status has no body, and needs no length (RFC 9112, section 6.3)."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class UnexpectedAnswer(Exception):  # noqa: N818 - says what happened
    pass


class Connection:
    """One connection, which sends one request after the other."""

    def __init__(self, job: Job, heads: Iterator[bytes], body: int) -> None:
        self._job = job
        self._heads = heads
        self._body = body
        self._tail = job.tail.encode()
        self._pending = b""  # of the head, then of the tail
        self._in_head = False
        self._left = 0  # of the body
        self._answer = b""
        self.answered: list[bytes] = []
        self.socket = socket.create_connection(("127.0.0.1", job.port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)  # noqa: FBT003 - the socket's own signature

    def next_request(self, until: float) -> bool:
        """Begin the next request; False when there is none left, or no time."""
        head = next(self._heads, None) if time.monotonic() < until else None
        if head is None:
            return False
        self._pending, self._left, self._answer = head, self._job.body_bytes, b""
        self._in_head = True
        return True

    def send(self) -> bool:
        """Send what the socket takes; True when the whole request is out."""
        turn = TURN
        try:
            while turn > 0:
                if self._pending:
                    more = socket.MSG_MORE if self._in_head and self._left else 0
                    sent = self.socket.send(self._pending, more)
                    self._pending = self._pending[sent:]
                elif self._left:
                    offset = (self._job.body_bytes - self._left) % PIECE
                    count = min(self._left, PIECE - offset, turn)
                    sent = os.sendfile(self.socket.fileno(), self._body, offset, count)
                    self._left -= sent
                elif self._in_head:
                    self._pending, self._in_head, sent = self._tail, False, 0
                else:
                    return True
                turn -= sent
        except BlockingIOError:
            pass
        return False

    def receive(self) -> bool:
        """Read; True when the answer is whole. Raises unless it is the expected one."""
        data = self.socket.recv(65536)
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        ends_by_itself = found and head.split(b" ", 2)[1] in WITHOUT_BODY
        is_whole = ends_by_itself or (
            found and (len(body) >= int(length[1]) if length else not data)
        )
        if not data and not is_whole:
            raise UnexpectedAnswer(f"the server closed the connection after {self._answer!r}")
        if not is_whole:
            return False
        if head.split(b" ", 2)[1] != str(self._job.status).encode():
            raise UnexpectedAnswer(f"not the {self._job.status} expected: {self._answer[:500]!r}")
        if self._pending or self._left or self._in_head:
            raise UnexpectedAnswer(f"an answer before the request's end: {self._answer[:500]!r}")
        self.answered.append(body)
        return True


def run(job: Job) -> Result:
    if job.file:
        body = os.open(job.file, os.O_RDONLY)
    else:
        body = os.memfd_create("body")
        os.write(body, piece())
    heads = iter([head.encode() for head in job.heads])
    connections = [Connection(job, heads, body) for _ in range(job.connections)]
    began = time.time()
    busy_before, clock = time.process_time(), time.perf_counter()
    _exchange(job, connections)
    seconds, busy = time.perf_counter() - clock, time.process_time() - busy_before
    answers = [answer for connection in connections for answer in connection.answered]
    return Result(len(answers), began, seconds, busy, answers[0].decode(errors="replace"))


def _exchange(job: Job, connections: list[Connection]) -> None:
    epoll = select.epoll()
    until = time.monotonic() + (job.seconds or job.patience)
    waiting = {connection.socket.fileno(): connection for connection in connections}
    for number, connection in list(waiting.items()):
        if connection.next_request(until):
            epoll.register(number, CAN_SEND)
        else:
            del waiting[number]
    deadline = time.monotonic() + job.patience
    while waiting:
        for number, event in epoll.poll(1):
            connection = waiting[number]
            if event & ~select.EPOLLOUT and connection.receive():
                if connection.next_request(until):
                    epoll.modify(number, CAN_SEND)
                else:
                    epoll.unregister(number)
                    del waiting[number]
            elif event & select.EPOLLOUT and connection.send():
                epoll.modify(number, CAN_ONLY_READ)
        if time.monotonic() > deadline:
            raise UnexpectedAnswer(f"not done after {job.patience:.0f} s")


def main() -> int:
    job = Job(**json.load(sys.stdin))
    try:
        result = run(job)
    except (UnexpectedAnswer, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json.dump(asdict(result), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
