"""How much waits for somebody, and what: found in indexes that hold nothing else."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, case, func, select, tuple_

from api.records.cleaning import IS_SPARED
from api.records.database import the_time
from api.records.tables import (
    IS_BACKLOG,
    IS_CONDEMNED,
    IS_TO_BE_CLEANED,
    cleanings,
    forms,
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


class Waiting(NamedTuple):
    """An upload of the backlog as an operator wants to see it. Times are milliseconds from now, by
    the database's clock: negative ones are over."""

    id: str
    form_id: str
    form_type: str
    field: str
    status: str
    stage: str | None
    attempts: int
    code: str | None
    """Why it failed."""
    can_be_retried: bool
    acknowledged: int
    changed: int
    due: int
    """When it may be claimed again."""
    lease: int | None
    deadline: int


def listed(
    conn: Connection, status: str, after: tuple[int, str] = (0, ""), limit: int = 200
) -> tuple[list[Waiting], tuple[int, str]]:
    """Uploads of the backlog in this status, oldest first, and from where to go on."""
    u = uploads.c
    now = the_time()
    of_type = select(forms.c.type).where(forms.c.id == u.form_id).scalar_subquery()
    found = conn.execute(
        select(
            *(
                u.id,
                u.form_id,
                of_type.label("type"),
                u.field,
                u.status,
                u.stage,
                u.attempts,
                u.error,
            ),
            *(u.bytes, u.created_at),
            *((each - now).label(f"{each.name}_in") for each in (u.created_at, u.updated_at)),
            *((each - now).label(each.name) for each in (u.next_attempt_at, u.lease_until)),
            (u.deadline - now).label("deadline"),
        )
        .where(IS_BACKLOG, u.status == status, tuple_(u.created_at, u.id) > after)
        .order_by(u.created_at, u.id)
        .limit(limit)
    ).all()
    rows = [
        Waiting(
            id=row.id,
            form_id=row.form_id,
            form_type=row.type,
            field=row.field,
            status=row.status,
            stage=row.stage,
            attempts=row.attempts,
            code=row.error["code"] if row.error else None,
            can_be_retried=is_retryable(row.status, row.error, row.bytes),
            acknowledged=row.created_at_in,
            changed=row.updated_at_in,
            due=row.next_attempt_at,
            lease=row.lease_until,
            deadline=row.deadline,
        )
        for row in found
    ]
    return rows, (found[-1].created_at, found[-1].id) if found else after


def is_retryable(status: str, error: Mapping[str, Any] | None, kept: str) -> bool:
    """Whether an upload may be given a new start: our fault, and its bytes are kept."""
    return status == FAILED and bool((error or {}).get("retryable")) and kept == "kept"


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
