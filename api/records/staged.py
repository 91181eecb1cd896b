"""Who owns a name on the volume, and which volume it is (protocol P5)."""

from collections.abc import Collection, Iterator

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from api.errors import Problem
from api.records.database import Transaction, now_ms
from api.records.tables import staged_names, volume


async def own(tx: Transaction, name: str) -> None:
    """Make the name an upload's. Raises `Problem` when the sweep has condemned the file."""
    try:
        await tx.conn.execute(insert(staged_names).values(name=name, condemned=False, at=now_ms()))
    except IntegrityError as error:
        raise Problem("unavailable", headers={"Retry-After": "1"}) from error


async def condemn(tx: Transaction, name: str) -> bool:
    """Make the name an orphan's; False when an upload owns it."""
    found = await tx.conn.execute(
        select(staged_names.c.condemned).where(staged_names.c.name == name)
    )
    row = found.first()
    if row is not None:
        return bool(row.condemned)
    await tx.conn.execute(insert(staged_names).values(name=name, condemned=True, at=now_ms()))
    return True


async def owned(conn: AsyncConnection, names: Collection[str]) -> set[str]:
    """Which of these names belong to an upload."""
    found: set[str] = set()
    for batch in _batches(list(names), 500):
        rows = await conn.execute(
            select(staged_names.c.name).where(
                staged_names.c.name.in_(batch), staged_names.c.condemned.is_(False)
            )
        )
        found.update(rows.scalars())
    return found


def _batches(names: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


async def forget_condemned(tx: Transaction, older_than_ms: int) -> None:
    """Names of orphans that are long gone from the volume."""
    await tx.conn.execute(
        delete(staged_names).where(
            staged_names.c.condemned.is_(True), staged_names.c.at < now_ms() - older_than_ms
        )
    )


async def volume_id(conn: AsyncConnection) -> tuple[str, bool] | None:
    """The id of the volume these records belong to, and whether its marker was written."""
    row = (await conn.execute(select(volume.c.id, volume.c.confirmed))).first()
    return (row.id, bool(row.confirmed)) if row else None


async def name_volume(tx: Transaction, new_id: str) -> None:
    """Give the records their volume. Raises `IntegrityError` when another replica was first."""
    await tx.conn.execute(insert(volume).values(row=1, id=new_id, confirmed=False))


async def confirm_volume(tx: Transaction) -> None:
    await tx.conn.execute(update(volume).values(confirmed=True))
