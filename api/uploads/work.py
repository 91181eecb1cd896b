"""The worker's side of an upload until it reports: claim and heartbeat (protocol P2, P3, P11)."""

import asyncio
from collections.abc import Awaitable, Callable

from api.receive.body import ClientGone
from api.records import lifecycle, uploads
from api.records.database import Moment, Transaction
from api.records.rows import UploadRow
from api.services import Services
from api.texts.errors import Problem
from api.uploads.attempts import heard_of
from shared.internal_api import WorkOrder
from shared.policy import FilePolicy
from shared.status import UploadStatus
from shared.volume import STAGED

TURNS = 3
"""Of the event loop, in which it reads what came while the api was frozen: of two things that lie
ready, the end of a connection is told a turn after the request."""


async def claim(
    services: Services,
    upload_id: str,
    claim_id: str,
    *,
    is_gone: Callable[[], Awaitable[bool]] | None = None,
) -> WorkOrder:
    """Hand the upload to a worker for the length of a lease, unless the worker `is_gone`: an api
    that was frozen finds claims that nobody waits for any more, and an order that nobody gets would
    cost an attempt.

    order = await claim(services, upload_id, "a-worker's-own-random-id")

    Raises `Problem` upload-final (410), upload-held or upload-not-due (409 with `Retry-After`).
    Repeating a claim returns the same order: its answer may have been lost.
    """
    settings = services.settings
    if is_gone:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if await is_gone():
            raise ClientGone

    def claimed(tx: Transaction) -> UploadRow:
        row, now = uploads.lock_at(tx, upload_id)
        if row.status is UploadStatus.PROCESSING and row.claim_id == claim_id:
            return row
        if row.status is UploadStatus.PROCESSING:
            raise _later("upload-held", (row.lease_until or now) - now)
        if row.status is not UploadStatus.STAGED:
            raise Problem("upload-final")
        if row.next_attempt_at > now:
            raise _later("upload-not-due", row.next_attempt_at - now)
        return uploads.transition(
            tx,
            row,
            UploadStatus.PROCESSING,
            generation=row.generation + 1,
            claim_id=claim_id,
            work_until=Moment(int(settings.work_seconds * 1000)),
            lease_until=Moment(int(settings.lease_seconds * 1000)),
            attempts=row.attempts + 1,
            stage=None,
        )

    return _order(services, await services.database.write(claimed))


async def heartbeat(services: Services, upload_id: str, generation: int, stage: str) -> None:
    """Renew the lease and show the stage. Raises `Problem` stale-generation: the worker stops."""
    lease_ms = int(services.settings.lease_seconds * 1000)

    def renewed(tx: Transaction) -> UploadRow | None:
        row = uploads.renew_lease(tx, upload_id, generation, lease_ms)
        if row is None:
            heard_of(tx, upload_id, generation, services.settings)
        return row

    def shown(tx: Transaction) -> None:
        row = uploads.lock(tx, upload_id)
        if row.status is UploadStatus.PROCESSING and row.generation == generation:
            uploads.show_stage(tx, row, stage)

    row = await services.database.write(renewed)
    if row is None:
        raise Problem("stale-generation")
    if row.stage != stage:  # a change that clients see: with the form's version, under its lock
        await services.database.write(shown)


def _later(code: str, milliseconds: int) -> Problem:
    return Problem(code, retry_after=max(1, -(-milliseconds // 1000)))


def _order(services: Services, row: UploadRow) -> WorkOrder:
    settings = services.settings
    prefix, *flagged = lifecycle.prefixes_of(row)
    return WorkOrder(
        upload_id=row.id,
        form_id=row.form_id,
        field=row.field,
        generation=row.generation,
        staged_path=f"{STAGED}/{row.id}",
        from_key=f"{row.from_prefix}{row.from_name}" if row.from_prefix else None,
        volume_id=services.mount.id,
        size=row.size,
        sha256=row.sha256 or "",
        policy=FilePolicy.model_validate(row.policy),
        key_prefix=prefix,
        flagged_prefix=flagged[0] if flagged else None,
        filename=row.filename,
        attempt=row.attempts,
        lease_seconds=settings.lease_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
        work_seconds=settings.work_seconds,
        request_id=row.request_id,
    )
