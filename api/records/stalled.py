"""What the sweep looks for: rows that nobody is driving on."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, Select, exists, select, update
from sqlalchemy import delete as delete_from

from api.records import wake_ups
from api.records.database import Transaction, now_ms, the_time
from api.records.rows import UploadRow
from api.records.tables import (
    HAS_CONDEMNED_BYTES,
    IS_PROCESSING,
    IS_PURGING,
    IS_STAGED,
    WAS_WOKEN,
    cleanings,
    forms,
    segments,
    staged_names,
    uploads,
)

BATCH = 200
"""Rows that one query of the sweep finds at most."""


def due(conn: Connection) -> list[UploadRow]:
    """Staged, due, and past the time of their next wake-up."""
    return _rows(
        conn,
        select(uploads)
        .where(IS_STAGED, uploads.c.wake_at <= the_time(), uploads.c.next_attempt_at <= the_time())
        .order_by(uploads.c.wake_at)
        .limit(BATCH),
    )


def woken(conn: Connection, after: int) -> list[UploadRow]:
    """Staged and woken by the sweep before, and so due: those whose next wake-up comes after the
    moment `after`, and is yet to come. In its order."""
    return _rows(
        conn,
        select(uploads)
        .where(WAS_WOKEN, uploads.c.wake_at > the_time(), uploads.c.wake_at > after)
        .order_by(uploads.c.wake_at)
        .limit(BATCH),
    )


def last_woken(upload: UploadRow) -> int:
    """The moment at which the sweep woke it, by the database's clock."""
    return upload.wake_at - wake_ups.pause_ms(upload.wakes_unanswered)


def count_wakes(tx: Transaction, found: Sequence[UploadRow]) -> list[tuple[str, int]]:
    """Count one more wake-up of each of these and say its number. Left out is what isn't waiting
    any more, what another replica has woken or a worker given back since it was found, and what
    another transaction holds just now: it is claimed, or is left to the next sweep."""
    free = tx.conn.execute(
        select(uploads.c.id, uploads.c.wake, uploads.c.wake_at)
        .where(uploads.c.id.in_([row.id for row in found]), IS_STAGED)
        .with_for_update(skip_locked=True)
    )
    as_now = {row.id: (row.wake, row.wake_at) for row in free}
    pauses = defaultdict(list)
    for row in found:
        if as_now.get(row.id) == (row.wake, row.wake_at):
            pauses[wake_ups.pause_ms(row.wakes_unanswered + 1)].append(row)
    for pause_ms, rows in pauses.items():
        tx.conn.execute(
            update(uploads)
            .where(uploads.c.id.in_([row.id for row in rows]))
            .values(
                wake=uploads.c.wake + 1,
                wakes_unanswered=uploads.c.wakes_unanswered + 1,
                wake_at=now_ms() + pause_ms,
            )
        )
    return [(row.id, row.wake + 1) for rows in pauses.values() for row in rows]


def lost_leases(conn: Connection, lease_ms: int) -> list[UploadRow]:
    """Processing with a lease that is over, or further ahead than a lease can be: a clock that
    was set back (protocol P3)."""
    leased = select(uploads).where(IS_PROCESSING).order_by(uploads.c.lease_until).limit(BATCH)
    over = _rows(conn, leased.where(uploads.c.lease_until < the_time()))
    ahead = _rows(conn, leased.where(uploads.c.lease_until > the_time() + 2 * lease_ms))
    return over + ahead


def overdue(conn: Connection) -> list[UploadRow]:
    """Staged beyond their deadline."""
    return _rows(
        conn,
        select(uploads)
        .where(IS_STAGED, uploads.c.deadline < the_time())
        .order_by(uploads.c.deadline)
        .limit(BATCH),
    )


def condemned(conn: Connection, after: str) -> list[str]:
    """Uploads whose bytes may be unlinked: that was committed. In order, those behind `after`. One
    whose segments aren't gone yet waits for that."""
    in_segments = exists().where(segments.c.upload_id == uploads.c.id)
    found = conn.execute(
        select(uploads.c.id)
        .where(HAS_CONDEMNED_BYTES, uploads.c.id > after, ~in_segments)
        .order_by(uploads.c.id)
        .limit(BATCH)
    )
    return list(found.scalars())


def mark_gone(tx: Transaction, names: Collection[str]) -> None:
    """The bytes of these uploads are off the volume. What another transaction holds just now is
    left to the next sweep: two that mark the same uploads don't wait for each other."""
    free = tx.conn.execute(
        select(uploads.c.id)
        .where(uploads.c.id.in_(names), HAS_CONDEMNED_BYTES)
        .with_for_update(skip_locked=True)
    )
    gone = list(free.scalars())
    tx.conn.execute(update(uploads).where(uploads.c.id.in_(gone)).values(bytes="gone"))
    tx.conn.execute(delete_from(staged_names).where(staged_names.c.name.in_(gone)))


def purging(conn: Connection, after: str) -> list[str]:
    """Forms being purged, in order, those behind `after`."""
    found = conn.execute(
        select(forms.c.id).where(IS_PURGING, forms.c.id > after).order_by(forms.c.id).limit(BATCH)
    )
    return list(found.scalars())


def erasable(conn: Connection, form_ids: Collection[str]) -> set[str]:
    """Which of these forms have no bytes left on the volume and no prefix to be cleaned."""
    bytes_left = conn.execute(
        select(uploads.c.form_id).where(uploads.c.form_id.in_(form_ids), uploads.c.bytes != "gone")
    )
    objects_left = conn.execute(
        select(cleanings.c.form_id).where(
            cleanings.c.form_id.in_(form_ids), cleanings.c.passes == 0
        )
    )
    return set(form_ids) - set(bytes_left.scalars()) - set(objects_left.scalars())


def _rows(conn: Connection, query: Select[tuple[object, ...]]) -> list[UploadRow]:
    return [UploadRow.of(row) for row in conn.execute(query).mappings()]
