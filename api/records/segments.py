"""How far resumable uploads are, and the segments that they are received in.

A request that begins to write raises its upload's `writer`, so that an older one can move nothing
any more; `received` moves only for the last one, from where it thinks it is. Neither is a
transition: they lock the upload's row alone, and no client is told of each step.
"""

from collections.abc import Collection
from dataclasses import asdict, replace
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select

from api.records import staged
from api.records.database import Moment, Transaction, the_time
from api.records.prepared import Prepared, add_row, given, update_rows
from api.records.rows import SegmentRow, UploadRow
from api.records.tables import (
    IS_COMPLETE,
    IS_CONDEMNED,
    IS_RECEIVING,
    segments,
    staged_names,
    uploads,
)
from shared.status import UploadStatus

BATCH = 200
_OF_UPLOAD = Prepared(
    select(segments)
    .where(segments.c.upload_id == given(segments.c.upload_id))
    .order_by(segments.c.start)
)
_RECEIVING = Prepared(
    select(uploads)
    .where(uploads.c.form_id == given(uploads.c.form_id), IS_RECEIVING)
    .order_by(uploads.c.id)
    .with_for_update()
)


def hold_receiving(tx: Transaction, form_id: str) -> list[UploadRow]:
    """A form's uploads that are being received: no request moves them until this transaction ends.
    The form must be locked."""
    rows = _RECEIVING.rows(tx.conn, {"form_id": form_id})
    return [UploadRow.of(row) for row in rows]


def take(tx: Transaction, upload_id: str, received: int) -> UploadRow | None:
    """Begin to write behind the bytes that were `received`: the upload with its new `writer`. None
    where it isn't `receiving`, or stands elsewhere."""
    at = {"id": upload_id, "status": UploadStatus.RECEIVING, "received": received}
    found = update_rows(tx.conn, uploads, at, {}, counting="writer")
    return UploadRow.of(found[0]) if found else None


def preempt(tx: Transaction, upload_id: str) -> UploadRow | None:
    """Let no request that has begun before move anything; None where nothing is being received."""
    receiving = {"id": upload_id, "status": UploadStatus.RECEIVING}
    found = update_rows(tx.conn, uploads, receiving, {}, counting="writer")
    return UploadRow.of(found[0]) if found else None


def advance(
    tx: Transaction, upload: UploadRow, segment: SegmentRow, *, size: int, keep_ms: int
) -> UploadRow | None:
    """Acknowledge that the segment has `size` bytes now, which are durable, and keep the upload for
    `keep_ms` from now; None where somebody else writes by now, or it has ended.

    `upload` is as it was when the writer began, or last advanced, and `segment` as well; one with
    no bytes is new. Raises `Problem` where the sweep took the segment's file for an orphan.
    """
    more = size - segment.size
    as_read = {
        "id": upload.id,
        "status": UploadStatus.RECEIVING,
        "writer": upload.writer,
        "received": upload.received,
    }
    changes = {"received": (upload.received or 0) + more, "deadline": Moment(keep_ms)}
    found = update_rows(tx.conn, uploads, as_read, changes)
    if not found:
        return None
    if segment.size:
        update_rows(tx.conn, segments, {"name": segment.name}, {"size": size})
    else:
        add(tx, replace(segment, size=size))
    return UploadRow.of(found[0])


def add(tx: Transaction, segment: SegmentRow) -> None:
    """Make it one of its upload's, whose row is locked. Raises `Problem` where the sweep took its
    file for an orphan."""
    staged.own(tx, segment.name)
    add_row(tx.conn, segments, asdict(segment))


def of_upload(conn: Connection, upload_id: str) -> list[SegmentRow]:
    """Its segments, in the order of their bytes."""
    return [SegmentRow.of(row) for row in _OF_UPLOAD.rows(conn, {"upload_id": upload_id})]


def condemn(tx: Transaction, upload_id: str) -> None:
    """Nobody needs them any more: they are one file by now, or their upload has ended."""
    update_rows(tx.conn, segments, {"upload_id": upload_id}, {"condemned": True})


def condemned(conn: Connection, after: str) -> list[str]:
    """Segments whose files may be unlinked: that was committed. In order, those behind `after`."""
    found = conn.execute(
        select(segments.c.name)
        .where(IS_CONDEMNED, segments.c.name > after)
        .order_by(segments.c.name)
        .limit(BATCH)
    )
    return list(found.scalars())


def forget(tx: Transaction, names: Collection[str]) -> None:
    """Their files are off the volume."""
    tx.conn.execute(delete(segments).where(segments.c.name.in_(names), IS_CONDEMNED))
    tx.conn.execute(delete(staged_names).where(staged_names.c.name.in_(names)))


class ReceivingBytes(NamedTuple):
    """Bytes of resumable uploads that aren't all here."""

    here: int
    outstanding: int
    """They were promised room for these."""


def receiving_bytes(conn: Connection) -> ReceivingBytes:
    """Of all replicas."""
    here, whole = func.sum(uploads.c.received), func.sum(uploads.c.size)
    found = conn.execute(
        select(func.coalesce(here, 0), func.coalesce(whole, 0)).where(IS_RECEIVING)
    )
    received, size = found.one()
    return ReceivingBytes(int(received), int(size) - int(received))


def abandoned(conn: Connection) -> list[UploadRow]:
    """Uploads past the time for which they were kept."""
    return _rows(conn, IS_RECEIVING, uploads.c.deadline < the_time())


def complete(conn: Connection, *, keep_ms: int, idle_ms: int) -> list[UploadRow]:
    """Uploads that are all here, were so `idle_ms` ago and no longer ago than they are kept, and
    that nobody has finished."""
    last = the_time() + keep_ms - idle_ms
    return _rows(conn, IS_COMPLETE, uploads.c.deadline < last, uploads.c.deadline >= the_time())


def _rows(conn: Connection, *conditions: object) -> list[UploadRow]:
    found = conn.execute(
        select(uploads).where(*conditions).order_by(uploads.c.deadline).limit(BATCH)  # type: ignore[arg-type] # text and expressions
    )
    return [UploadRow.of(row) for row in found.mappings()]
