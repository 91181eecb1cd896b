"""Uploads whose worker died or lost touch: they are taken back, and tried again (protocol P3)."""

import structlog

from api.records import stalled
from api.records.database import Database, Transaction, clock
from api.records.rows import UploadRow
from api.settings.settings import Settings
from api.telemetry.metrics import Metrics
from api.upkeep.each import Each, as_found
from api.upkeep.patience import Patience
from api.uploads.attempts import give_back

log = structlog.get_logger()


class LostLeases:
    """Takes uploads back from workers that are gone."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        metrics: Metrics,
        each: Each,
        patience: Patience,
    ) -> None:
        self._database = database
        self._settings = settings
        self._lease_ms = int(settings.lease_seconds * 1000)
        self._metrics = metrics
        self._each = each
        self._patience = patience

    async def take_back_lost_leases(self) -> None:
        """The upload is tried again, and its attempt counts if the worker was heard of."""
        if self._patience.lasts:
            return
        rows = await self._database.scan(stalled.lost_leases, self._lease_ms)
        if rows:
            now_ms = await self._database.scan(clock)
            hearing_since = now_ms - self._patience.heard_seconds * 1000
            await self._each(rows, lambda tx, row: self._take_back(tx, row, hearing_since))

    def _take_back(self, tx: Transaction, row: UploadRow, hearing_since: float) -> None:
        """`hearing_since` is when heartbeats began to come in, by the database's clock."""
        current = as_found(tx, row)
        self._patience.still_alive()
        if self._patience.lasts:
            return  # it hung since the leases were looked up
        if current and current.lease_until == row.lease_until:
            counted = (
                self._was_heard(current, hearing_since)
                or current.backoffs >= self._settings.max_attempts  # it may be what ends us, too
            )
            log.warning("lease_lost", upload_id=row.id, generation=row.generation, counted=counted)
            give_back(tx, current, self._settings, counted=counted, lost=True)
            self._metrics.leases_lost.inc()

    def _was_heard(self, row: UploadRow, hearing_since: float) -> bool:
        """Whether a heartbeat renewed the lease since heartbeats can come in. If not, its worker
        may have been stopped while nobody was there to take its upload back: no attempt counts."""
        return (row.lease_until or 0) >= hearing_since + self._lease_ms
