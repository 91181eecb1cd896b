"""What becomes of one upload's file: scan → validate → convert → put.

Knows nothing of claims, leases and reports, which are `worker/promoter.py`'s: each way that the
work can end is an outcome, and the promoter reports it.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog

from shared.causes import Cause
from shared.crash_points import reached
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
from worker.sandbox import Decoder, Output
from worker.scanner import Scanner
from worker.settings import Settings
from worker.staged_file import BytesGone
from worker.stages import Stages
from worker.storing import Storing

log = structlog.get_logger()

KNOWN = 10_000
"""Uploads that a worker remembers to be good, of which each takes some hundred bytes."""
_ALARMS = {Cause.OFFICE, Cause.STORE_REFUSED, Cause.SCANNER_REFUSED}
"""Causes for which somebody has to act."""


class Pipeline:
    """Checks files, and puts what is made of them."""

    def __init__(
        self,
        store: ObjectStore,
        storing: Storing,
        decoder: Decoder,
        settings: Settings,
        scanner: Scanner | None = None,
        office: Office | None = None,
    ) -> None:
        self._store = store
        self._storing = storing
        self._scratch_dir = settings.scratch_dir
        processing = Processing(settings, decoder, office)
        self._checking = Checking(settings.staging_dir, store, processing, scanner)
        self._known_good: dict[str, int] = {}
        """Uploads that were checked here and not stored: the bytes that were made of each."""

    def stop(self) -> None:
        """What waits for the store is given back at once; what is being put goes on."""
        self._storing.stop()

    async def outcome(self, order: WorkOrder, stages: Stages, kept: AsyncExitStack) -> Outcome:
        """What became of the file. Every way it can end has an outcome.

        `stages` shows how far it is. The room it takes while it waits for the store is `kept`.
        """
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
            return retry(order, error.cause, counted=error.counted)
        except TimeoutError:
            slow_store = stages.now is Stage.STORING  # not the file's doing
            slow_scanner = stages.now is Stage.SCANNING
            cause = (self._storing.breaker.cause if slow_store else None) or Cause.DEADLINE
            log.warning("promotion_given_back", cause=cause, stage=stages.now)
            return retry(order, cause, counted=not (slow_store or slow_scanner))
        except Exception:
            log.exception("promotion_broke")
            return retry(order, Cause.UNEXPECTED, counted=True)

    async def _store_it(self, order: WorkOrder, stages: Stages, kept: AsyncExitStack) -> Stored:
        """Check the file and put what becomes of it. Its room is `kept` until it is reported.

        Bytes and policy of an upload never change. One that is known to be good and would find no
        room isn't checked again: those that may be bad are to be found soon.
        """
        if order.upload_id in self._known_good:
            self._storing.refuse_without_room(self._known_good[order.upload_id])
        if order.from_key:
            self._storing.refuse_without_store()
        async with _scratch(self._scratch_dir) as scratch:
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

    async def take_back(self, order: WorkOrder) -> None:
        """Delete what was put for a generation that became stale: its prefixes, nothing else."""
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


def retry(order: WorkOrder, cause: Cause, *, counted: bool) -> Retry:
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
