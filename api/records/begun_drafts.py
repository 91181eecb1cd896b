"""How many drafts a client address began lately: counts by steps of some minutes, for an hour."""

from sqlalchemy import ColumnElement, Connection, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from api.records.database import Transaction, now_ms, the_time
from api.records.tables import begun_drafts

WINDOW_MS = 3_600_000
STEP_MS = 300_000


def within_the_hour(conn: Connection, client: str) -> tuple[int, int]:
    """Drafts that the client began, and milliseconds until the oldest of them counts no more."""
    table = begun_drafts.c
    found = conn.execute(
        select(
            func.coalesce(func.sum(table.drafts), 0).label("drafts"),
            func.min(table.step).label("oldest"),
            now_ms().label("now"),
        ).where(table.client == client, table.step > _step(WINDOW_MS))
    )
    row = found.one()
    oldest = row.oldest if row.oldest is not None else row.now // STEP_MS
    return int(row.drafts), int(oldest * STEP_MS + WINDOW_MS - row.now)


def count(tx: Transaction, client: str) -> None:
    """One more."""
    on_sqlite = tx.conn.dialect.name == "sqlite"
    insert = sqlite.insert if on_sqlite else postgresql.insert
    new = insert(begun_drafts).values(client=client, step=now_ms() // STEP_MS, drafts=1)
    tx.conn.execute(
        new.on_conflict_do_update(
            index_elements=["client", "step"], set_={"drafts": begun_drafts.c.drafts + 1}
        )
    )


def any_old(conn: Connection) -> bool:
    """Whether there are counts of which none counts any more."""
    oldest = select(begun_drafts.c.client).where(_is_old()).order_by(begun_drafts.c.step).limit(1)
    return conn.execute(oldest).first() is not None


def forget_old(tx: Transaction) -> None:
    """Delete the counts that no quota looks at any more."""
    tx.conn.execute(delete(begun_drafts).where(_is_old()))


def _is_old() -> ColumnElement[bool]:
    return begun_drafts.c.step <= _step(WINDOW_MS)


def _step(ago_ms: int) -> ColumnElement[int]:
    """The step of `ago_ms` ago, by the database's clock."""
    return (the_time() - ago_ms) // STEP_MS
