"""Forms page by page, for the application's back end."""

import base64
import binascii
from dataclasses import dataclass

from sqlalchemy import Connection

from api.records import forms, uploads
from api.records.rows import FormRow, ShownUpload
from api.services import Services
from api.texts.errors import Problem, pointer
from shared.ids import is_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The filters of a listing; None filters nothing."""

    form_type: str | None
    status: str | None
    reference: str | None
    limit: int


@dataclass(frozen=True, slots=True)
class Page:
    """Forms with their uploads, and the cursor of the next page; None on the last."""

    forms: list[tuple[FormRow, list[ShownUpload]]]
    next: str | None


async def list_page(services: Services, wanted: Wanted, after: str | None) -> Page:
    """Up to `limit` forms after the cursor, which is the `next` of the page before, or None.

    Raises `Problem` invalid-request for a cursor that isn't one of ours.
    """

    def found(conn: Connection) -> tuple[list[FormRow], bool, dict[str, list[ShownUpload]]]:
        rows = forms.page(
            conn,
            form_type=wanted.form_type,
            status=wanted.status,
            reference=wanted.reference,
            after=None if after is None else _decode(after),
            limit=wanted.limit + 1,
        )
        more, rows = len(rows) > wanted.limit, rows[: wanted.limit]
        return rows, more, uploads.shown_of_forms(conn, [row.id for row in rows])

    rows, more, of_forms = await services.database.scan(found)
    last = _encode(rows[-1], wanted) if more else None
    return Page([(row, of_forms[row.id]) for row in rows], last)


def _encode(row: FormRow, wanted: Wanted) -> str:
    moment = row.submitted_at if wanted.status == forms.SUBMITTED else row.created_at
    return base64.urlsafe_b64encode(f"{moment}.{row.id}".encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[int, str]:
    try:
        moment, _, form_id = (
            base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(".")
        )
        moment_ms = int(moment)
        if not 0 <= moment_ms < 1 << 63:
            raise ValueError(moment)  # noqa: TRY301 - one way out for all that is no cursor
    except (ValueError, binascii.Error) as error:
        detail = "must be the `next` of an answer of ours"
        errors = [{"pointer": pointer("after"), "code": "invalid-value", "detail": detail}]
        raise Problem("invalid-request", f"after {detail}", errors=errors) from error
    return moment_ms, form_id if is_id(form_id) else ""
