"""The sweep: finds what nobody is driving on, and drives it on.

It only requeues or deletes. What it finds is found by an index, a batch at a time, so that a sweep
costs what there is to do and not what there is. Each thing it does is a guarded transaction of its
own: several replicas may sweep at once, and what fails is tried again by the next sweep.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import structlog

from api.records import cleaning, forms, staged, stalled, uploads, workers
from api.records.database import DatabaseUnavailable, Transaction
from api.records.rows import UploadRow
from api.services import Services
from api.staging.folders import INCOMING, QUARANTINE
from api.texts.errors import Problem
from api.texts.rejections import upload_error
from api.upkeep.ageing import Ageing
from api.uploads.attempts import give_back
from shared.policy import FilePolicy
from shared.status import UploadStatus
from shared.volume import STAGED

log = structlog.get_logger()
T = TypeVar("T")

BATCHES = 10
"""Batches of condemned bytes that one sweep unlinks at most: they come as fast as uploads do."""


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """So many at a time, in order."""
    return (items[first : first + size] for first in range(0, len(items), size))


class Sweep:
    """Runs until cancelled."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pause = services.settings.sweep_seconds
        self._lease = services.settings.lease_seconds
        self._hearing_since = time.monotonic()
        self._last_seen_alive = time.monotonic()
        self._last_purging = ""
        self._asked_until = 0
        self._ageing = Ageing(services, self._each)

    async def run(self) -> None:
        while True:
            await self.once()
            await asyncio.sleep(self._pause)

    async def once(self) -> None:
        """One sweep. A step that fails is logged and doesn't stop the others."""
        began = time.monotonic()
        self._still_alive()
        failed = [
            step.__name__
            for step in (
                self.wake_due,
                self.wake_forgotten,
                self.take_back_lost_leases,
                self.fail_overdue,
                self.order_cleaning,
                self.forget_done,
                self._ageing.date_drafts,
                self._ageing.warn_of_ending_bytes,
                self._ageing.drop_old_bytes,
                self._ageing.purge_old_forms,
                self._ageing.forget_begun_drafts,
                self.erase_purged,
                self.clear_volume,
            )
            if not await self._succeeds(step)
        ]
        self._services.metrics.swept(time.monotonic() - began, failed)

    async def _succeeds(self, step: Callable[[], Awaitable[None]]) -> bool:
        self._still_alive()
        try:
            await step()
        except DatabaseUnavailable:
            self._be_patient()
            log.warning("sweep_without_database", step=step.__name__)
        except Exception:
            log.exception("sweep_step_failed", step=step.__name__)
        else:
            return True
        return False

    def _still_alive(self) -> None:
        """Said between any two things the sweep does: where much time lies between them something
        hung, and heartbeats may have hung with it. Much to do is no reason to be patient."""
        now, before = time.monotonic(), self._last_seen_alive
        self._last_seen_alive = now
        if now - before > self._pause + self._lease / 2:
            self._be_patient()

    def _be_patient(self) -> None:
        """Every lease looks lost after a time in which no heartbeat could come in: take none back
        for one lease (protocol P3)."""
        self._hearing_since = time.monotonic()

    def _is_patient(self) -> bool:
        return time.monotonic() < self._hearing_since + self._lease

    # --- uploads that wait for a worker

    async def wake_due(self) -> None:
        """Enqueue what is staged and due, unless the queue is long already."""
        if await self._queue_takes_more():
            rows = await self._services.database.scan(stalled.due)
            await self._wake(rows)

    async def wake_forgotten(self) -> None:
        """Enqueue anew what the queue no longer holds: a Redis that came back empty has forgotten
        its jobs, and their next wake-ups may be minutes away. A batch each sweep, in turns."""
        if not await self._queue_takes_more():
            return
        found, now = await self._services.database.scan(
            lambda conn: (stalled.woken(conn, self._asked_until), uploads.clock(conn))
        )
        self._asked_until = found[-1].wake_at if len(found) == stalled.BATCH else 0
        # A job that ended without a claim is no longer held either: no reason to hurry.
        rows = [row for row in found if stalled.last_woken(row) <= now - stalled.FIRST_WAKE_MS]
        held = await self._services.queue.holds([(row.id, row.wake) for row in rows])
        await self._wake([row for row in rows if (row.id, row.wake) not in held])

    async def _queue_takes_more(self) -> bool:
        length = await self._services.queue.length()
        return length is not None and length <= self._services.settings.queue_high_water

    async def _wake(self, rows: list[UploadRow]) -> None:
        services = self._services
        for some in batched(rows, services.database.at_once):
            self._still_alive()
            counted = await asyncio.gather(
                *(services.database.write(stalled.count_wake, row) for row in some),
                return_exceptions=True,
            )
            due = [
                (row.id, wake)
                for row, wake in zip(some, counted, strict=True)
                if isinstance(wake, int)
            ]
            is_there = not due or await services.queue.wake(due)
            for error in counted:  # after it: what was counted has been woken
                if isinstance(error, BaseException):
                    raise error
            if not is_there:
                return  # Redis is away: the rest keeps its turn

    async def take_back_lost_leases(self) -> None:
        """A worker that died or lost touch: the upload is tried again, and its attempt counts if
        the worker was heard of."""
        if self._is_patient():
            return
        services = self._services
        rows = await services.database.scan(stalled.lost_leases, int(self._lease * 1000))
        await self._each(rows, self._take_back)

    def _take_back(self, tx: Transaction, row: UploadRow) -> None:
        current = self._unchanged(tx, row)
        self._still_alive()
        if self._is_patient():
            return  # it hung since the leases were looked up
        if current and current.lease_until == row.lease_until:
            settings = self._services.settings
            counted = (
                self._was_heard(tx, current)
                or current.backoffs >= settings.max_attempts  # it may be what ends us, too
            )
            log.warning("lease_lost", upload_id=row.id, generation=row.generation, counted=counted)
            give_back(tx, current, settings, counted=counted, lost=True)
            self._services.metrics.leases_lost.inc()

    def _was_heard(self, tx: Transaction, row: UploadRow) -> bool:
        """Whether a heartbeat renewed the lease since heartbeats can come in. If not, its worker
        may have been stopped while nobody was there to take its upload back: no attempt counts."""
        heard_for = time.monotonic() - self._hearing_since
        hearing_since = uploads.clock(tx.conn) - heard_for * 1000
        return (row.lease_until or 0) >= hearing_since + self._lease * 1000

    async def fail_overdue(self) -> None:
        """Past its deadline: visibly `failed`, with its bytes kept."""
        rows = await self._services.database.scan(stalled.overdue)
        await self._each(rows, self._fail)

    def _fail(self, tx: Transaction, row: UploadRow) -> None:
        current = self._unchanged(tx, row)
        if current and current.deadline == row.deadline:
            policy = FilePolicy.model_validate(row.policy)
            error = upload_error("deadline-passed", {}, policy)
            uploads.transition(tx, current, UploadStatus.FAILED, error=error)
            log.error("upload_overdue", upload_id=row.id, form_id=row.form_id)

    async def _each(self, items: Sequence[T], act: Callable[[Transaction, T], None], /) -> None:
        """One transaction an item, a row or the id of one, so that one nobody can handle doesn't
        hold up the others; some at once, so that whoever else writes has their turn between."""
        database = self._services.database
        for some in batched(items, database.at_once):
            self._still_alive()
            done = await asyncio.gather(
                *(database.write(act, item) for item in some), return_exceptions=True
            )
            for item, error in zip(some, done, strict=True):
                if isinstance(error, Problem) or not isinstance(error, Exception | None):
                    raise error  # the database is away: so it is for the next one
                if error:
                    log.error("sweep_row_failed", id=getattr(item, "id", item), exc_info=error)

    def _unchanged(self, tx: Transaction, row: UploadRow) -> UploadRow | None:
        """The row under its form's lock, if it is still in the state it was found in."""
        forms.lock_any(tx, row.form_id)
        current = uploads.get(tx.conn, row.id)
        same = current and (current.status, current.generation) == (row.status, row.generation)
        return current if same else None

    # --- what is over

    async def order_cleaning(self) -> None:
        """Have a worker delete the prefixes that are due; it asks for them itself."""
        due = await self._services.database.scan(cleaning.is_due)
        if due:
            await self._services.queue.order_cleaning(int(time.time() // 60))

    async def forget_done(self) -> None:
        """Rows that have served: prefixes cleaned for good, names of orphans long gone, workers
        that ended."""
        kept_ms = int((self._services.settings.quarantine_seconds + 86_400) * 1000)
        cleaned, names, silent = await self._services.database.scan(
            lambda conn: (
                cleaning.done(conn),
                staged.long_condemned(conn, kept_ms),
                workers.silent(conn),
            )
        )

        def forgotten(tx: Transaction) -> None:
            cleaning.forget(tx, cleaned)
            staged.forget(tx, names)
            workers.forget(tx, silent)

        if cleaned or names or silent:
            await self._services.database.write(forgotten)

    async def erase_purged(self) -> None:
        """Purged forms of which nothing is left but rows. Those that still wait for something are
        looked at in turns, a batch each sweep."""
        batch = await self._services.database.scan(stalled.purging, self._last_purging)
        erasable = await self._services.database.scan(stalled.erasable, batch)
        self._last_purging = batch[-1] if len(batch) == stalled.BATCH else ""
        await self._each(sorted(erasable), forms.erase)

    # --- the volume

    async def clear_volume(self) -> None:
        """Only a volume that is known to be ours is touched (protocol P5)."""
        if await self._services.mount.matches():
            await self.unlink_condemned()
            await self.quarantine_orphans()

    async def unlink_condemned(self) -> None:
        """Condemned by a committed transaction: unlink, then say so (protocol P5)."""
        services = self._services
        after = ""
        for _ in range(BATCHES):
            names = await services.database.scan(stalled.condemned, after)
            gone = await services.staging.delete_all(names)
            if gone:
                await services.database.write(stalled.mark_gone, gone)
            if len(names) < stalled.BATCH:
                return
            after = names[-1]

    async def quarantine_orphans(self) -> None:
        """Files that no upload owns: half-received ones go, whole ones are kept aside first."""
        services, settings = self._services, self._services.settings
        await self._drop_old(INCOMING, settings.orphan_seconds)
        old = await services.staging.next_older_than(STAGED, settings.orphan_seconds)
        unowned = set(old) - await services.database.scan(staged.owned, old)
        if unowned:
            orphans = await services.database.write(staged.condemn, unowned)
            for name in orphans:
                await services.staging.quarantine(name)
                services.metrics.orphans.inc()
                log.warning("orphan_quarantined", name=name)
        await self._drop_old(QUARANTINE, settings.quarantine_seconds)

    async def _drop_old(self, folder: str, seconds: float) -> None:
        for name in await self._services.staging.next_older_than(folder, seconds):
            await self._services.staging.drop(folder, name)
