"""Doomed prefixes: what the worker is to delete from the bucket (protocol P7)."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.records.database import Transaction, now_ms
from api.records.tables import cleanings

SECOND_PASS_MS = 24 * 3600 * 1000
CLAIM_MS = 60_000
"""A claimed cleaning is offered again after this long without a confirmation."""
PASSES = 2


async def is_due(conn: AsyncConnection) -> bool:
    found = await conn.execute(
        select(cleanings.c.id)
        .where(cleanings.c.passes < PASSES, cleanings.c.not_before <= now_ms())
        .limit(1)
    )
    return found.first() is not None


async def claim(tx: Transaction, limit: int) -> list[tuple[int, str]]:
    """Up to `limit` due prefixes with their ids; each is deferred while it is worked on."""
    found = await tx.conn.execute(
        select(cleanings.c.id, cleanings.c.prefix)
        .where(cleanings.c.passes < PASSES, cleanings.c.not_before <= now_ms())
        .order_by(cleanings.c.not_before)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    orders = [(int(row.id), str(row.prefix)) for row in found]
    await tx.conn.execute(
        update(cleanings)
        .where(cleanings.c.id.in_([order_id for order_id, _ in orders]))
        .values(not_before=now_ms() + CLAIM_MS)
    )
    return orders


async def confirm(tx: Transaction, cleaning_id: int) -> bool:
    """Count one pass; False for an unknown id. The second pass comes a day after the first."""
    confirmed = await tx.conn.execute(
        update(cleanings)
        .where(cleanings.c.id == cleaning_id)
        .values(passes=cleanings.c.passes + 1, not_before=now_ms() + SECOND_PASS_MS)
    )
    return confirmed.rowcount == 1
