"""How much waits: asked of the database, so that it is right across replicas."""

import asyncio
import time
from dataclasses import dataclass

from sqlalchemy import Connection

from api.records import aged, segments, waiting, workers
from api.records.aged import OnVolume
from api.records.database import Database
from api.records.segments import ReceivingBytes
from api.settings.settings import Settings
from api.texts.errors import Problem

FRESH_SECONDS = 5.0
ANSWER_SECONDS = 3.0
"""Well within a scrape: that the database is silent is what has to be told."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the database said, for all replicas."""

    by_status: dict[str, int]
    """`receiving`, `staged`, `processing` and `failed`."""
    oldest_pending_seconds: float
    """Since the oldest upload that waits for us was acknowledged; 0 without one."""
    cleanings: dict[str, int]
    """Prefixes to be deleted: `due`, and `later`."""
    quarantined: int
    receiving_bytes: ReceivingBytes
    on_volume: dict[str, OnVolume]
    """Bytes of uploads on the volume, by status."""
    ending_soon: int
    """Failed uploads whose bytes go soon, if nobody looks at them."""
    workers: workers.Living


class Backlog:
    """Asks at most every few seconds, however many ask it."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._known: Waiting | None = None
        self._asked = 0.0
        self._asking = asyncio.Lock()

    async def read(self) -> Waiting | None:
        """None when the database can't be asked."""
        async with self._asking:
            if not self._asked or time.monotonic() - self._asked > FRESH_SECONDS:
                self._known = await self._ask()
                self._asked = time.monotonic()
        return self._known

    async def _ask(self) -> Waiting | None:
        kept_ms = int(self._settings.quarantine_seconds * 1000)
        retention = self._settings.retention
        warn_ms = max(retention.failed_ms - retention.failed_warning_ms, 0)

        def counted(conn: Connection) -> Waiting:
            statuses = waiting.by_status(conn)
            receiving = segments.receiving_bytes(conn)
            _, receiving_ms = statuses["receiving"]
            pending_ms = [
                age for status, (_, age) in statuses.items() if status not in waiting.NOT_OURS
            ]
            return Waiting(
                by_status={status: count for status, (count, _) in statuses.items()},
                oldest_pending_seconds=max([0, *pending_ms]) / 1000,
                cleanings=waiting.cleanings_due_and_later(conn),
                quarantined=waiting.orphans(conn, kept_ms),
                receiving_bytes=receiving,
                on_volume={"receiving": OnVolume(receiving.here, receiving_ms)}
                | aged.on_volume(conn),
                ending_soon=aged.ending_soon(conn, warn_ms),
                workers=workers.living(conn),
            )

        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._database.scan(counted)
        except (Problem, TimeoutError):
            return None
