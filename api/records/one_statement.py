"""An upload acknowledged by one statement, on PostgreSQL: there each statement is a round trip, and
a transaction that locks, looks and writes has eight of them.

It is the same as `staged.own` and `uploads.create` under the form's lock, if nothing has changed in
the form since it was looked at: every change raises its version, and this holds for that version
alone.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, false, insert, literal, null, select, update
from sqlalchemy.exc import IntegrityError

from api.records.database import Moment, Transaction, now_ms
from api.records.forms import DRAFT
from api.records.prepared import Prepared, given
from api.records.rows import UploadRow
from api.records.tables import events, forms, staged_names, uploads
from api.records.uploads import change_of, new_upload
from shared.status import UploadStatus


def create(
    tx: Transaction, upload_id: str, form_id: str, seen: int, **values: Any
) -> UploadRow | None:
    """Make a staged file an upload of the form, which is a draft at the version `seen`. None, with
    nothing done, where it is so no longer, or where name or key are somebody's: then the
    transaction that looks at all of it says why."""
    row = new_upload(upload_id, form_id, values)
    shape = tuple((name, isinstance(value, Moment)) for name, value in row.items())
    given_values = {
        name: value.after_ms if isinstance(value, Moment) else value for name, value in row.items()
    }
    try:
        made = _statement(shape).row(tx.conn, {**given_values, "seen": seen})
    except IntegrityError:
        return None
    if made is None:
        return None
    upload = UploadRow.of(made)
    tx.changes.append(change_of(upload, before=None))
    return upload


@lru_cache(maxsize=16)
def _statement(shape: tuple[tuple[str, bool], ...]) -> Prepared:
    """Each of its parts goes by what the first one found: the form, if it is as it was."""
    bumped = (
        update(forms)
        .where(
            forms.c.id == given(uploads.c.form_id),
            forms.c.version == given(forms.c.version, "seen"),
            forms.c.status == literal(DRAFT),
        )
        .values(version=forms.c.version + 1, updated_at=now_ms(), edited_at=now_ms())
        .returning(forms.c.version)
        .cte("bumped")
    )
    owned = _insert_from(
        bumped,
        staged_names,
        {"name": given(uploads.c.id), "condemned": false(), "at": now_ms()},
    ).cte("owned")
    noted = _insert_from(
        bumped,
        events,
        {
            "form_id": given(uploads.c.form_id),
            "version": bumped.c.version,
            "upload_id": given(uploads.c.id),
            "from_status": null(),
            "to_status": literal(str(UploadStatus.STAGED)),
            "stage": null(),
            "generation": literal(0),
            "at": now_ms(),
        },
    ).cte("noted")
    columns: dict[str, ColumnElement[Any]] = {
        name: now_ms() + given(uploads.c[name]) if is_moment else given(uploads.c[name])
        for name, is_moment in shape
    }
    made = _insert_from(
        bumped, uploads, {**columns, "seq": bumped.c.version, "version": bumped.c.version}
    )
    return Prepared(made.returning(*uploads.c).add_cte(owned, noted))


def _insert_from(source: Any, table: Any, columns: Mapping[str, Any]) -> Any:
    """Insert one row where `source` has one, and none where it has none."""
    return insert(table).from_select(list(columns), select(*columns.values()).select_from(source))
