"""Uploads: rows, and the one function that changes their status."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Select, literal, select, update

from api.records import forms, tables
from api.records.database import NOW, Change, Moment, Transaction, now_ms
from api.records.prepared import Prepared, given, insert_row, update_rows
from api.records.rows import CountedUpload, ShownUpload, UploadRow
from api.records.running_keys import MARK
from api.records.tables import KEEPS_BYTES, uploads
from api.texts.errors import Problem
from shared.ids import is_id
from shared.status import TERMINAL, TRANSITIONS, UploadStatus

_BY_ID = Prepared(select(uploads).where(uploads.c.id == given(uploads.c.id)))
_AND_NOW = Prepared(
    select(uploads, now_ms().label("now")).where(uploads.c.id == given(uploads.c.id))
)
_OF_ITS_FORM = select(uploads.c.form_id).where(uploads.c.id == given(uploads.c.id))
_FORM_LOCKED = Prepared(
    select(tables.forms.c.id)
    .where(tables.forms.c.id == _OF_ITS_FORM.scalar_subquery())
    .with_for_update()
)
_HELD = Prepared(select(uploads).where(uploads.c.id == given(uploads.c.id)).with_for_update())


def _of_form(*columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .where(uploads.c.form_id == given(uploads.c.form_id))
        .order_by(uploads.c.seq, uploads.c.id)
    )


_COUNTED_COLUMNS = [uploads.c[each.name] for each in fields(CountedUpload)]
_COUNTED = Prepared(_of_form(*_COUNTED_COLUMNS))
_COUNTED_BESIDE = Prepared(
    select(MARK.exists().label("is_marked"), *_COUNTED_COLUMNS)
    # one row at least, which says of the mark
    .select_from(
        select(literal(1).label("one"))
        .subquery()
        .outerjoin(uploads, uploads.c.form_id == given(uploads.c.form_id))
    )
    .order_by(uploads.c.seq, uploads.c.id)
)
_SHOWN = Prepared(_of_form(*(uploads.c[each.name] for each in fields(ShownUpload))))
_LIVE = Prepared(
    _of_form(*uploads.c).where(*(uploads.c.status != literal(str(each)) for each in TERMINAL))
)

_OLDER = Prepared(
    _of_form(*uploads.c)
    .where(*(uploads.c.status != literal(str(each)) for each in TERMINAL))
    .where(uploads.c.slot == given(uploads.c.slot), uploads.c.seq < given(uploads.c.seq))
)

NEWEST = object()
"""In place of a `seq`: that of an upload that is acknowledged now."""


class GuardFailedError(RuntimeError):
    """A transition's guard didn't hold although the form was locked: nothing was changed."""


def get(conn: Connection, upload_id: str) -> UploadRow | None:
    """The upload, whatever became of it; None when there is none."""
    row = _BY_ID.row(conn, {"id": upload_id})
    return UploadRow.of(row) if row else None


def hold(tx: Transaction, upload_id: str) -> UploadRow | None:
    """The upload, after a heartbeat that is under way, and before any other until this transaction
    ends: heartbeats don't lock the form. That must be locked."""
    row = _HELD.row(tx.conn, {"id": upload_id})
    return UploadRow.of(row) if row else None


def lock(tx: Transaction, upload_id: str) -> UploadRow:
    """The upload as it is once its form is locked, even one that is being purged (protocol P1).

    Raises `Problem` not-found.
    """
    row, _ = lock_at(tx, upload_id)
    return row


def lock_at(tx: Transaction, upload_id: str) -> tuple[UploadRow, int]:
    """The same, and the database's time then, in milliseconds."""
    if is_id(upload_id) and _FORM_LOCKED.row(tx.conn, {"id": upload_id}):
        row = _AND_NOW.row(tx.conn, {"id": upload_id})
        if row:
            now = int(row.pop("now"))
            return UploadRow.of(row), now
    raise Problem("not-found")


def counted(conn: Connection, form_id: str) -> list[CountedUpload]:
    """All of a form's uploads, oldest first, as far as they matter to each other."""
    return [CountedUpload.of(row) for row in _COUNTED.rows(conn, {"form_id": form_id})]


def counted_beside(
    conn: Connection, form_id: str, field: str, key: str
) -> tuple[list[CountedUpload], bool]:
    """The same, and whether a request with the key of that field is being received, as
    `running_keys.is_marked` says."""
    rows = _COUNTED_BESIDE.rows(conn, {"form_id": form_id, "field": field, "key": key})
    marks = [row.pop("is_marked") for row in rows]
    return [CountedUpload.of(row) for row in rows if row["id"] is not None], any(marks)


def counted_at(conn: Connection, form_id: str) -> tuple[list[CountedUpload], int]:
    """The same, and the version at which the form was before they were looked at."""
    version = forms.versions(conn, [form_id]).get(form_id, 0)
    return counted(conn, form_id), version


def shown(conn: Connection, form_id: str) -> list[ShownUpload]:
    """All of a form's uploads, oldest first, as clients are shown them."""
    return [ShownUpload.of(row) for row in _SHOWN.rows(conn, {"form_id": form_id})]


def live(conn: Connection, form_id: str) -> list[UploadRow]:
    """Those of a form's uploads to which something may happen yet, oldest first."""
    return [UploadRow.of(row) for row in _LIVE.rows(conn, {"form_id": form_id})]


def older(conn: Connection, upload: UploadRow) -> list[UploadRow]:
    """Those of them that are in the slot of `upload` and were acknowledged before it."""
    place = {"form_id": upload.form_id, "slot": upload.slot, "seq": upload.seq}
    return [UploadRow.of(row) for row in _OLDER.rows(conn, place)]


def are_there(conn: Connection, upload_ids: Sequence[str]) -> bool:
    """Whether all of these uploads are."""
    return all(get(conn, each) for each in upload_ids)


def shown_of_forms(conn: Connection, form_ids: list[str]) -> dict[str, list[ShownUpload]]:
    """The same of several forms."""
    found = conn.execute(
        select(*(uploads.c[each.name] for each in fields(ShownUpload)))
        .where(uploads.c.form_id.in_(form_ids))
        .order_by(uploads.c.seq, uploads.c.id)
    )
    rows: dict[str, list[ShownUpload]] = {form_id: [] for form_id in form_ids}
    for row in found.mappings():
        rows[row["form_id"]].append(ShownUpload.of(row))
    return rows


def any_stored(conn: Connection) -> str | None:
    """The key of one stored object; None while there is none."""
    found = conn.execute(
        select(uploads.c.object).where(uploads.c.status == UploadStatus.STORED).limit(1)
    )
    described = found.scalar()
    return str(described["key"]) if described else None


def create(tx: Transaction, upload_id: str, form_id: str, **values: Any) -> UploadRow:
    """Insert an upload as `staged`, without its bytes yet as `receiving`, or without any as
    `rejected`; the form must be locked."""
    version = forms.bump(tx, form_id, edited_at=NOW)
    as_new = new_upload(upload_id, form_id, values)
    created = insert_row(tx.conn, uploads, {**as_new, "seq": version, "version": version})
    row = UploadRow.of(created)
    _record(tx, row, before=None)
    return row


def new_upload(upload_id: str, form_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a new upload, but for the version at which it comes into its form."""
    return dict(
        id=upload_id,
        form_id=form_id,
        generation=0,
        applied_generation=0,
        attempts=0,
        backoffs=0,
        derivatives={},
        notices=[],
        created_at=NOW,
        updated_at=NOW,
        **values,
    )


def transition(tx: Transaction, upload: UploadRow, to: UploadStatus, **values: Any) -> UploadRow:
    """Change the status: the one place that does. `seq=NEWEST` puts the upload behind all others of
    its form.

    The UPDATE holds only for the row as it was read, in status and generation (protocol P1);
    the form must be locked. Raises `GuardFailedError` otherwise.
    """
    if to not in TRANSITIONS[upload.status]:
        raise GuardFailedError(f"{upload.id}: {upload.status} → {to} is no transition")
    version = forms.bump(tx, upload.form_id)
    as_read = {"id": upload.id, "status": upload.status, "generation": upload.generation}
    changes = {"status": to, "version": version, "updated_at": NOW, **values}
    if changes.get("seq") is NEWEST:
        changes["seq"] = version
    found = update_rows(tx.conn, uploads, as_read, changes)
    if not found:
        raise GuardFailedError(
            f"{upload.id}: no longer {upload.status}, generation {upload.generation}"
        )
    row = UploadRow.of(found[0])
    _record(tx, row, before=upload.status)
    return row


def show_stage(tx: Transaction, upload: UploadRow, stage: str) -> None:
    """Record what the worker is doing now."""
    amend(tx, upload, stage=stage)


def amend(tx: Transaction, upload: UploadRow, **values: Any) -> UploadRow:
    """A change that clients see, without a transition; the form must be locked."""
    version = forms.bump(tx, upload.form_id)
    changes = {"version": version, "updated_at": NOW, **values}
    (changed,) = update_rows(tx.conn, uploads, {"id": upload.id}, changes)
    row = UploadRow.of(changed)
    _record(tx, row, before=upload.status)
    return row


def condemn(tx: Transaction, upload_ids: Sequence[str]) -> None:
    """Let bytes go that are kept (protocol P5): a change that no client sees. The form must be
    locked."""
    tx.conn.execute(
        update(uploads).where(uploads.c.id.in_(upload_ids), KEEPS_BYTES).values(bytes="condemned")
    )


def renew_lease(
    tx: Transaction, upload_id: str, generation: int, lease_ms: int
) -> UploadRow | None:
    """Prolong the lease of who owns the upload: `processing` in this generation, expired or not
    (protocol P3). Locks only the upload. None when it is owned no longer."""
    owned = {"id": upload_id, "status": UploadStatus.PROCESSING, "generation": generation}
    found = update_rows(tx.conn, uploads, owned, {"lease_until": Moment(lease_ms)})
    return UploadRow.of(found[0]) if found else None


def forget_personal(tx: Transaction, form_id: str) -> None:
    """Clear what a purged form's uploads say about the person."""
    tx.conn.execute(
        update(uploads)
        .where(uploads.c.form_id == form_id)
        .values(
            filename="",
            declared_type=None,
            key=None,
            error=None,
            notices=[],
            flags=[],
            tus_metadata=None,
        )
    )


def _record(tx: Transaction, row: UploadRow, *, before: UploadStatus | None) -> None:
    """One event a change: the upload's history."""
    forms.note(
        tx,
        form_id=row.form_id,
        version=row.version,
        upload_id=row.id,
        from_status=before,
        to_status=row.status,
        stage=row.stage,
        generation=row.generation,
    )
    tx.changes.append(change_of(row, before=before))


def change_of(row: UploadRow, *, before: UploadStatus | None) -> Change:
    """What its last change is told as."""
    return Change(
        form_id=row.form_id,
        upload_id=row.id,
        field=row.field,
        before=before,
        after=row.status,
        generation=row.generation,
        request_id=row.request_id,
        size=row.size,
        code=row.error["code"] if row.error else None,
    )
