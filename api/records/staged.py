"""Who owns a name on the volume, and which volume it is (protocol P5)."""

from collections.abc import Collection

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from api.records.database import NOW, Transaction, now_ms, the_time
from api.records.prepared import add_row
from api.records.tables import IS_CONDEMNED, staged_names, volume
from api.texts.errors import Problem

BATCH = 200


def own(tx: Transaction, name: str) -> None:
    """Make the name an upload's. Raises `Problem` when the sweep has condemned the file."""
    try:
        add_row(tx.conn, staged_names, {"name": name, "condemned": False, "at": NOW})
    except IntegrityError as error:
        raise Problem("unavailable", retry_after=1) from error


def condemn(tx: Transaction, names: Collection[str]) -> set[str]:
    """Make these names orphans'; returns those that are, and not an upload's. Another replica may
    be doing the same, or a receiver be making one its own: whoever inserts a name first has it."""
    values = [{"name": name, "condemned": True, "at": now_ms()} for name in sorted(names)]
    on_sqlite = tx.conn.dialect.name == "sqlite"
    tx.conn.execute(
        sqlite.insert(staged_names).values(values).on_conflict_do_nothing()
        if on_sqlite
        else postgresql.insert(staged_names).values(values).on_conflict_do_nothing()
    )
    found = tx.conn.execute(
        select(staged_names.c.name).where(staged_names.c.name.in_(names), IS_CONDEMNED)
    )
    return set(found.scalars())


def owned(conn: Connection, names: Collection[str]) -> set[str]:
    """Which of these names belong to an upload."""
    found = conn.execute(
        select(staged_names.c.name).where(
            staged_names.c.name.in_(names), staged_names.c.condemned.is_(False)
        )
    )
    return set(found.scalars())


def long_condemned(conn: Connection, older_than_ms: int) -> list[str]:
    """Names of orphans that are long gone from the volume."""
    found = conn.execute(
        select(staged_names.c.name)
        .where(IS_CONDEMNED, staged_names.c.at < the_time() - older_than_ms)
        .order_by(staged_names.c.at)
        .limit(BATCH)
    )
    return list(found.scalars())


def forget(tx: Transaction, names: Collection[str]) -> None:
    """Let go of names: of orphans, whose files are gone."""
    tx.conn.execute(delete(staged_names).where(staged_names.c.name.in_(names)))


def volume_id(conn: Connection) -> tuple[str, bool] | None:
    """The id of the volume these records belong to, and whether its marker was written."""
    row = conn.execute(select(volume.c.id, volume.c.confirmed)).first()
    return (row.id, bool(row.confirmed)) if row else None


def name_volume(tx: Transaction, new_id: str) -> None:
    """Give the records their volume. Raises `IntegrityError` when another replica was first."""
    tx.conn.execute(insert(volume).values(row=1, id=new_id, confirmed=False))


def confirm_volume(tx: Transaction) -> None:
    """The volume's marker is written: from now on a volume without one is another."""
    tx.conn.execute(update(volume).values(confirmed=True))
