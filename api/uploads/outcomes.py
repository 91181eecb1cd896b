"""What a worker reports, and what becomes of the upload then (protocol P3, P5, P11)."""

from enum import Enum, auto

import structlog

from api.outside.links import object_url
from api.records import lifecycle, uploads
from api.records.database import Transaction, clock
from api.records.rows import Json, UploadRow
from api.services import Services
from api.texts.errors import Problem
from api.texts.rejections import upload_error, upload_flag, upload_notice
from api.uploads.attempts import give_back, hand_on, heard_of
from shared.causes import Cause
from shared.internal_api import Failed, Outcome, Rejected, Retry, Scan, Stored
from shared.keys import flagged_prefix, generation_prefix
from shared.policy import FilePolicy
from shared.status import UploadStatus

log = structlog.get_logger()

MAX_DEATHS = 2
"""Children that one file may cost. One may have met bad luck; what ends a second is the file."""


class _Applied(Enum):
    """When an outcome was applied, if it is that of the upload's own generation."""

    NOW = auto()
    BEFORE = auto()
    NOT = auto()


async def apply(services: Services, form_id: str, outcome: Outcome) -> UploadRow:
    """Write the worker's report into the record, once.

    Raises `Problem` stale-generation when the generation is no longer the upload's; repeating the
    outcome that was applied is fine, whatever became of the upload since.
    """
    outcome = await _confirmed(services, outcome)

    def applied(tx: Transaction) -> tuple[UploadRow, _Applied]:
        row = uploads.lock(tx, outcome.upload_id)
        if row.form_id != form_id:
            return row, _Applied.NOT
        if row.applied_generation == outcome.generation:
            return row, _Applied.BEFORE
        if (row.status, row.generation) == (UploadStatus.PROCESSING, outcome.generation):
            return _carry_out(services, tx, row, outcome), _Applied.NOW
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
    if isinstance(outcome, Retry) and outcome.cause == Cause.SHUTDOWN:
        services.queue.wake_soon(row.id, row.wake)
    return row


async def _confirmed(services: Services, outcome: Outcome) -> Outcome:
    """A missing file is a failure only when the api doesn't see it either (protocol P5), and
    when it should be on the volume: a worker of before reuse looks for all of them there."""
    if not isinstance(outcome, Failed) or outcome.code != "bytes-lost":
        return outcome
    row = await services.database.read(uploads.get, outcome.upload_id)
    elsewhere = row is not None and row.from_prefix is not None
    missing = await services.mount.matches() and not await services.staging.exists(
        outcome.upload_id
    )
    if missing and not elsewhere:
        return outcome
    return Retry(
        upload_id=outcome.upload_id,
        generation=outcome.generation,
        cause=Cause.VOLUME,
        counted=False,
    )


def _carry_out(services: Services, tx: Transaction, row: UploadRow, outcome: Outcome) -> UploadRow:
    match outcome:
        case Stored():
            return _store(services, tx, row, outcome)
        case Rejected():
            error = upload_error(outcome.code, outcome.params, _policy(row))
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
                error=upload_error(outcome.code, outcome.params, _policy(row)),
            )
        case Retry():
            return _try_again(services, tx, row, outcome)


def _policy(row: UploadRow) -> FilePolicy:
    return FilePolicy.model_validate(row.policy)


def _try_again(services: Services, tx: Transaction, row: UploadRow, outcome: Retry) -> UploadRow:
    log.warning(
        "upload_given_back",
        upload_id=row.id,
        form_id=row.form_id,
        cause=outcome.cause,
        counted=outcome.counted,
        request_id=row.request_id,
    )
    if outcome.cause == Cause.SHUTDOWN:
        return hand_on(tx, row)
    if outcome.cause == Cause.DECODER and outcome.counted:
        return _after_a_death(services, tx, row)
    return give_back(
        tx,
        row,
        services.settings,
        counted=outcome.counted,
        applied_generation=row.generation,
    )


def _store(services: Services, tx: Transaction, row: UploadRow, outcome: Stored) -> UploadRow:
    _require_own_keys(row, outcome)
    stored = {
        "detected_type": outcome.detected_type,
        "object": outcome.object.model_dump(exclude_none=True),
        "derivatives": {
            name: each.model_dump(exclude_none=True) for name, each in outcome.derivatives.items()
        },
        "notices": [
            upload_notice(each.code, each.params, _policy(row)) for each in outcome.notices
        ],
        "error": None,
        "scan": _kept(tx, outcome.scan),
    }
    if not outcome.flags:
        url = object_url(services.settings, outcome.object.key)
        return lifecycle.store(tx, row, **stored, public_url=url)
    policy = _policy(row)
    if not {flag.code for flag in outcome.flags} <= set(policy.flag):
        raise Problem("invalid-request", "The field keeps no file for such a finding.")
    flags = [upload_flag(flag.code, flag.params, policy) for flag in outcome.flags]
    return lifecycle.withhold(tx, row, **stored, flags=flags)


def _after_a_death(services: Services, tx: Transaction, row: UploadRow) -> UploadRow:
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
    error = upload_error("file-corrupt", {}, _policy(row))
    return lifecycle.reject(tx, row, decoder_deaths=deaths, error=error)


def _kept(tx: Transaction, scan: Scan | None) -> Json | None:
    """What the scanner said, and when it was told."""
    if scan is None:
        return None
    now = clock(tx.conn)
    return {**scan.model_dump(mode="json", exclude_none=True), "at": now}


def _require_own_keys(row: UploadRow, outcome: Stored) -> None:
    """What is flagged lies under the prefix for that, and nothing else does."""
    prefix_of = flagged_prefix if outcome.flags else generation_prefix
    prefix = prefix_of(row.key_base, row.id, row.generation)
    for each in (outcome.object, *outcome.derivatives.values()):
        name = each.key.removeprefix(prefix)
        if name == each.key or name in ("", ".", "..") or "/" in name:
            raise Problem("invalid-request", "An object is not under the upload's own prefix.")
