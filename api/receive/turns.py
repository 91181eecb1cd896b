"""Whose turn it is to write to a resumable upload, within this process.

What other replicas do is settled in the records (`api/records/segments.py`): there a newer request
simply takes the upload from an older one. Here the older one can be asked whether it is alive, and
to keep what it has.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from api.texts.errors import Problem

STALLED_SECONDS = 1.0
"""A connection that brings nothing for so long is taken for broken, once another one comes."""
END_SECONDS = 10.0
"""What was asked to end may take so long to make durable what it has."""


class Turn:
    """One request that writes."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._count = 0
        self._patience: asyncio.Timeout | None = None
        self._over = asyncio.Event()

    def came(self, count: int) -> None:
        """So many bytes came."""
        self._last = time.monotonic()
        self._count += count

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Around reading the body. Raises `Problem` upload-locked when another request is to go on
        in its place."""
        patience = self._patience = asyncio.timeout(None)
        try:
            async with patience:
                yield
        except TimeoutError as error:
            if patience.expired():
                raise locked() from error
            raise
        finally:
            self._patience = None

    def end(self) -> None:
        """Nothing is written after this."""
        self._over.set()

    async def yielded(self) -> None:
        """Until it is over, if it is stalled or soon ends by itself. Raises `Problem` upload-locked
        where it is alive."""
        count = self._count
        if await self._is_over_within(STALLED_SECONDS - (time.monotonic() - self._last)):
            return
        if self._count != count:
            raise locked()
        if self._patience and self._patience.when() is None:  # asked by nobody else yet
            self._patience.reschedule(asyncio.get_running_loop().time())
        if not await self._is_over_within(END_SECONDS):
            raise locked()

    async def _is_over_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._over.wait()
        except TimeoutError:
            return self._over.is_set()
        return True


class Turns:
    """One turn at a time for each upload."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}
        self._ending: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def free(self, upload_id: str) -> None:
        """Until nobody here writes to it: see `Turn.yielded`."""
        while turn := self._turns.get(upload_id):
            await turn.yielded()

    @asynccontextmanager
    async def taken(self, upload_id: str) -> AsyncIterator[Turn]:
        """A turn of one's own, once that of another is over. Raises `Problem` upload-locked."""
        await self.free(upload_id)
        turn = self._turns[upload_id] = Turn()
        try:
            yield turn
        finally:
            del self._turns[upload_id]
            turn.end()

    @asynccontextmanager
    async def ending(self, upload_id: str) -> AsyncIterator[None]:
        """Around making its segments a file: one at a time, as each may write all of it."""
        lock = self._ending.setdefault(upload_id, asyncio.Lock())  # gone once nobody has it
        async with lock:
            yield


def locked() -> Problem:
    """upload-locked (423), to be tried again soon."""
    return Problem("upload-locked", retry_after=1)
