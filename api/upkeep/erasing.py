"""What is over: objects that nobody needs are ordered deleted, and what is left of purged forms."""

import time

from api.outside.queue import Queue
from api.records import cleaning, forms, stalled
from api.records.database import Database
from api.upkeep.each import Each


class Erasing:
    """Orders objects deleted, and erases purged forms of which nothing else is left."""

    def __init__(self, database: Database, queue: Queue, each: Each) -> None:
        self._database = database
        self._queue = queue
        self._each = each
        self._last_purging = ""

    async def order_cleaning(self) -> None:
        """Have a worker delete the prefixes that are due; it asks for them itself (protocol P7)."""
        if await self._database.scan(cleaning.is_due):
            await self._queue.order_cleaning(int(time.time() // 60))

    async def erase_purged(self) -> None:
        """Purged forms of which nothing is left but rows (protocol P10). Those that still wait for
        something are looked at in turns, a batch each sweep."""
        batch = await self._database.scan(stalled.purging, self._last_purging)
        erasable = await self._database.scan(stalled.erasable, batch)
        self._last_purging = batch[-1] if len(batch) == stalled.BATCH else ""
        await self._each(list(erasable), forms.erase)
