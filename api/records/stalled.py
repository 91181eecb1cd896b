"""What the sweep looks for: rows that nobody is driving on."""

from collections.abc import Collection

from sqlalchemy import Select, exists, or_, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy.ext.asyncio import AsyncConnection

from api.records.database import Transaction, now_ms
from api.records.rows import UploadRow
from api.records.tables import cleanings, forms, staged_names, uploads
from shared.status import UploadStatus

BATCH = 200
FIRST_WAKE_MS = 10_000
LAST_WAKE_MS = 600_000


def wake_pause_ms(unanswered: int) -> int:
    """How long the next wake-up waits after `unanswered` ones: 10 s doubling to 10 min (P4)."""
    return int(min(FIRST_WAKE_MS * 2 ** min(unanswered, 10), LAST_WAKE_MS))


async def due(conn: AsyncConnection) -> list[UploadRow]:
    """Staged, due, and past the time of their next wake-up."""
    now = now_ms()
    return await _rows(
        conn,
        select(uploads)
        .where(
            uploads.c.status == UploadStatus.STAGED,
            uploads.c.wake_at <= now,
            uploads.c.next_attempt_at <= now,
        )
        .order_by(uploads.c.wake_at)
        .limit(BATCH),
    )


async def count_wake(tx: Transaction, upload: UploadRow) -> int | None:
    """Count one more wake-up and say its number; None when the upload isn't waiting any more."""
    counted = await tx.conn.execute(
        update(uploads)
        .where(
            uploads.c.id == upload.id,
            uploads.c.status == UploadStatus.STAGED,
            uploads.c.wake == upload.wake,  # another replica may have woken it
        )
        .values(
            wake=uploads.c.wake + 1,
            wakes_unanswered=uploads.c.wakes_unanswered + 1,
            wake_at=now_ms() + wake_pause_ms(upload.wakes_unanswered + 1),
        )
        .returning(uploads.c.wake)
    )
    wake = counted.scalar_one_or_none()
    return None if wake is None else int(wake)


async def lost_leases(conn: AsyncConnection, lease_ms: int) -> list[UploadRow]:
    """Processing with a lease that is over, or further ahead than a lease can be: a clock that
    was set back (protocol P3)."""
    now = now_ms()
    return await _rows(
        conn,
        select(uploads)
        .where(
            uploads.c.status == UploadStatus.PROCESSING,
            or_(uploads.c.lease_until < now, uploads.c.lease_until > now + 2 * lease_ms),
        )
        .order_by(uploads.c.lease_until)
        .limit(BATCH),
    )


async def overdue(conn: AsyncConnection) -> list[UploadRow]:
    """Staged beyond their deadline."""
    return await _rows(
        conn,
        select(uploads)
        .where(uploads.c.status == UploadStatus.STAGED, uploads.c.deadline < now_ms())
        .order_by(uploads.c.deadline)
        .limit(BATCH),
    )


async def condemned(conn: AsyncConnection) -> list[str]:
    """Uploads whose bytes may be unlinked: that was committed."""
    found = await conn.execute(
        select(uploads.c.id)
        .where(uploads.c.bytes == "condemned")
        .order_by(uploads.c.id)
        .limit(BATCH)
    )
    return list(found.scalars())


async def mark_gone(tx: Transaction, names: Collection[str]) -> None:
    """The bytes of these uploads are off the volume."""
    await tx.conn.execute(
        update(uploads)
        .where(uploads.c.id.in_(names), uploads.c.bytes == "condemned")
        .values(bytes="gone")
    )
    await tx.conn.execute(delete_from(staged_names).where(staged_names.c.name.in_(names)))


async def purged(conn: AsyncConnection) -> list[str]:
    """Forms being purged whose bytes are gone and whose prefixes were cleaned."""
    bytes_left = exists().where(uploads.c.form_id == forms.c.id, uploads.c.bytes != "gone")
    objects_left = exists().where(cleanings.c.form_id == forms.c.id, cleanings.c.passes == 0)
    found = await conn.execute(
        select(forms.c.id)
        .where(forms.c.status == "purging", ~bytes_left, ~objects_left)
        .limit(BATCH)
    )
    return list(found.scalars())


async def _rows(conn: AsyncConnection, query: Select[tuple[object, ...]]) -> list[UploadRow]:
    return [UploadRow.of(row) for row in (await conn.execute(query)).mappings()]
