"""Uploads that wait for a worker: one is woken for them, again and again (protocol P4)."""

from api.outside.queue import Queue
from api.records import stalled, wake_ups
from api.records.database import Database, clock
from api.records.rows import UploadRow


class Waking:
    """Puts jobs on the queue for uploads that are due, and for those that it has forgotten."""

    def __init__(self, database: Database, queue: Queue, *, high_water: int) -> None:
        """Above `high_water` jobs on the queue nothing more is enqueued."""
        self._database = database
        self._queue = queue
        self._high_water = high_water
        self._asked_until = 0

    async def wake_due(self) -> None:
        """Enqueue what is staged and due, unless the queue is long already."""
        if await self._queue_takes_more():
            await self._wake(await self._database.scan(stalled.due))

    async def wake_forgotten(self) -> None:
        """Enqueue anew what the queue no longer holds: a Redis that came back empty has forgotten
        its jobs, and their next wake-ups may be minutes away. A batch each sweep, in turns."""
        if not await self._queue_takes_more():
            return
        found, now = await self._database.scan(
            lambda conn: (stalled.woken(conn, self._asked_until), clock(conn))
        )
        self._asked_until = found[-1].wake_at if len(found) == stalled.BATCH else 0
        # A job that ended without a claim is no longer held either: no reason to hurry.
        rows = [row for row in found if stalled.last_woken(row) <= now - wake_ups.FIRST_MS]
        held = await self._queue.holds([(row.id, row.wake) for row in rows])
        await self._wake([row for row in rows if (row.id, row.wake) not in held])

    async def _queue_takes_more(self) -> bool:
        length = await self._queue.length()
        return length is not None and length <= self._high_water

    async def _wake(self, rows: list[UploadRow]) -> None:
        """Counted first: a number that was never used does no harm, one used twice wakes nobody."""
        wakes = await self._database.write(stalled.count_wakes, rows) if rows else []
        if wakes:
            await self._queue.wake(wakes)
