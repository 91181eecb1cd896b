"""Pieces of resumable uploads, which come in any order: each is a segment of its own.

Two of them never overlap, and none goes beyond the upload; so an upload that has `received` as many
bytes as it is long has no hole. The upload's row is the lock: nothing is decided without it.
"""

from typing import NamedTuple

from sqlalchemy import Connection, select

from api.records.database import Moment, Transaction
from api.records.prepared import Prepared, given, update_rows
from api.records.rows import SegmentRow, UploadRow
from api.records.segments import add
from api.records.tables import segments, uploads
from api.texts.errors import Problem
from shared.status import UploadStatus

NEAR = 64
"""Segments that are looked at beyond a place: what few pieces bring, and a read of few rows."""
_LAST_BEFORE = Prepared(
    select(segments)
    .where(
        segments.c.upload_id == given(segments.c.upload_id),
        segments.c.start < given(segments.c.start),
    )
    .order_by(segments.c.start.desc())
    .limit(1)
)
_BETWEEN = Prepared(
    select(segments)
    .where(
        segments.c.upload_id == given(segments.c.upload_id),
        segments.c.start >= given(segments.c.start),
        segments.c.start < given(segments.c.start, "end"),
    )
    .order_by(segments.c.start)
    .limit(NEAR)
)


class Placed(NamedTuple):
    """What became of a piece."""

    upload: UploadRow
    is_new: bool
    """Its segment is the upload's; else the upload had these bytes already."""


def place(
    tx: Transaction, segment: SegmentRow, *, filename: str | None, keep_ms: int
) -> Placed | None:
    """Acknowledge a piece whose bytes are durable, and keep its upload for `keep_ms` from now; None
    where the upload takes nothing any more. A `filename` is the upload's from now on.

    Raises `Problem` piece-mismatch where some of its bytes are here and others aren't.
    """
    receiving = {"id": segment.upload_id, "status": UploadStatus.RECEIVING}
    found = update_rows(tx.conn, uploads, receiving, {"deadline": Moment(keep_ms)})
    if not found:
        return None
    upload = UploadRow.of(found[0])
    if is_here(tx.conn, upload.id, segment.start, segment.size):
        return Placed(upload, is_new=False)
    add(tx, segment)
    changes: dict[str, object] = {"received": (upload.received or 0) + segment.size}
    if filename:
        changes["filename"] = filename
    (placed,) = update_rows(tx.conn, uploads, {"id": upload.id}, changes)
    return Placed(UploadRow.of(placed), is_new=True)


def is_here(conn: Connection, upload_id: str, start: int, size: int) -> bool:
    """Whether so many bytes from `start` on were acknowledged already. Raises `Problem`
    piece-mismatch where that is so of some of them: they were cut in another way before."""
    row = _LAST_BEFORE.row(conn, {"upload_id": upload_id, "start": start + size})
    if row is None:
        return False
    last = SegmentRow.of(row)  # all others end before it begins
    if last.end <= start:
        return False
    if last.start <= start and start + size <= last.end:
        return True
    raise Problem("piece-mismatch", "Some of these bytes came before, cut in another way.")


def between(conn: Connection, upload_id: str, start: int, end: int) -> list[SegmentRow]:
    """Segments that begin from `start` on and before `end`, in the order of their bytes: the first
    `NEAR` of them."""
    found = _BETWEEN.rows(conn, {"upload_id": upload_id, "start": start, "end": end})
    return [SegmentRow.of(row) for row in found]
