"""Doomed prefixes: what the worker is to delete from the bucket (protocol P7)."""

from sqlalchemy import Connection, delete, exists, func, insert, literal, select, update

from api.records.database import Transaction, now_ms, the_time
from api.records.prepared import Prepared, given
from api.records.tables import IS_CLEANED, IS_TO_BE_CLEANED, SPARES, cleanings, uploads
from shared.internal_api import Cleaning

SECOND_PASS_MS = 24 * 3600 * 1000
CLAIM_MS = 60_000
"""A claimed cleaning is offered again after this long without a confirmation."""
BATCH = 200
"""Rows that are forgotten at once."""
IS_SPARED = exists().where(uploads.c.from_prefix == cleanings.c.prefix, SPARES)
"""An upload that reuses what lies there still needs it."""


_PREFIX = given(cleanings.c.prefix)
_ORDER = Prepared(
    insert(cleanings).from_select(
        ["prefix", "form_id", "not_before", "passes", "at"],
        select(
            _PREFIX,
            given(cleanings.c.form_id),
            func.coalesce(given(cleanings.c.not_before), now_ms()),
            literal(0),
            now_ms(),
        ).where(~exists().where(cleanings.c.prefix == _PREFIX)),
    )
)


def order(tx: Transaction, prefix: str, form_id: str, *, not_before: int | None) -> None:
    """Have what lies under the prefix deleted, from the moment `not_before` on, or None for now.
    A prefix that was ordered before changes nothing. The form must be locked."""
    _ORDER.rows(tx.conn, {"prefix": prefix, "form_id": form_id, "not_before": not_before})


def is_due(conn: Connection) -> bool:
    """Whether there is a prefix that a worker is to clean now."""
    found = conn.execute(
        select(cleanings.c.id)
        .where(IS_TO_BE_CLEANED, cleanings.c.not_before <= the_time(), ~IS_SPARED)
        .order_by(cleanings.c.not_before)  # so that the index is followed, whatever it expects
        .limit(1)
    )
    return found.first() is not None


def claim(tx: Transaction, limit: int) -> list[Cleaning]:
    """Up to `limit` due prefixes; each is deferred while it is worked on."""
    found = tx.conn.execute(
        select(cleanings.c.id, cleanings.c.prefix, cleanings.c.passes)
        .where(IS_TO_BE_CLEANED, cleanings.c.not_before <= the_time(), ~IS_SPARED)
        .order_by(cleanings.c.not_before)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    orders = [Cleaning.model_validate(dict(row)) for row in found.mappings()]
    tx.conn.execute(
        update(cleanings)
        .where(cleanings.c.id.in_([order.id for order in orders]))
        .values(not_before=now_ms() + CLAIM_MS)
    )
    return orders


def confirm(tx: Transaction, cleaning_id: int, passes: int) -> None:
    """Count the pass that was ordered as number `passes`, once; the second comes a day after the
    first. A repeated confirmation changes nothing."""
    tx.conn.execute(
        update(cleanings)
        .where(cleanings.c.id == cleaning_id, cleanings.c.passes == passes)
        .values(passes=passes + 1, not_before=now_ms() + SECOND_PASS_MS)
    )


def done(conn: Connection) -> list[int]:
    """Prefixes that were cleaned for good."""
    found = conn.execute(
        select(cleanings.c.id).where(IS_CLEANED).order_by(cleanings.c.id).limit(BATCH)
    )
    return list(found.scalars())


def forget(tx: Transaction, ids: list[int]) -> None:
    """Delete the rows of prefixes: their names may say whose they were."""
    tx.conn.execute(delete(cleanings).where(cleanings.c.id.in_(ids)))
