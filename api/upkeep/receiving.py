"""Resumable uploads that nobody drives on: those that are all here, and those left behind."""

import time

import structlog

from api.records import lifecycle, segments
from api.records.database import DatabaseUnavailable, Transaction
from api.records.rows import UploadRow
from api.services import Services
from api.texts.errors import Problem
from api.upkeep.each import Each, as_found
from api.uploads.finishing import finish
from shared.status import UploadStatus

log = structlog.get_logger()

IDLE_MS = 10_000
"""So long a request gets to finish what it brought the last byte of."""
ENOUGH_SECONDS = 5.0
"""After which a sweep begins with no other: joining segments may mean to copy gigabytes, and all
other duties wait."""


class Receiving:
    """Finishes what is all here, and ends what was never finished."""

    def __init__(self, services: Services, each: Each) -> None:
        self._services = services
        self._each = each
        self._keep_ms = services.settings.retention.receiving_ms

    async def finish_complete(self) -> None:
        """An api that died with the last byte acknowledged owes the upload its end."""
        scan = self._services.database.scan
        found = await scan(segments.complete, keep_ms=self._keep_ms, idle_ms=IDLE_MS)
        began = time.monotonic()
        for row in found:
            try:
                await finish(self._services, row.id)
            except DatabaseUnavailable:
                raise
            except Problem as problem:
                log.warning("upload_not_finished", upload_id=row.id, code=problem.code)
            if time.monotonic() - began > ENOUGH_SECONDS:
                return

    async def expire_abandoned(self) -> None:
        """End what nobody has sent bytes of for so long, and what is all here and could not become
        a file of its form in that time, as that was submitted."""
        database = self._services.database
        await self._each(await database.scan(segments.abandoned), self._expire)
        here = await database.scan(segments.receiving_bytes)
        self._services.staging.space.outstanding = here.outstanding

    def _expire(self, tx: Transaction, row: UploadRow) -> None:
        current = as_found(tx, row)
        if current and (current.received, current.deadline) == (row.received, row.deadline):
            lifecycle.end(tx, current, UploadStatus.EXPIRED)
            self._services.metrics.abandoned.inc()
            log.info("upload_abandoned", upload_id=row.id, form_id=row.form_id)
