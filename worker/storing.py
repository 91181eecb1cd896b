"""Who may put, and what was checked and waits for it.

Checking and putting have places of their own: a store that is away holds up the storing alone. What
waits has a place of neither kind, keeps its files in scratch and its lease, and is bounded.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from shared.causes import Cause
from worker.bell import Bell
from worker.breaker import Breaker
from worker.errors import TransientError
from worker.object_store import concerns_store

PUT_TRIES = 3
"""Of one claim. What the store never takes is given back then, with a pause that doubles: it opens
the breaker for the others now and then, and not for ever."""

log = structlog.get_logger()


class Storing:
    """The room for what was checked, and the places of those that are put."""

    def __init__(self, breaker: Breaker, *, puts: int, uploads: int, scratch_bytes: int) -> None:
        self.breaker = breaker
        self._max_puts, self._max_uploads, self._max_bytes = puts, uploads, scratch_bytes
        self._puts = self._bytes = 0
        self.uploads = 0
        """Checked, and not yet done with: they wait for the store, or are being put."""
        self._stopping = False
        self._bell = Bell()
        self._door, self._queue = asyncio.Lock(), asyncio.Lock()  # first come, first served
        breaker.on_change.append(self._bell.ring)

    def stop(self) -> None:
        """What has no place now gets none: the next worker is to have it at once."""
        self._stopping = True
        self._bell.ring()

    def refuse_without_room(self, scratch_bytes: int) -> None:
        """Raise `TransientError` when the store is away and there is no room to wait for it."""
        if self.breaker.cause and not self._has_room(scratch_bytes):
            detail = f"{self.uploads} uploads wait for it already"
            raise TransientError(self.breaker.cause, counted=False, detail=detail)

    def refuse_without_store(self) -> None:
        """Raise `TransientError` when the store is away, before anything is fetched from it."""
        if self.breaker.cause:
            raise TransientError(self.breaker.cause, counted=False, detail="the bytes are there")

    @asynccontextmanager
    async def room(self, scratch_bytes: int) -> AsyncIterator[None]:
        """Room for one upload that was checked, and for its files in scratch.

        Waits for it while the store takes puts. Raises `TransientError` when it doesn't: then
        nobody knows when there would be any, and there may be a bad file behind this one.
        """
        async with self._door:
            while not self._has_room(scratch_bytes):
                self.refuse_without_room(scratch_bytes)
                await self._something_changes()
            self.uploads += 1
            self._bytes += scratch_bytes
        try:
            yield
        finally:
            self.uploads -= 1
            self._bytes -= scratch_bytes
            self._bell.ring()

    async def put(self, put: Callable[[], Awaitable[None]]) -> None:
        """Call `put` with a place, while the breaker is closed; again when the store failed.

        Raises what `put` raises for the upload's own sake, and `TransientError("shutdown")` for
        what has to wait when the worker is stopping.
        """
        for more in reversed(range(PUT_TRIES)):
            try:
                async with self._place():
                    await put()
                    return
            except TransientError as error:
                if not (more and concerns_store(error)):
                    raise
                level = log.error if error.cause == Cause.STORE_REFUSED else log.warning
                level("put_postponed", reason=str(error))

    def _has_room(self, scratch_bytes: int) -> bool:
        """A file larger than all the room gets it when nothing else has any."""
        fits = self._bytes + scratch_bytes <= self._max_bytes or not self._bytes
        return self.uploads < self._max_uploads and fits

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        async with self._queue:
            while self.breaker.is_open or self._puts >= self._max_puts:
                await self._something_changes()
            self._puts += 1
        try:
            yield
        finally:
            self._puts -= 1
            self._bell.ring()

    async def _something_changes(self) -> None:
        if self._stopping:
            raise TransientError(Cause.SHUTDOWN, counted=False)
        await self._bell.heard()
