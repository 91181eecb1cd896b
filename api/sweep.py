"""The sweep: finds what nobody is driving on, and drives it on.

Every few seconds: wake what is staged and due, take back lost leases, end what is past its
deadline, unlink condemned bytes, quarantine orphans, order doomed prefixes cleaned, erase purged
forms. It only requeues or deletes; each step is a guarded transaction, so that several replicas
may sweep at once, and a step that fails is tried again by the next sweep.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from api.errors import Problem
from api.records import cleaning, forms, staged, stalled, uploads
from api.records.database import DatabaseUnavailable, Transaction
from api.records.rows import UploadRow
from api.rejections import upload_error
from api.services import Services
from api.staging import INCOMING, QUARANTINE
from api.work import give_back
from shared.form_definition import FilePolicy
from shared.status import UploadStatus
from shared.volume import STAGED

log = structlog.get_logger()


class Sweep:
    """Runs until cancelled."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pause = services.settings.sweep_seconds
        self._lease = services.settings.lease_seconds
        self._patience_until = 0.0
        self._be_patient()
        self._last_began = time.monotonic()

    async def run(self) -> None:
        while True:
            await self.once()
            await asyncio.sleep(self._pause)

    async def once(self) -> None:
        """One sweep. A step that fails is logged and doesn't stop the others."""
        began, before = time.monotonic(), self._last_began
        self._last_began = began
        if began - before > self._pause + self._lease / 2:
            self._be_patient()  # something hung: heartbeats may have hung with it
        for step in (
            self.wake_due,
            self.take_back_lost_leases,
            self.fail_overdue,
            self.order_cleaning,
            self.forget_done,
            self.erase_purged,
            self.clear_volume,
        ):
            try:
                await step()
            except DatabaseUnavailable:
                self._be_patient()
                log.warning("sweep_without_database", step=step.__name__)
            except Exception:
                log.exception("sweep_step_failed", step=step.__name__)

    def _be_patient(self) -> None:
        """Every lease looks lost after a time in which no heartbeat could come in: take none back
        for one lease (protocol P3)."""
        self._patience_until = time.monotonic() + self._lease

    async def wake_due(self) -> None:
        """Enqueue what is staged and due, unless the queue is long already."""
        services = self._services
        length = await services.queue.length()
        if length is None or length > services.settings.queue_high_water:
            return
        async with services.database.read() as conn:
            rows = await stalled.due(conn)
        for row in rows:
            async with services.database.write() as tx:
                wake = await stalled.count_wake(tx, row)
            if wake is not None and not await services.queue.wake(row.id, wake):
                return  # Redis is away: the rest keeps its turn

    async def take_back_lost_leases(self) -> None:
        """A worker that died or lost touch: its attempt counts, the upload is tried again."""
        if time.monotonic() < self._patience_until:
            return
        services = self._services
        async with services.database.read() as conn:
            rows = await stalled.lost_leases(conn, int(self._lease * 1000))
        await self._each(rows, self._take_back)

    async def _take_back(self, tx: Transaction, row: UploadRow) -> None:
        current = await self._unchanged(tx, row)
        if current and current.lease_until == row.lease_until:
            await give_back(tx, current, self._services.settings, counted=True)
            log.warning("lease_lost", upload_id=row.id, generation=row.generation)

    async def fail_overdue(self) -> None:
        async with self._services.database.read() as conn:
            rows = await stalled.overdue(conn)
        await self._each(rows, self._fail)

    async def _fail(self, tx: Transaction, row: UploadRow) -> None:
        current = await self._unchanged(tx, row)
        if current and current.deadline == row.deadline:
            policy = FilePolicy.model_validate(row.policy)
            error = upload_error("deadline-passed", {}, policy)
            await uploads.transition(tx, current, UploadStatus.FAILED, error=error)
            log.error("upload_overdue", upload_id=row.id, form_id=row.form_id)

    async def _each(
        self, rows: list[UploadRow], act: Callable[[Transaction, UploadRow], Awaitable[None]]
    ) -> None:
        """One transaction a row, so that a row nobody can handle doesn't hold up the others."""
        for row in rows:
            try:
                async with self._services.database.write() as tx:
                    await act(tx, row)
            except Problem:
                raise  # the database is away: so it is for the next row
            except Exception:
                log.exception("sweep_row_failed", upload_id=row.id)

    async def order_cleaning(self) -> None:
        async with self._services.database.read() as conn:
            due = await cleaning.is_due(conn)
        if due:
            await self._services.queue.order_cleaning(int(time.time() // 60))

    async def erase_purged(self) -> None:
        async with self._services.database.read() as conn:
            form_ids = await stalled.purged(conn)
        for form_id in form_ids:
            async with self._services.database.write() as tx:
                await forms.erase(tx, form_id)

    async def forget_done(self) -> None:
        """Rows that have served: prefixes cleaned for good, names of orphans long gone."""
        kept_ms = int((self._services.settings.quarantine_seconds + 86_400) * 1000)
        async with self._services.database.write() as tx:
            await cleaning.forget_done(tx)
            await staged.forget_condemned(tx, kept_ms)

    async def clear_volume(self) -> None:
        """Only a volume that is known to be ours is touched (protocol P5)."""
        if await self._services.volume.matches():
            await self.unlink_condemned()
            await self.quarantine_orphans()

    async def unlink_condemned(self) -> None:
        """Condemned by a committed transaction: unlink, then say so (protocol P5)."""
        services = self._services
        async with services.database.read() as conn:
            names = await stalled.condemned(conn)
        for name in names:
            await services.staging.delete(name)
        if names:
            async with services.database.write() as tx:
                await stalled.mark_gone(tx, names)

    async def quarantine_orphans(self) -> None:
        """Files that no upload owns: half-received ones go, whole ones are kept aside first."""
        services = self._services
        age = services.settings.orphan_seconds
        async for name in services.staging.older_than(INCOMING, age):
            await services.staging.drop(INCOMING, name)
        old = [name async for name in services.staging.older_than(STAGED, age)]
        async with services.database.read() as conn:
            owned = await staged.owned(conn, old)
        for name in set(old) - owned:
            async with services.database.write() as tx:
                orphaned = await staged.condemn(tx, name)
            if orphaned:
                await services.staging.quarantine(name)
                log.warning("orphan_quarantined", name=name)
        kept = services.settings.quarantine_seconds
        async for name in services.staging.older_than(QUARANTINE, kept):
            await services.staging.drop(QUARANTINE, name)

    async def _unchanged(self, tx: Transaction, row: UploadRow) -> UploadRow | None:
        """The row under its form's lock, if it is still in the state it was found in."""
        await forms.lock_any(tx, row.form_id)
        current = await uploads.get(tx.conn, row.id)
        same = current and (current.status, current.generation) == (row.status, row.generation)
        return current if same else None
