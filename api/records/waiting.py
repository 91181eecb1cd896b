"""How much waits for somebody: counted in indexes that hold nothing else."""

from sqlalchemy import Connection, and_, case, func, select

from api.records.cleaning import IS_SPARED
from api.records.database import the_time
from api.records.tables import (
    IS_BACKLOG,
    IS_CONDEMNED,
    IS_TO_BE_CLEANED,
    cleanings,
    staged_names,
    uploads,
)

FAILED = "failed"
BACKLOG = ("receiving", "staged", "processing", FAILED)
NOT_OURS = ("receiving", FAILED)
"""Those of them that wait for a client, or for a person."""


def by_status(conn: Connection) -> dict[str, tuple[int, int]]:
    """Status → number of uploads, and milliseconds since the oldest of them was made."""
    found = conn.execute(
        select(
            uploads.c.status,
            func.count().label("uploads"),
            (the_time() - func.min(uploads.c.created_at)).label("age"),
        )
        .where(IS_BACKLOG)
        .group_by(uploads.c.status)
    )
    return dict.fromkeys(BACKLOG, (0, 0)) | {row.status: (row.uploads, row.age) for row in found}


def cleanings_due_and_later(conn: Connection) -> dict[str, int]:
    """Prefixes that may be deleted now, and those whose time has not come, or that are spared."""
    is_due = case((and_(cleanings.c.not_before <= the_time(), ~IS_SPARED), 1), else_=0)
    found = conn.execute(
        select(func.count().label("all"), func.coalesce(func.sum(is_due), 0).label("due"))
        .select_from(cleanings)
        .where(IS_TO_BE_CLEANED)
    )
    row = found.one()
    return {"due": int(row.due), "later": int(row.all) - int(row.due)}


def orphans(conn: Connection, kept_ms: int) -> int:
    """Files without a record that were moved aside in the last `kept_ms`."""
    found = conn.execute(
        select(func.count())
        .select_from(staged_names)
        .where(IS_CONDEMNED, staged_names.c.at >= the_time() - kept_ms)
    )
    return int(found.scalar_one())
