"""What is old enough to go: found in indexes that hold nothing else, a batch at a time."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, exists, func, select, update

from api.records.database import Transaction, now_ms, the_time
from api.records.forms import SUBMITTED
from api.records.rows import UploadRow
from api.records.tables import IS_DRAFT, KEEPS_BYTES, forms, uploads
from shared.status import PENDING, UploadStatus

BATCH = 200
ON_VOLUME = ("staged", "processing", "rejected", "failed")
"""Statuses whose uploads keep their bytes, all of them."""
_A_PENDING_UPLOAD = exists().where(uploads.c.form_id == forms.c.id, uploads.c.status.in_(PENDING))


def old_bytes(
    conn: Connection, status: UploadStatus, kept_ms: int, after: int = 0
) -> list[UploadRow]:
    """Uploads that settled in this status `kept_ms` ago or earlier, and later than the moment
    `after`, and still have their bytes; oldest first."""
    found = conn.execute(
        select(uploads)
        .where(
            KEEPS_BYTES,
            uploads.c.status == status,
            uploads.c.updated_at <= the_time() - kept_ms,
            uploads.c.updated_at > after,
        )
        .order_by(uploads.c.updated_at)
        .limit(BATCH)
    )
    return [UploadRow.of(row) for row in found.mappings()]


def undated_drafts(conn: Connection) -> list[str]:
    """Drafts of an api that doesn't know yet when they were edited."""
    found = conn.execute(
        select(forms.c.id).where(IS_DRAFT, forms.c.edited_at.is_(None)).limit(BATCH)
    )
    return list(found.scalars())


def date_drafts(tx: Transaction, form_ids: Collection[str]) -> None:
    """Their time begins now. What another transaction holds just now is left to the next sweep:
    nobody who locks several forms waits for one."""
    free = (
        select(forms.c.id)
        .where(forms.c.id.in_(form_ids), forms.c.edited_at.is_(None))
        .with_for_update(skip_locked=True)
    )
    tx.conn.execute(update(forms).where(forms.c.id.in_(free)).values(edited_at=now_ms()))


def old_drafts(conn: Connection, kept_ms: int, form_id: str | None = None) -> list[str]:
    """Drafts that nobody edited for so long and that wait for nothing; `form_id` asks for one."""
    query = (
        select(forms.c.id)
        .where(IS_DRAFT, forms.c.edited_at <= the_time() - kept_ms, ~_A_PENDING_UPLOAD)
        .order_by(forms.c.edited_at)
        .limit(BATCH)
    )
    if form_id is not None:
        query = query.where(forms.c.id == form_id)
    return list(conn.execute(query).scalars())


def old_submitted(conn: Connection, kept_ms: int, form_id: str | None = None) -> list[str]:
    """Forms that were submitted so long ago and wait for nothing; `form_id` asks for one."""
    query = (
        select(forms.c.id)
        .where(
            forms.c.submitted_at <= the_time() - kept_ms,
            forms.c.status == SUBMITTED,
            ~_A_PENDING_UPLOAD,
        )
        .order_by(forms.c.submitted_at)
        .limit(BATCH)
    )
    if form_id is not None:
        query = query.where(forms.c.id == form_id)
    return list(conn.execute(query).scalars())


class OnVolume(NamedTuple):
    """Bytes of uploads in one status that are on the volume."""

    size: int
    age_ms: int
    """Since the oldest of them was acknowledged."""


def on_volume(conn: Connection) -> dict[str, OnVolume]:
    """What uploads hold there that are all here, by status."""
    found = conn.execute(
        select(
            uploads.c.status,
            func.sum(uploads.c.size).label("size"),
            (the_time() - func.min(uploads.c.created_at)).label("age"),
        )
        .where(KEEPS_BYTES, uploads.c.status.in_(ON_VOLUME))
        .group_by(uploads.c.status)
    )
    return dict.fromkeys(ON_VOLUME, OnVolume(0, 0)) | {
        row.status: OnVolume(int(row.size), int(row.age)) for row in found
    }


def ending_soon(conn: Connection, kept_ms: int) -> int:
    """Failed uploads that settled `kept_ms` ago or earlier and still have their bytes."""
    found = conn.execute(
        select(func.count())
        .select_from(uploads)
        .where(
            KEEPS_BYTES,
            uploads.c.status == UploadStatus.FAILED,
            uploads.c.updated_at <= the_time() - kept_ms,
        )
    )
    return int(found.scalar_one())
