"""Keys whose first request is still running (protocol P9).

A mark only lets a second request be told so early, at another replica; which of two wins is decided
by the unique key of the upload, at commit.
"""

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select

from api.records.database import Transaction, now_ms
from api.records.prepared import Prepared, given
from api.records.tables import running_keys

MARK_MS = 15_000
"""A mark that wasn't renewed for so long belongs to a request that is no more."""

MARK = select(running_keys.c.holder).where(
    running_keys.c.form_id == given(running_keys.c.form_id),
    running_keys.c.field == given(running_keys.c.field),
    running_keys.c.key == given(running_keys.c.key),
    running_keys.c.until > now_ms(),
)
"""The mark of the given key, while it is alive."""
_MARKED = Prepared(MARK)


def mark(tx: Transaction, form_id: str, field: str, key: str, holder: str) -> None:
    """Set or renew the holder's mark, unless another's is alive. The form must be locked."""
    mine = _is(form_id, field, key)
    alive = tx.conn.execute(
        select(running_keys.c.holder).where(mine, running_keys.c.until > now_ms())
    )
    found = alive.scalar_one_or_none()
    if found is not None and found != holder:
        return
    tx.conn.execute(delete(running_keys).where(mine))
    tx.conn.execute(
        insert(running_keys).values(
            form_id=form_id, field=field, key=key, holder=holder, until=now_ms() + MARK_MS
        )
    )


def is_marked(conn: Connection, form_id: str, field: str, key: str) -> bool:
    """Whether a request with the key is being received, as far as the records know."""
    return _MARKED.row(conn, {"form_id": form_id, "field": field, "key": key}) is not None


def unmark(tx: Transaction, form_id: str, field: str, key: str, holder: str) -> None:
    """Take away the holder's own mark, and no other."""
    tx.conn.execute(
        delete(running_keys).where(_is(form_id, field, key), running_keys.c.holder == holder)
    )


def unmark_all(tx: Transaction, holders: str) -> None:
    """Take away the marks of all whose names begin so."""
    tx.conn.execute(
        delete(running_keys).where(running_keys.c.holder.startswith(holders, autoescape=True))
    )


def _is(form_id: str, field: str, key: str) -> ColumnElement[bool]:
    table = running_keys.c
    return and_(table.form_id == form_id, table.field == field, table.key == key)
