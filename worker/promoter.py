"""Promote one upload: claim → check and put (`worker/pipeline.py`) → report, under a lease.

A job of the queue lasts until the file is checked; what follows goes on beside it. So the queue's
places are those of checking, and `worker/storing.py` has those of putting.
"""

import asyncio
import contextlib
from contextlib import AsyncExitStack

import structlog

from shared.causes import Cause
from shared.crash_points import reached
from shared.ids import new_id
from shared.internal_api import Outcome, Retry, WorkOrder
from shared.status import Stage
from worker.pipeline import Pipeline, retry
from worker.records_client import (
    STALE,
    OutcomeRefused,
    Over,
    RecordsClient,
    RecordsUnavailable,
)
from worker.stages import Stages

log = structlog.get_logger()

CLAIM_SECONDS = 15.0
REPORT_MARGIN = 30.0
"""Beyond the order's work time, to get the outcome into the record."""
HAND_IN_SECONDS = 4.5
"""For all cancelled promotions together; the supervisor's patience is longer."""


class Promoter:
    """Promotes uploads, and owns those that are checked and not yet stored."""

    def __init__(self, records: RecordsClient, pipeline: Pipeline) -> None:
        self._records = records
        self._pipeline = pipeline
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
            self._pipeline.stop()

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
            work = asyncio.ensure_future(self._pipeline.outcome(order, stages, kept))
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
                await self._pipeline.take_back(order)
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
                await self._report(order, retry(order, Cause.REFUSED, counted=True), until)
        except RecordsUnavailable as error:
            log.error("outcome_not_reported", reason=str(error))
        except Over as over:
            log.warning("outcome_over", code=over.code)
            if over.code == STALE:
                await self._pipeline.take_back(order)

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
        outcome = known or retry(order, Cause.SHUTDOWN, counted=False)
        with contextlib.suppress(RecordsUnavailable, OutcomeRefused, Over):
            await self._records.report(order, outcome, seconds=HAND_IN_SECONDS)
