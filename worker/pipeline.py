"""Promote one upload: open → scan → validate → convert → put → report.

A job of the queue lasts until the file is checked; what follows goes on beside it. So the queue's
places are those of checking, and `worker/storing.py` has those of putting.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog

from shared.causes import Cause
from shared.crash_points import reached
from shared.ids import new_id
from shared.internal_api import (
    Failed,
    Outcome,
    Rejected,
    Retry,
    Scan,
    Stored,
    StoredObject,
    WorkOrder,
)
from shared.status import Stage
from worker.checking import Checking
from worker.errors import FileRejected, TransientError
from worker.flagging import Checked
from worker.object_store import ObjectStore, metadata_of
from worker.office.converter import Office
from worker.processing import Processing
from worker.records_client import (
    STALE,
    OutcomeRefused,
    Over,
    RecordsClient,
    RecordsUnavailable,
)
from worker.sandbox import Decoder, Output
from worker.scanner import Scanner
from worker.settings import Settings
from worker.staged_file import BytesGone
from worker.stages import Stages
from worker.storing import Storing

log = structlog.get_logger()

CLAIM_SECONDS = 15.0
REPORT_MARGIN = 30.0
"""Beyond the order's work time, to get the outcome into the record."""
HAND_IN_SECONDS = 4.5
"""For all cancelled promotions together; the supervisor's patience is longer."""
KNOWN = 10_000
"""Uploads that a worker remembers to be good, of which each takes some hundred bytes."""
_ALARMS = {Cause.OFFICE, Cause.STORE_REFUSED, Cause.SCANNER_REFUSED}
"""Causes for which somebody has to act."""


class Promoter:
    """Promotes uploads, and owns those that are checked and not yet stored."""

    def __init__(
        self,
        records: RecordsClient,
        store: ObjectStore,
        storing: Storing,
        decoder: Decoder,
        settings: Settings,
        scanner: Scanner | None = None,
        office: Office | None = None,
    ) -> None:
        self._records = records
        self._store = store
        self._storing = storing
        self._settings = settings
        processing = Processing(settings, decoder, office)
        self._checking = Checking(settings.staging_dir, store, processing, scanner)
        self._known_good: dict[str, int] = {}
        """Uploads that were checked here and not stored: the bytes that were made of each."""
        self._running: set[asyncio.Task[None]] = set()
        self._stopping_until: float | None = None
        self._over = asyncio.Event()

    async def promote(self, upload_id: str) -> None:
        """Claim the upload and check it, or leave it to who owns it; drive it to an outcome.

        Returns when there is an outcome, or else as soon as the file is checked and has its room:
        the rest goes on until `end`. Never raises for what the world does: a job that raises is
        final to the queue, and whatever isn't reported here is found by the api's sweep.

        A job may begin after `end` has, when the queue's library was told to cancel it in a moment
        in which nothing heard it. It claims nothing, or hands on what it was granted: nobody would
        wait for it, or end it.
        """
        if self._over.is_set():
            return
        claim = self._records.claim(upload_id, new_id("clm"), seconds=CLAIM_SECONDS)
        claiming = asyncio.ensure_future(claim)
        try:
            order = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            await self._hand_in_claimed(claiming)
            raise
        except Over as over:
            log.info("claim_over", upload_id=upload_id, code=over.code)
            return
        except (RecordsUnavailable, OutcomeRefused) as error:
            log.warning("claim_failed", upload_id=upload_id, reason=str(error))
            return
        if self._over.is_set():
            await self._hand_in(order)
            return
        promotion = asyncio.create_task(self._promote(order, stages := Stages()))
        self._running.add(promotion)
        promotion.add_done_callback(self._ended)
        promotion.add_done_callback(lambda _: stages.checked.set())
        try:
            await stages.checked.wait()
        except asyncio.CancelledError:
            promotion.cancel()
            await asyncio.wait([promotion])
            raise

    def stop(self, seconds: float) -> None:
        """The worker was told to stop: what waits for the store is handed on at once, what is
        being put has `seconds`. Only the first call counts."""
        if self._stopping_until is None:
            self._stopping_until = asyncio.get_running_loop().time() + seconds
            self._storing.stop()

    async def end(self, seconds: float) -> None:
        """Wait for what may still end after `stop`; have the rest hand in its uploads, for which
        there are `seconds` more."""
        left = (self._stopping_until or 0) - asyncio.get_running_loop().time()
        if self._running:
            await asyncio.wait(self._running, timeout=max(left, 0))
        self._over.set()
        for each in self._running:
            if not each.cancelling():  # a second time would interrupt its handing in
                each.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    def _ended(self, promotion: "asyncio.Task[None]") -> None:
        self._running.discard(promotion)
        if not promotion.cancelled() and (error := promotion.exception()):
            log.error("promotion_broke", exc_info=error)  # its lease will run out

    async def _promote(self, order: WorkOrder, stages: Stages) -> None:
        structlog.contextvars.bind_contextvars(  # of this task alone
            upload_id=order.upload_id,
            form_id=order.form_id,
            generation=order.generation,
            request_id=order.request_id,
        )
        reached("worker-after-claim")
        log.info("promotion_started", attempt=order.attempt, size=order.size)
        until = asyncio.get_running_loop().time() + order.work_seconds + REPORT_MARGIN
        async with AsyncExitStack() as kept:
            work = asyncio.ensure_future(self._outcome(order, stages, kept))
            beating = asyncio.create_task(self._beat(order, stages, work))
            try:
                await self._work_and_report(order, stages, work, beating, until)
            finally:
                beating.cancel()

    async def _work_and_report(
        self,
        order: WorkOrder,
        stages: Stages,
        work: "asyncio.Task[Outcome]",
        beating: "asyncio.Task[None]",
        until: float,
    ) -> None:
        reporting: asyncio.Task[None] | None = None
        try:
            outcome = await asyncio.shield(work)
            reached("worker-before-report")
            stages.show(Stage.ATTACHING)
            reporting = asyncio.create_task(self._report(order, outcome, until))
            await asyncio.shield(reporting)
        except asyncio.CancelledError:
            # A lease that is renewed by who is about to end would count an attempt when it is lost:
            # an api that starts at the same time may hear the heartbeat, and not the handing in.
            beating.cancel()
            work.cancel()
            if stages.lost:
                await asyncio.wait([work])
                await self._delete_own(order)
                return
            if reporting:  # it may be within a long pause; the same outcome may well come twice
                reporting.cancel()
                await asyncio.wait([reporting])
            await self._hand_in(order, work)
            await asyncio.wait([work])  # what it has to take back may outlast the handing in
            raise

    async def _report(self, order: WorkOrder, outcome: Outcome, until: float) -> None:
        """Patch the form record. What a stale generation put is deleted."""
        left = until - asyncio.get_running_loop().time()
        try:
            await self._records.report(order, outcome, seconds=left)
            reached("worker-after-report")
            log.info("promotion_ended", outcome=outcome.outcome)
        except OutcomeRefused as error:
            log.error("outcome_refused", reason=str(error))
            if not isinstance(outcome, Retry):  # else nothing is left to say: the lease runs out
                await self._report(order, _retry(order, Cause.REFUSED, counted=True), until)
        except RecordsUnavailable as error:
            log.error("outcome_not_reported", reason=str(error))
        except Over as over:
            log.warning("outcome_over", code=over.code)
            if over.code == STALE:
                await self._delete_own(order)

    async def _outcome(self, order: WorkOrder, stages: Stages, kept: AsyncExitStack) -> Outcome:
        """What became of the file. Every way it can end has an outcome."""
        ids = {"upload_id": order.upload_id, "generation": order.generation}
        try:
            async with asyncio.timeout(order.work_seconds):
                return await self._store_it(order, stages, kept)
        except FileRejected as bad:
            return Rejected(
                **ids,
                code=bad.code,
                params=bad.params,
                detected_type=bad.detected_type,
                scan=stages.scan,
            )
        except BytesGone as error:
            log.error("bytes_gone", code=error.code)
            return Failed(**ids, code=error.code)
        except TransientError as error:
            level = log.error if error.cause in _ALARMS else log.warning
            level("promotion_given_back", cause=error.cause, detail=error.detail)
            return _retry(order, error.cause, counted=error.counted)
        except TimeoutError:
            slow_store = stages.now is Stage.STORING  # not the file's doing
            slow_scanner = stages.now is Stage.SCANNING
            cause = (self._storing.breaker.cause if slow_store else None) or Cause.DEADLINE
            log.warning("promotion_given_back", cause=cause, stage=stages.now)
            return _retry(order, cause, counted=not (slow_store or slow_scanner))
        except Exception:
            log.exception("promotion_broke")
            return _retry(order, Cause.UNEXPECTED, counted=True)

    async def _store_it(self, order: WorkOrder, stages: Stages, kept: AsyncExitStack) -> Stored:
        """Check the file and put what becomes of it. Its room is `kept` until it is reported.

        Bytes and policy of an upload never change. One that is known to be good and would find no
        room isn't checked again: those that may be bad are to be found soon.
        """
        if order.upload_id in self._known_good:
            self._storing.refuse_without_room(self._known_good[order.upload_id])
        if order.from_key:
            self._storing.refuse_without_store()
        async with _scratch(self._settings.scratch_dir) as scratch:
            checked = await self._checking.check(order, stages, scratch)
            reached("worker-after-check")
            stages.show(Stage.STORING)
            outputs = checked.processed.outputs
            made = sum(each.size for each in outputs if each.path.parent == scratch)
            self._remember(order.upload_id, made)
            await kept.enter_async_context(self._storing.room(made))
            stages.checked.set()
            await self._storing.put(lambda: self._put_all(order, checked))
        self._known_good.pop(order.upload_id, None)
        return _stored(order, checked, stages.scan)

    def _remember(self, upload_id: str, made: int) -> None:
        self._known_good[upload_id] = made
        if len(self._known_good) > KNOWN:
            del self._known_good[next(iter(self._known_good))]

    async def _put_all(self, order: WorkOrder, checked: Checked) -> None:
        metadata = metadata_of(order, checked.processed.detected_type)
        try:
            async with asyncio.TaskGroup() as puts:
                for output in checked.processed.outputs:
                    puts.create_task(
                        self._store.put(
                            output.path,
                            checked.prefix + output.name,
                            content_type=output.content_type,
                            size=output.size,
                            sha256=output.sha256,
                            metadata=metadata,
                            hashed=output.hashed,
                        )
                    )
        except ExceptionGroup as group:
            raise group.exceptions[0] from group

    async def _beat(
        self, order: WorkOrder, stages: Stages, work: "asyncio.Future[Outcome]"
    ) -> None:
        """Renew the lease while the work goes on; stop the work when it is no longer ours."""
        while True:
            await stages.changed_or(order.heartbeat_seconds)
            if not await self._records.heartbeat(order, stages.now):
                if not work.done():  # else the outcome was applied, and its answer is on the way
                    log.warning("lease_lost")
                    stages.lost = True
                    work.cancel()
                return

    async def _hand_in_claimed(self, claiming: "asyncio.Future[WorkOrder]") -> None:
        """The worker is stopping with a claim on its way: should it be granted, hand it on too, or
        the upload would wait for the end of a lease that nobody works under."""
        with contextlib.suppress(RecordsUnavailable, Over, TimeoutError):
            async with asyncio.timeout(HAND_IN_SECONDS):
                order = await claiming
                await self._hand_in(order)

    async def _hand_in(
        self, order: WorkOrder, work: "asyncio.Future[Outcome] | None" = None
    ) -> None:
        """The worker is stopping: report what came of the work, else hand the upload to the next
        worker, which is no attempt."""
        known = work.result() if work and work.done() and not work.cancelled() else None
        outcome = known or _retry(order, Cause.SHUTDOWN, counted=False)
        with contextlib.suppress(RecordsUnavailable, OutcomeRefused, Over):
            await self._records.report(order, outcome, seconds=HAND_IN_SECONDS)

    async def _delete_own(self, order: WorkOrder) -> None:
        """What a stale generation put is nobody's: delete its own prefixes and nothing else."""
        if self._storing.breaker.is_open:
            return  # it is doomed all the same
        try:
            for prefix in filter(None, [order.key_prefix, order.flagged_prefix]):
                await self._store.clean(prefix)
        except TransientError as error:
            log.warning("own_prefix_not_deleted", reason=str(error))  # it is doomed all the same


@asynccontextmanager
async def _scratch(root: Path) -> AsyncIterator[Path]:
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=root))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _retry(order: WorkOrder, cause: Cause, *, counted: bool) -> Retry:
    return Retry(
        upload_id=order.upload_id, generation=order.generation, cause=cause, counted=counted
    )


def _stored(order: WorkOrder, checked: Checked, scan: Scan | None) -> Stored:
    processed = checked.processed
    return Stored(
        upload_id=order.upload_id,
        generation=order.generation,
        detected_type=processed.detected_type,
        object=_described(checked.prefix, processed.object),
        derivatives={
            name: _described(checked.prefix, output)
            for name, output in processed.derivatives.items()
        },
        notices=processed.notices,
        flags=checked.flags,
        scan=scan,
    )


def _described(prefix: str, output: Output) -> StoredObject:
    return StoredObject(
        key=prefix + output.name,
        content_type=output.content_type,
        size=output.size,
        sha256=output.sha256,
        width=output.width,
        height=output.height,
        pages=output.pages,
    )
