"""The workers, as they last said how they are: for operators, and for nothing else."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from api.records.database import Transaction, now_ms, the_time
from api.records.tables import workers
from shared.internal_api import WorkerReport
from shared.status import StoreState

ALIVE_MS = 20_000
"""Four reports. A worker that wasn't heard of for longer has ended, or can't reach the api."""
KEPT_MS = 60_000
BATCH = 200
"""Rows that are forgotten at once."""
_WORST_FIRST = (StoreState.REFUSED, StoreState.AWAY, StoreState.OK)


@dataclass(frozen=True, slots=True)
class Living:
    """All workers that were heard of lately."""

    count: int
    store: StoreState | None
    """The worst that one of them says; None without a worker."""
    store_since: int | None
    """Since when the first of them has been saying so; milliseconds since the epoch."""
    waiting: int
    """Uploads that they have checked and that aren't stored yet."""


def heard(tx: Transaction, worker_id: str, report: WorkerReport) -> None:
    """Note what a worker says of itself, in place of what it said before."""
    now = now_ms()
    values = {
        "store": report.store,
        "store_since": now - int(report.store_for_seconds * 1000),
        "waiting": report.waiting,
        "seen_at": now,
    }
    on_sqlite = tx.conn.dialect.name == "sqlite"
    tx.conn.execute(
        sqlite.insert(workers)
        .values(id=worker_id, **values)
        .on_conflict_do_update(index_elements=["id"], set_=values)
        if on_sqlite
        else postgresql.insert(workers)
        .values(id=worker_id, **values)
        .on_conflict_do_update(index_elements=["id"], set_=values)
    )


def living(conn: Connection) -> Living:
    """What the workers that were heard of lately say, taken together: the store is as the worst of
    them finds it."""
    found = conn.execute(
        select(workers.c.store, workers.c.store_since, workers.c.waiting).where(
            workers.c.seen_at > the_time() - ALIVE_MS
        )
    )
    rows = list(found)
    said = {row.store for row in rows}
    worst = next((state for state in _WORST_FIRST if state in said), None)
    return Living(
        count=len(rows),
        store=worst,
        store_since=min((row.store_since for row in rows if row.store == worst), default=None),
        waiting=sum(row.waiting for row in rows),
    )


def silent(conn: Connection) -> list[str]:
    """Workers that are long gone."""
    found = conn.execute(
        select(workers.c.id).where(workers.c.seen_at < the_time() - KEPT_MS).limit(BATCH)
    )
    return list(found.scalars())


def forget(tx: Transaction, ids: Collection[str]) -> None:
    """Delete the rows of workers, but for those that were heard of meanwhile."""
    tx.conn.execute(
        delete(workers).where(workers.c.id.in_(ids), workers.c.seen_at < the_time() - KEPT_MS)
    )
