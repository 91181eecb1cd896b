"""What clients poll, found by one statement each: whether it may be shown, to whom, and whether
they have it already. Nothing is made of the rest of it until it is to be shown.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import JSON, Column, ColumnElement, Connection, Text, cast, select

from api.records.prepared import Prepared, Row, given
from api.records.rows import FormRow, ShownUpload
from api.records.tables import forms, uploads
from api.records.uploads import shown as shown_of_form
from shared.status import UploadStatus


@dataclass(frozen=True, slots=True)
class PolledForm:
    id: str
    status: str
    token_hash: str
    version: int
    edit: int
    columns: Row = field(repr=False)
    """All of its row, JSON as text."""

    def row(self) -> FormRow:
        """The whole of it."""
        return FormRow.of(_parsed(self.columns, _FORMS_JSON))


@dataclass(frozen=True, slots=True)
class PolledUpload:
    id: str
    status: UploadStatus
    version: int
    received: int | None
    form_id: str
    form_status: str
    form_version: int
    """At the same moment."""
    token_hash: str
    """Of its form's token."""
    columns: Row = field(repr=False)
    """Of its row what is shown, JSON as text."""

    def shown(self) -> ShownUpload:
        return ShownUpload.of(_parsed(self.columns, _UPLOADS_JSON))


def form(
    conn: Connection, form_id: str, *, shown: Callable[[PolledForm], bool]
) -> tuple[PolledForm | None, list[ShownUpload]]:
    """The form and, where it is `shown`, its uploads, oldest first."""
    row = _FORM.row(conn, {"id": form_id})
    if row is None:
        return None, []
    found = PolledForm(**{name: row[name] for name in _OF_FORM}, columns=row)
    if not shown(found):
        return found, []
    return found, shown_of_form(conn, form_id)


def upload(conn: Connection, upload_id: str) -> PolledUpload | None:
    row = _UPLOAD.row(conn, {"id": upload_id})
    if row is None:
        return None
    of_form = {name: row.pop(name) for name in ("form_status", "form_version", "token_hash")}
    return PolledUpload(
        id=row["id"],
        status=UploadStatus(row["status"]),
        version=row["version"],
        received=row["received"],
        form_id=row["form_id"],
        **of_form,
        columns=row,
    )


_OF_FORM = ("id", "status", "token_hash", "version", "edit")
_SHOWN = [uploads.c[each.name] for each in fields(ShownUpload)]


def _json(columns: Iterable[Column[Any]]) -> tuple[str, ...]:
    return tuple(column.name for column in columns if isinstance(column.type, JSON))


_FORMS_JSON, _UPLOADS_JSON = _json(forms.c), _json(_SHOWN)


def _as_text(columns: Iterable[Column[Any]]) -> list[ColumnElement[Any]]:
    """What neither driver nor SQLAlchemy parses by itself."""
    return [
        cast(column, Text).label(column.name) if isinstance(column.type, JSON) else column
        for column in columns
    ]


def _parsed(row: Row, names: Iterable[str]) -> Row:
    return row | {name: json.loads(row[name]) for name in names if row[name] is not None}


_FORM = Prepared(select(*_as_text(forms.c)).where(forms.c.id == given(forms.c.id)))
_UPLOAD = Prepared(
    select(
        *_as_text(_SHOWN),
        forms.c.status.label("form_status"),
        forms.c.version.label("form_version"),
        forms.c.token_hash,
    )
    .join_from(uploads, forms)
    .where(uploads.c.id == given(uploads.c.id))
)
