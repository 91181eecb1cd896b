"""How often a client and its server take turns: each turn costs a round trip of the network."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import make_url


@dataclass
class Turns:
    """How often something was sent after an answer, on all connections together."""

    port: int
    taken: int = 0


@asynccontextmanager
async def counting_turns(host: str, port: int) -> AsyncIterator[Turns]:
    """A port that leads to another, and counts."""
    turns = Turns(0)
    open_now: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(host, port)
        answered = True

        async def there() -> None:
            nonlocal answered
            while data := await reader.read(1 << 16):
                turns.taken += answered
                answered = False
                server_writer.write(data)

        async def back() -> None:
            nonlocal answered
            while data := await server_reader.read(1 << 16):
                answered = True
                writer.write(data)

        with suppress(ConnectionError):
            both = [asyncio.ensure_future(each()) for each in (there, back)]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for each in both:
                each.cancel()
        for one in (writer, server_writer):
            one.close()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(connected(reader, writer))
        open_now.add(task)
        task.add_done_callback(open_now.discard)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    turns.port = server.sockets[0].getsockname()[1]
    try:
        yield turns
    finally:
        server.close()
        for task in open_now:
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)


@asynccontextmanager
async def counted(database_url: str) -> AsyncIterator[tuple[str, Turns]]:
    """The same database by an address that counts."""
    url = make_url(database_url)
    async with counting_turns(url.host or "127.0.0.1", url.port or 5432) as turns:
        led = url.set(host="127.0.0.1", port=turns.port)
        yield led.render_as_string(hide_password=False), turns
