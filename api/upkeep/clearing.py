"""The volume is cleared of condemned bytes, and of files that no upload owns (protocol P5)."""

import structlog

from api.records import segments, staged, stalled
from api.records.database import Database
from api.staging.folders import INCOMING, QUARANTINE, SEGMENTS
from api.staging.mount import Mount
from api.staging.staging import Staging
from api.telemetry.metrics import Metrics
from shared.volume import STAGED

log = structlog.get_logger()

BATCHES = 10
"""Batches of condemned bytes that one sweep unlinks at most: they come as fast as uploads do."""


class Clearing:
    """Takes off the volume what nobody needs there."""

    def __init__(
        self,
        database: Database,
        staging: Staging,
        mount: Mount,
        metrics: Metrics,
        *,
        orphan_seconds: float,
        quarantine_seconds: float,
    ) -> None:
        """A file that nobody owns is an orphan after `orphan_seconds`, and kept aside for
        `quarantine_seconds`."""
        self._database = database
        self._staging = staging
        self._mount = mount
        self._metrics = metrics
        self._orphan_seconds = orphan_seconds
        self._quarantine_seconds = quarantine_seconds

    async def clear_volume(self) -> None:
        """Only a volume that is known to be ours is touched."""
        if await self._mount.matches():
            await self.unlink_segments()
            await self.unlink_condemned()
            await self.quarantine_orphans()

    async def unlink_segments(self) -> None:
        """Of uploads that are whole by now, or have ended: unlink, then forget."""
        after = ""
        for _ in range(BATCHES):
            names = await self._database.scan(segments.condemned, after)
            gone = await self._staging.delete_all(names, SEGMENTS)
            if gone:
                await self._database.write(segments.forget, gone)
            if len(names) < segments.BATCH:
                return
            after = names[-1]

    async def unlink_condemned(self) -> None:
        """Condemned by a committed transaction: unlink, then say so."""
        after = ""
        for _ in range(BATCHES):
            names = await self._database.scan(stalled.condemned, after)
            gone = await self._staging.delete_all(names)
            if gone:
                await self._database.write(stalled.mark_gone, gone)
            if len(names) < stalled.BATCH:
                return
            after = names[-1]

    async def quarantine_orphans(self) -> None:
        """Files that no upload owns: half-received ones go, whole ones are kept aside first."""
        await self._drop_old(INCOMING, self._orphan_seconds)
        await self._drop_unowned_segments()
        old = await self._staging.next_older_than(STAGED, self._orphan_seconds)
        unowned = set(old) - await self._database.scan(staged.owned, old)
        if unowned:
            orphans = await self._database.write(staged.condemn, unowned)
            for name in orphans:
                await self._staging.quarantine(name)
                self._metrics.orphans.inc()
                log.warning("orphan_quarantined", name=name)
        await self._drop_old(QUARANTINE, self._quarantine_seconds)

    async def _drop_unowned_segments(self) -> None:
        """Nothing of them was acknowledged, and nothing will be: see `quarantine_orphans`."""
        old = await self._staging.next_older_than(SEGMENTS, self._orphan_seconds)
        unowned = set(old) - await self._database.scan(staged.owned, old)
        if unowned:
            for name in await self._database.write(staged.condemn, unowned):
                await self._staging.drop(SEGMENTS, name)

    async def _drop_old(self, folder: str, seconds: float) -> None:
        for name in await self._staging.next_older_than(folder, seconds):
            await self._staging.drop(folder, name)
