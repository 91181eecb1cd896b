"""clamd's protocol: one command a connection, whose answer is read while its data is written.

On bare sockets: clamd breaks a stream off with an answer and a closed connection, and a stream
reader whose writer has failed would throw that answer away.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from shared.reaching import why
from worker.scanner.address import Address

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 5.0
"""For a command that brings no data."""
IDLE_SECONDS = 30.0
"""For one piece of a stream to be taken."""
PARTING_SECONDS = 2.0
"""For the answer of a clamd that takes no more of a stream."""
LONGEST_ANSWER = 4096


class ScannerAway(Exception):  # noqa: N818 - what is, not who erred
    """clamd can't be reached, or there was no whole answer. `slow` says that time ran out, and
    nothing worse."""

    def __init__(self, text: str, *, slow: bool) -> None:
        super().__init__(text)
        self.slow = slow


class Said(NamedTuple):
    """An answer, and whether all that there was to look at had been sent before it."""

    text: str
    sent_all: bool


class Version(NamedTuple):
    """`ClamAV 1.4.6`, and the number of its signature database where it says one: `27123`."""

    engine: str
    database: str | None


class Clamd:
    """One clamd. Every method raises `ScannerAway` when there is no whole answer in time."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self.where = address if isinstance(address, str) else "{}:{}".format(*address)

    async def ping(self, seconds: float = ANSWER_SECONDS) -> bool:
        """Whether it is a clamd, and answers."""
        return (await self._ask(b"PING", seconds)).text == "PONG"

    async def version(self) -> Version:
        engine, _, rest = (await self._ask(b"VERSION", ANSWER_SECONDS)).text.partition("/")
        number = rest.partition("/")[0]
        return Version(engine[:100], number if number.isdecimal() else None)

    async def look_into(self, pieces: AsyncIterable[bytes], *, seconds: float) -> Said:
        """Stream the pieces, none of them empty, and hear what it says of them within so many
        seconds. Raises what `pieces` raises, too."""
        return await self._ask(b"INSTREAM", seconds, pieces)

    async def _ask(
        self, command: bytes, seconds: float, pieces: AsyncIterable[bytes] | None = None
    ) -> Said:
        try:
            async with asyncio.timeout(seconds), self._connected() as connection:
                return await _talk(connection, b"z" + command + b"\0", pieces)
        except OSError as error:  # TimeoutError is one
            text = why(error, self.where) or f"{self.where} breaks off without an answer"
            raise ScannerAway(text, slow=isinstance(error, TimeoutError)) from error

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[socket.socket]:
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await self._connect()
        try:
            yield connection
        finally:
            connection.close()

    async def _connect(self) -> socket.socket:
        """To the first of the name's addresses that takes us."""
        if isinstance(self._address, str):
            return await _connect_to(socket.AF_UNIX, self._address)
        host, port = self._address
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for family, *_, address in found[:-1]:
            with contextlib.suppress(OSError):
                return await _connect_to(family, address)
        family, *_, address = found[-1]
        return await _connect_to(family, address)


async def _connect_to(family: int, address: tuple[object, ...] | str) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(0)
        await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def _talk(
    connection: socket.socket, command: bytes, pieces: AsyncIterable[bytes] | None
) -> Said:
    answering = asyncio.create_task(_answer(connection))
    sending = asyncio.create_task(_send(connection, command, pieces))
    try:
        await asyncio.wait({answering, sending}, return_when=asyncio.FIRST_COMPLETED)
        failure = sending.exception() if sending.done() else None
        if failure and not isinstance(failure, OSError):
            raise failure
        sent_all = sending.done() and not failure
        async with asyncio.timeout(None if sent_all else PARTING_SECONDS):
            return Said(await answering, sent_all)
    finally:
        answering.cancel()
        sending.cancel()
        await asyncio.wait({answering, sending})


async def _send(
    connection: socket.socket, command: bytes, pieces: AsyncIterable[bytes] | None
) -> None:
    """Each piece goes after its length, in four bytes; a length of zero ends the stream."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, command)
    if pieces is None:
        return
    async for piece in pieces:
        async with asyncio.timeout(IDLE_SECONDS):
            await loop.sock_sendall(connection, len(piece).to_bytes(4) + piece)
    await loop.sock_sendall(connection, bytes(4))


async def _answer(connection: socket.socket) -> str:
    """Up to the zero byte that ends it. Raises `ConnectionError` when none comes."""
    heard = b""
    while not heard.endswith(b"\0"):
        more = await asyncio.get_running_loop().sock_recv(connection, LONGEST_ANSWER)
        heard += more
        if not more or len(heard) > LONGEST_ANSWER:
            raise ConnectionError("no whole answer")
    return heard[:-1].decode(errors="replace")
