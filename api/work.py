"""The worker's side of an upload: claim, heartbeat, outcome (protocol P2, P3, P11)."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto

import structlog

from api.attempts import EXHAUSTED, backoff_ms, heard_of, remembers
from api.errors import Problem
from api.links import object_url
from api.receive.body import ClientGone
from api.records import forms, lifecycle, stalled, uploads
from api.records.database import NOW, Moment, Transaction
from api.records.rows import Json, UploadRow
from api.rejections import upload_error, upload_flag, upload_notice
from api.services import Services
from api.settings import Settings
from shared.ids import is_id
from shared.internal_api import (
    Failed,
    Outcome,
    Rejected,
    Retry,
    Scan,
    Stored,
    WorkOrder,
)
from shared.keys import flagged_prefix, generation_prefix
from shared.policy import FilePolicy
from shared.status import UploadStatus
from shared.volume import STAGED

log = structlog.get_logger()

SHUTDOWN, DECODER = "shutdown", "decoder"
"""Causes of a give-back: a worker that was told to stop; a decoding child that crashed, or died of
its limits."""
TURNS = 3
"""Of the loop: it reads what came while the api was frozen, such as that the worker is gone."""
MAX_DEATHS = 2
"""Children that one file may cost. One may have met bad luck; what ends a second is the file."""


class _Applied(Enum):
    NOW = auto()
    BEFORE = auto()
    NOT = auto()


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
        row = _locked(tx, upload_id)
        if row.status is UploadStatus.PROCESSING and row.claim_id == claim_id:
            return row
        now = uploads.clock(tx.conn)
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
        row = _locked(tx, upload_id)
        if row.status is UploadStatus.PROCESSING and row.generation == generation:
            uploads.show_stage(tx, row, stage)

    row = await services.database.write(renewed)
    if row is None:
        raise Problem("stale-generation")
    if row.stage != stage:  # a change that clients see: with the form's version, under its lock
        await services.database.write(shown)


async def apply_outcome(services: Services, form_id: str, outcome: Outcome) -> UploadRow:
    """Write the worker's report into the record, once.

    Raises `Problem` stale-generation when the generation is no longer the upload's; repeating the
    outcome that was applied is fine, whatever became of the upload since.
    """
    outcome = await _confirmed(services, outcome)

    def applied(tx: Transaction) -> tuple[UploadRow, _Applied]:
        row = _locked(tx, outcome.upload_id)
        if row.form_id != form_id:
            return row, _Applied.NOT
        if row.applied_generation == outcome.generation:
            return row, _Applied.BEFORE
        if (row.status, row.generation) == (UploadStatus.PROCESSING, outcome.generation):
            return _apply(services, tx, row, outcome), _Applied.NOW
        heard_of(tx, row.id, outcome.generation, services.settings)
        return row, _Applied.NOT

    row, is_applied = await services.database.write(applied)
    if is_applied is _Applied.NOT:  # after the commit, which may have given an attempt back
        raise Problem("stale-generation")
    if is_applied is _Applied.BEFORE:
        return row
    if isinstance(outcome, Stored | Rejected) and outcome.scan:
        services.metrics.scanned(outcome.scan.verdict)
    if isinstance(outcome, Retry):
        services.metrics.gave_back(outcome.cause)
    if isinstance(outcome, Retry) and outcome.cause == SHUTDOWN:
        services.queue.wake_soon(row.id, row.wake)
    return row


async def _confirmed(services: Services, outcome: Outcome) -> Outcome:
    """A missing file is a failure only when the api doesn't see it either (protocol P5), and
    when it should be on the volume: a worker of before reuse looks for all of them there."""
    if not isinstance(outcome, Failed) or outcome.code != "bytes-lost":
        return outcome
    row = await services.database.read(uploads.get, outcome.upload_id)
    elsewhere = row is not None and row.from_prefix is not None
    missing = await services.volume.matches() and not await services.staging.exists(
        outcome.upload_id
    )
    if missing and not elsewhere:
        return outcome
    return Retry(
        upload_id=outcome.upload_id, generation=outcome.generation, cause="volume", counted=False
    )


def _apply(services: Services, tx: Transaction, row: UploadRow, outcome: Outcome) -> UploadRow:
    policy = FilePolicy.model_validate(row.policy)
    match outcome:
        case Stored():
            return _store(services, tx, row, outcome, policy)
        case Rejected():
            error = upload_error(outcome.code, outcome.params, policy)
            return lifecycle.reject(
                tx,
                row,
                detected_type=outcome.detected_type,
                error=error,
                scan=_kept(tx, outcome.scan),
            )
        case Failed():
            return lifecycle.end_unapplied(
                tx,
                row,
                UploadStatus.FAILED,
                applied_generation=row.generation,
                detected_type=outcome.detected_type,
                error=upload_error(outcome.code, outcome.params, policy),
            )
        case Retry():
            log.warning(
                "upload_given_back",
                upload_id=row.id,
                form_id=row.form_id,
                cause=outcome.cause,
                counted=outcome.counted,
                request_id=row.request_id,
            )
            if outcome.cause == SHUTDOWN:
                return hand_on(tx, row)
            if outcome.cause == DECODER and outcome.counted:
                return _after_a_death(services, tx, row, policy)
            return give_back(
                tx,
                row,
                services.settings,
                counted=outcome.counted,
                applied_generation=row.generation,
            )


def _store(
    services: Services, tx: Transaction, row: UploadRow, outcome: Stored, policy: FilePolicy
) -> UploadRow:
    _require_own_keys(row, outcome)
    stored = {
        "detected_type": outcome.detected_type,
        "object": outcome.object.model_dump(exclude_none=True),
        "derivatives": {
            name: each.model_dump(exclude_none=True) for name, each in outcome.derivatives.items()
        },
        "notices": [upload_notice(each.code, each.params, policy) for each in outcome.notices],
        "error": None,
        "scan": _kept(tx, outcome.scan),
    }
    if not outcome.flags:
        url = object_url(services.settings, outcome.object.key)
        return lifecycle.store(tx, row, **stored, public_url=url)
    if not {flag.code for flag in outcome.flags} <= set(policy.flag):
        raise Problem("invalid-request", "The field keeps no file for such a finding.")
    flags = [upload_flag(flag.code, flag.params, policy) for flag in outcome.flags]
    return lifecycle.withhold(tx, row, **stored, flags=flags)


def _after_a_death(
    services: Services, tx: Transaction, row: UploadRow, policy: FilePolicy
) -> UploadRow:
    """Try a file once more of which a decoding child died; reject what ended `MAX_DEATHS`, with its
    bytes kept for an operator to look at. A field that keeps corrupt files doesn't keep this one:
    nobody knows what it is."""
    deaths = row.decoder_deaths + 1
    if deaths < MAX_DEATHS:
        return give_back(
            tx,
            row,
            services.settings,
            counted=True,
            applied_generation=row.generation,
            decoder_deaths=deaths,
        )
    log.error(
        "decoder_died_again",
        upload_id=row.id,
        form_id=row.form_id,
        deaths=deaths,
        sha256=row.sha256,
        request_id=row.request_id,
    )
    error = upload_error("file-corrupt", {}, policy)
    return lifecycle.reject(tx, row, decoder_deaths=deaths, error=error)


def _kept(tx: Transaction, scan: Scan | None) -> Json | None:
    if scan is None:
        return None
    now = uploads.clock(tx.conn)
    return {**scan.model_dump(mode="json", exclude_none=True), "at": now}


def hand_on(tx: Transaction, row: UploadRow) -> UploadRow:
    """Give a `processing` upload to the next worker at once: its own was told to stop, which is no
    attempt and no reason to wait."""
    return lifecycle.end_unapplied(
        tx,
        row,
        UploadStatus.STAGED,
        attempts=row.attempts - 1,
        next_attempt_at=NOW,
        wake=row.wake + 1,
        wakes_unanswered=0,
        wake_at=Moment(stalled.FIRST_WAKE_MS),
    )


def give_back(
    tx: Transaction,
    row: UploadRow,
    settings: Settings,
    *,
    counted: bool,
    lost: bool = False,
    applied_generation: int | None = None,
    decoder_deaths: int | None = None,
) -> UploadRow:
    """Let a `processing` upload be tried again after a backoff, or end it `failed` when its
    attempts are used up. What was nobody's attempt gives it back.

    `applied_generation` is set by an outcome that ends the upload: repeating it is fine then.
    `lost` says that nobody gave it back, but that its lease was over: should its worker be heard
    of after all, the attempt wasn't one. `decoder_deaths` is their new number.
    """
    deaths = row.decoder_deaths if decoder_deaths is None else decoder_deaths
    remembered = [row.generation] if lost and counted and remembers(row, settings) else []
    lost_generations = row.lost_generations + remembered
    if counted and row.attempts >= settings.max_attempts:
        policy = FilePolicy.model_validate(row.policy)
        return lifecycle.end_unapplied(
            tx,
            row,
            UploadStatus.FAILED,
            applied_generation=applied_generation or row.applied_generation,
            lost_generations=lost_generations,
            decoder_deaths=deaths,
            error=upload_error(EXHAUSTED, {"attempts": row.attempts}, policy),
        )
    due = Moment(backoff_ms(row.backoffs, settings))
    return lifecycle.end_unapplied(
        tx,
        row,
        UploadStatus.STAGED,
        attempts=row.attempts if counted else row.attempts - 1,
        lost_generations=lost_generations,
        decoder_deaths=deaths,
        backoffs=row.backoffs + 1,
        next_attempt_at=due,
        wakes_unanswered=0,
        wake_at=due,
    )


def _locked(tx: Transaction, upload_id: str) -> UploadRow:
    """The upload, with its form locked first."""
    if not is_id(upload_id):
        raise Problem("not-found")
    found = uploads.get(tx.conn, upload_id)
    if found is None:
        raise Problem("not-found")
    if forms.lock_any(tx, found.form_id) is None:
        raise Problem("not-found")
    row = uploads.get(tx.conn, upload_id)  # as it is under the lock
    if row is None:
        raise Problem("not-found")
    return row


def _require_own_keys(row: UploadRow, outcome: Stored) -> None:
    """What is flagged lies under the prefix for that, and nothing else does."""
    prefix_of = flagged_prefix if outcome.flags else generation_prefix
    prefix = prefix_of(row.key_base, row.id, row.generation)
    for each in (outcome.object, *outcome.derivatives.values()):
        name = each.key.removeprefix(prefix)
        if name == each.key or name in ("", ".", "..") or "/" in name:
            raise Problem("invalid-request", "An object is not under the upload's own prefix.")


def _later(code: str, milliseconds: int) -> Problem:
    return Problem(code, headers={"Retry-After": str(max(1, -(-milliseconds // 1000)))})


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
        volume_id=services.volume.id,
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
