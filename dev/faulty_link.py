"""A TCP proxy between two parts, with the faults of a network: for the soak and for the tests.

It stands where one part expects another. One fault at a time, changed while it runs; a fault meets
the connections that are open as well as new ones.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET

HOST = "127.0.0.1"
CHUNK = 64 * 1024
DRAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Fault:
    """What goes wrong; the default is nothing. `marker` limits it to what carries these bytes
    from the client, and `times` to so many of them; 0 is always."""

    refuse: bool = False
    freeze: bool = False
    delay: float = 0
    cut_after: int | None = None
    """Bytes from the client, of each connection, after which it is reset."""
    drop_answer: bool = False
    """The request arrives, and the connection is reset in place of its answer."""
    flip: bool = False
    """The last byte of what the client sent becomes another one."""
    status: int | None = None
    """An HTTP status that is answered in the server's place."""
    marker: bytes = b""
    times: int = 0


class FaultyLink:
    """Forwards `port` to the upstream; `fault` says how badly."""

    def __init__(self, upstream_port: int, upstream_host: str = HOST, *, port: int = 0) -> None:
        self.port = port
        self.hits = 0
        """How often the present fault has met something."""
        self.carried = 0
        """Bytes from clients that went on to the upstream."""
        self._upstream = upstream_host, upstream_port
        self._fault = Fault()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["FaultyLink"]:
        server = await asyncio.start_server(self._accept, HOST, self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            await asyncio.gather(*self._open, return_exceptions=True)

    def set(self, fault: Fault) -> None:
        self._fault, self.hits = fault, 0
        (self._flowing.clear if fault.freeze else self._flowing.set)()
        if fault.refuse:
            self.cut()

    def heal(self) -> None:
        self.set(Fault())

    def cut(self) -> None:
        """Reset every open connection."""
        for task in self._open:
            task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends, whole = [writer], False
        try:
            if not self._fault.refuse:
                await self._flowing.wait()
                there, back = await asyncio.open_connection(*self._upstream)
                ends.append(back)
                whole = await _Connection(self, reader, writer, there, back).carry()
        except OSError:
            pass  # nobody upstream, or one of the two went away: the other sees a reset
        finally:
            for end in ends:
                _close(end) if whole else _reset(end)

    async def flowing(self) -> Fault:
        """The present fault, as soon as anything flows at all."""
        await self._flowing.wait()
        return self._fault

    def meets(self, data: bytes) -> bool:
        """Whether the fault meets this chunk; counted."""
        fault = self._fault
        if fault.marker not in data or (fault.times and self.hits >= fault.times):
            return False
        self.hits += 1
        return True


class _Connection:
    def __init__(
        self,
        link: FaultyLink,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        self._link = link
        self._reader, self._writer = reader, writer
        self._there, self._back = there, back
        self._mute = False

    async def carry(self) -> bool:
        """Carry both ways; True when both sides ended in good order, False for a fault."""
        ways = [asyncio.create_task(way) for way in (self._upstream(), self._downstream())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if ways[0].done() and ways[0].result():  # the client has said all; there is an answer
                self._back.write_eof()
                return await ways[1]
            return (ways[0] if ways[0].done() else ways[1]).result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _upstream(self) -> bool:
        seen = 0
        while data := await self._reader.read(CHUNK):
            fault = await self._link.flowing()
            seen += len(data)
            if fault.delay:
                await asyncio.sleep(fault.delay)
            if fault.cut_after is not None and seen > fault.cut_after and self._link.meets(data):
                return False
            if fault.status and self._link.meets(data):
                await self._answer(fault.status)
                return False
            if fault.drop_answer and self._link.meets(data):
                self._mute = True
            if fault.flip and self._link.meets(data):
                data = data[:-1] + bytes([data[-1] ^ 1])
            self._link.carried += len(data)
            self._back.write(data)
            await self._back.drain()
        return True

    async def _downstream(self) -> bool:
        while data := await self._there.read(CHUNK):
            await self._link.flowing()
            if self._mute:
                return False
            self._writer.write(data)
            await self._writer.drain()
        return True

    async def _answer(self, status: int) -> None:
        head = f"HTTP/1.1 {status} Fault\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        self._writer.write(head.encode())
        await self._writer.drain()
        self._writer.write_eof()
        with suppress(TimeoutError):  # a client that still sends wouldn't see the answer
            async with asyncio.timeout(DRAIN_SECONDS):
                while await self._reader.read(CHUNK):
                    pass


def _close(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, RuntimeError):
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close by RST: what was still on its way is lost."""
    with suppress(OSError, RuntimeError):
        raw = writer.get_extra_info("socket")
        raw.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
