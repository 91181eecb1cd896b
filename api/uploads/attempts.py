"""Attempts: how one ends without an outcome that counts, and what comes then: the next one, after
a backoff, or the end (protocol P3)."""

import random
from typing import Any

import structlog

from api.records import forms, lifecycle, uploads, wake_ups
from api.records.database import Transaction
from api.records.rows import UploadRow
from api.settings.settings import Settings
from api.texts.rejections import upload_error
from shared.policy import FilePolicy
from shared.status import PENDING, UploadStatus

log = structlog.get_logger()

EXHAUSTED = "attempts-exhausted"
"""The code of what failed for nothing but its attempts."""


def hand_on(tx: Transaction, row: UploadRow) -> UploadRow:
    """Give a `processing` upload to the next worker at once: its own was told to stop, which is no
    attempt and no reason to wait."""
    return lifecycle.end_unapplied(
        tx,
        row,
        UploadStatus.STAGED,
        attempts=row.attempts - 1,
        **wake_ups.at_once(row.wake + 1),
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
    return lifecycle.end_unapplied(
        tx,
        row,
        UploadStatus.STAGED,
        attempts=row.attempts if counted else row.attempts - 1,
        lost_generations=lost_generations,
        decoder_deaths=deaths,
        **_after_a_pause(row, settings),
    )


def heard_of(tx: Transaction, upload_id: str, generation: int, settings: Settings) -> None:
    """Give back the attempt that was counted because this generation's lease was lost: its worker
    lives, and only nobody heard it. Once, as the generation is forgotten with it.

    What had run out of attempts has one again and goes on; its deadline stays. A generation whose
    lease was never counted, or that ended by an outcome of its own, changes nothing.
    """
    found = uploads.get(tx.conn, upload_id)
    if found is None or generation not in found.lost_generations:
        return
    forms.lock_any(tx, found.form_id)
    row = uploads.get(tx.conn, upload_id)  # as it is under the lock
    if row is None or generation not in row.lost_generations:
        return
    if row.status not in PENDING and not _ran_out(row):
        return  # it ended otherwise, and a worker that wakes late changes nothing of that
    log.info("attempt_given_back", upload_id=row.id, generation=generation)
    given_back = {
        "attempts": max(row.attempts - 1, 0),
        "lost_generations": [each for each in row.lost_generations if each != generation],
    }
    if _ran_out(row):
        uploads.transition(
            tx,
            row,
            UploadStatus.STAGED,
            **given_back,
            **_after_a_pause(row, settings),
            error=None,
        )
    else:
        uploads.amend(tx, row, **given_back)


def _after_a_pause(row: UploadRow, settings: Settings) -> dict[str, Any]:
    pause = backoff_ms(row.backoffs, settings)
    return {"backoffs": row.backoffs + 1, **wake_ups.after(pause)}


def _ran_out(row: UploadRow) -> bool:
    """Whether nothing but used-up attempts ended it, and its bytes are there to go on with."""
    ended_by = (row.error or {}).get("code")
    return (row.status, ended_by, row.bytes) == (UploadStatus.FAILED, EXHAUSTED, "kept")


def remembers(row: UploadRow, settings: Settings) -> bool:
    """Whether an attempt that is counted now may be given back later. Not without end:
    an upload that silences its worker for a lease, again and again, would never use up its
    attempts."""
    return row.backoffs < settings.max_attempts


def backoff_ms(earlier: int, settings: Settings) -> int:
    """Doubles from the first to the longest pause; up to a tenth less, so that uploads that
    failed together don't come back together."""
    pause = min(
        settings.first_backoff_seconds * 2 ** min(earlier, 30), settings.max_backoff_seconds
    )
    return int(pause * 1000 * random.uniform(0.9, 1))  # noqa: S311 - spreads load
