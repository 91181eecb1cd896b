"""Forms: rows, locks, versions."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Connection, and_, delete, func, or_, select

from api.records.database import NOW, Change, Transaction, now_ms
from api.records.prepared import Prepared, add_row, given, insert_row, update_rows
from api.records.rows import FormRow
from api.records.tables import events, forms
from api.texts.errors import Problem

DRAFT = "draft"
SUBMITTED = "submitted"
PURGING = "purging"

IDS_AT_ONCE = 512
"""In one statement; databases bound its parameters."""
MOMENT_LOCK = 0x10463401
"""Ours among PostgreSQL's advisory locks; taken after the form's, and last of all."""

_BY_ID = Prepared(select(forms).where(forms.c.id == given(forms.c.id)))
_BY_TOKEN = Prepared(select(forms).where(forms.c.token_hash == given(forms.c.token_hash)))
_LOCKED = Prepared(select(forms).where(forms.c.id == given(forms.c.id)).with_for_update())


def create(
    tx: Transaction,
    *,
    form_id: str,
    form_type: str,
    reference: str | None,
    token_hash: str,
    data: dict[str, Any],
    **columns: Any,
) -> FormRow:
    """`columns` are those columns that a back end fills: see `api.forms.drafts.Given`."""
    now = _next(tx, forms.c.created_at)
    created = insert_row(
        tx.conn,
        forms,
        {
            "id": form_id,
            "type": form_type,
            "reference": reference,
            "status": DRAFT,
            "token_hash": token_hash,
            "data": data,
            "version": 1,
            "edit": 1,
            "created_at": now,
            "updated_at": now,
            "edited_at": now,
            **columns,
        },
    )
    return FormRow.of(created)


def get(conn: Connection, form_id: str) -> FormRow | None:
    """The form, also one that is being purged; None when there is none."""
    row = _BY_ID.row(conn, {"id": form_id})
    return FormRow.of(row) if row else None


def by_token(conn: Connection, token_hash: str) -> FormRow | None:
    """The form whose token has this hash (`hash_token`), also one that is being purged."""
    row = _BY_TOKEN.row(conn, {"token_hash": token_hash})
    return FormRow.of(row) if row else None


def versions(conn: Connection, form_ids: Sequence[str]) -> dict[str, int]:
    """The versions of those of the forms that there are, and nothing else of them."""
    found: dict[str, int] = {}
    for first in range(0, len(form_ids), IDS_AT_ONCE):
        some = list(form_ids[first : first + IDS_AT_ONCE])
        # Numbers of parameters that are powers of two: few statements for the server to prepare.
        padded = [*some, *some[:1] * ((1 << (len(some) - 1).bit_length()) - len(some))]
        rows = conn.execute(select(forms.c.id, forms.c.version).where(forms.c.id.in_(padded)))
        found |= {row.id: row.version for row in rows}
    return found


def page(
    conn: Connection,
    *,
    form_type: str | None,
    status: str | None,
    reference: str | None,
    after: tuple[int, str] | None,
    limit: int,
) -> list[FormRow]:
    """Forms in a stable order: submitted ones as they were submitted, any as they were created."""
    moment = forms.c.submitted_at if status == SUBMITTED else forms.c.created_at
    query = select(forms).where(forms.c.status != PURGING)
    if form_type is not None:
        query = query.where(forms.c.type == form_type)
    if status is not None:
        query = query.where(forms.c.status == status)
    if reference is not None:
        query = query.where(forms.c.reference == reference)
    if after is not None:
        query = query.where(or_(moment > after[0], and_(moment == after[0], forms.c.id > after[1])))
    found = conn.execute(query.order_by(moment, forms.c.id).limit(limit))
    return [FormRow.of(row) for row in found.mappings()]


def lock(tx: Transaction, form_id: str) -> FormRow:
    """Lock the form for this transaction: always before its uploads (protocol P1).

    Raises `Problem` not-found when it doesn't exist or is being purged.
    """
    form = lock_any(tx, form_id)
    if form is None or form.status == PURGING:
        raise Problem("not-found")
    return form


def lock_any(tx: Transaction, form_id: str) -> FormRow | None:
    """Lock the form even while it is being purged."""
    row = _LOCKED.row(tx.conn, {"id": form_id})
    return FormRow.of(row) if row else None


def bump(tx: Transaction, form_id: str, **values: Any) -> int:
    """Raise the form's version, which every change carries, and return it."""
    changes = {"updated_at": NOW, **values}
    (bumped,) = update_rows(
        tx.conn, forms, {"id": form_id}, changes, counting="version", returning=["version"]
    )
    return int(bumped["version"])


def _change(tx: Transaction, form: FormRow, **values: Any) -> None:
    """Change the form itself: row, version, event."""
    version = bump(tx, form.id, **values)
    after = values.get("status", form.status)
    note(tx, form_id=form.id, version=version, from_status=form.status, to_status=after)
    tx.changes.append(Change(form_id=form.id, before=form.status, after=after))


def note(tx: Transaction, **values: Any) -> None:
    """One event: an entry of a form's history."""
    add_row(tx.conn, events, {**values, "at": NOW})


def save_text(tx: Transaction, form: FormRow, data: dict[str, Any]) -> None:
    """Keep what the person typed: an edit. Of the edits before it no event is left, so that a form
    has as many as uploads and states, however often it is saved."""
    tx.conn.execute(
        delete(events).where(
            events.c.form_id == form.id,
            events.c.upload_id.is_(None),
            events.c.from_status == events.c.to_status,
        )
    )
    _change(tx, form, data=data, edit=form.edit + 1, edited_at=NOW)


def touch(tx: Transaction, form_id: str) -> None:
    """The person did something with an upload: the draft is kept for longer."""
    update_rows(tx.conn, forms, {"id": form_id}, {"edited_at": NOW})


def submit(tx: Transaction, form: FormRow) -> None:
    """Close the form, which must be a locked draft, to the person."""
    moment = _next(tx, forms.c.submitted_at)
    _change(tx, form, status=SUBMITTED, submitted_at=moment, edit=form.edit + 1)


def _next(tx: Transaction, column: Column[int]) -> int:
    """The moment of this transaction, later than that of any before: moments in the order of
    commits, so that no reader's cursor passes over a form that is committed after it looked.
    Held until the commit, on SQLite by being the only writer."""
    if tx.conn.dialect.name == "postgresql":
        tx.conn.execute(select(func.pg_advisory_xact_lock(MOMENT_LOCK)))
    last = select(func.max(column)).scalar_subquery()
    now, before = tx.conn.execute(select(now_ms(), last)).one()
    return max(int(now), int(before or 0) + 1)


def purge(tx: Transaction, form: FormRow) -> None:
    """Close the form for good and clear what is personal in it."""
    personal: dict[str, Any] = {"data": {}, "reference": None, "metadata": None}
    back = {"success_redirect": None, "error_redirect": None}
    _change(tx, form, status=PURGING, **personal, **back)


def erase(tx: Transaction, form_id: str) -> None:
    """Delete the rows of a purged form; its uploads and events go with it."""
    tx.conn.execute(delete(forms).where(forms.c.id == form_id, forms.c.status == PURGING))
