"""An object store that is far away: a TCP proxy that holds everything up for half a round trip."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

HOST = "127.0.0.1"
CHUNK = 64 * 1024
ON_THE_WAY = 1024
"""Chunks: more than any photo has, so that the delay bounds no throughput."""

Chunk = tuple[float, bytes]


class Distance:
    """Adds `round_trip` seconds: half of it each way, and a whole one to a new connection, which
    the kernel on this side has accepted at once. Bandwidth stays the loopback's."""

    def __init__(self, upstream_port: int, round_trip: float) -> None:
        self._upstream = upstream_port
        self._round_trip = round_trip
        self._under_way: set[asyncio.Task[None]] = set()
        self.port = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected_at = time.monotonic() + self._round_trip
        try:
            there, back = await asyncio.open_connection(HOST, self._upstream)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(
                self._carry(reader, back, connected_at), self._carry(there, writer, connected_at)
            )
        finally:
            back.close()
            writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, not_before: float
    ) -> None:
        way: asyncio.Queue[Chunk] = asyncio.Queue(ON_THE_WAY)
        delivering = asyncio.create_task(_deliver(way, writer))
        try:
            with suppress(ConnectionError):
                while data := await reader.read(CHUNK):
                    await way.put((max(time.monotonic(), not_before) + self._round_trip / 2, data))
            await way.put((max(time.monotonic(), not_before) + self._round_trip / 2, b""))
            await delivering
        finally:
            delivering.cancel()


async def _deliver(way: "asyncio.Queue[Chunk]", writer: asyncio.StreamWriter) -> None:
    """An empty chunk is the end."""
    with suppress(OSError):  # who is gone in the middle of it is not connected
        while True:
            due, data = await way.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()
