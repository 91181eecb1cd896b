"""A large body of known length past the parser: what the socket has goes straight into a buffer,
which the request is given as it is. A parser would tell of each read, and copy it twice."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.http.mended import MendedProtocol

LEAST = 512 * 1024
"""Bytes still to come that are worth it."""
SIZE = 1024 * 1024
"""Bytes of a buffer."""
MOST = 8
"""Buffers. They are kept for good, and all large bodies share them, of which one that comes no
further may keep a few; what comes while all are in use comes in pieces of `SMALL`."""
SMALL = 64 * 1024
WASTE = 4
"""A buffer of which less than a quarter is filled is copied, and free again at once."""


class Buffers:
    """Of one process. One is free when nobody has a view of it any more, in whatever thread."""

    def __init__(self) -> None:
        self._all: list[bytearray] = []

    def take(self) -> memoryview:
        """One that nobody else has."""
        for buffer in self._all:
            try:
                buffer.append(buffer.pop())  # it can't be resized while there is a view of it
            except BufferError:
                continue
            return memoryview(buffer)
        if len(self._all) == MOST:
            return memoryview(bytearray(SMALL))
        self._all.append(bytearray(SIZE))
        return memoryview(self._all[-1])


BUFFERS = Buffers()


class LargeBody(asyncio.BufferedProtocol):
    """Stands in for the protocol of a connection until the body of its request has come, and not a
    byte longer: what follows is the parser's again."""

    def __init__(self, protocol: "MendedProtocol", left: int) -> None:
        """`left` bytes are still to come."""
        self._protocol = protocol
        self._left = left
        self._buffer: memoryview | None = None
        self._filled = 0

    def taken(self) -> bytes | memoryview:
        """What has come since the last time. It never changes again."""
        buffer, filled = self._buffer, self._filled
        self._buffer, self._filled = None, 0
        if buffer is None:
            return b""
        return buffer[:filled] if filled * WASTE >= len(buffer) else bytes(buffer[:filled])

    def get_buffer(self, _: int) -> memoryview:
        if self._protocol.cycle.response_complete:  # what is still to come is only counted
            self._filled = 0
        if self._buffer is None:
            self._buffer = BUFFERS.take()
        return self._buffer[self._filled : self._filled + self._left]

    def buffer_updated(self, count: int) -> None:
        protocol = self._protocol
        protocol.heard()
        self._left -= count
        self._filled += count
        if protocol.cycle.response_complete:
            self._buffer, self._filled = None, 0
        protocol.cycle.message_event.set()
        if not self._left:
            del self._protocol  # which has the cycle, which has this
            protocol.body_is_here()
        elif self._buffer and self._filled == len(self._buffer):
            protocol.flow.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)
        del self._protocol

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()
