"""Closing a form: it is submitted, or purged."""

from api.access.rights import check_draft, check_may_change
from api.access.tokens import Actor
from api.forms.completeness import judge
from api.records import forms, lifecycle, segments, uploads
from api.records.database import Transaction
from api.records.rows import FormRow
from api.services import Services
from api.texts.errors import Problem, error_of
from shared.status import UploadStatus


async def submit(services: Services, form: FormRow) -> None:
    """Close the form to the person; its back end may go on. What is being received, and doesn't
    keep the form from being submitted, ends with it: no byte of it could come any more.

    Raises `Problem` not-found, form-submitted, uploads-pending or form-incomplete.
    """
    form_type = services.form_types[form.type]

    def submitted(tx: Transaction) -> None:
        locked = forms.lock(tx, form.id)
        check_draft(locked)
        receiving = segments.hold_receiving(tx, form.id)
        found = judge(form_type, locked, uploads.shown(tx.conn, form.id))
        if found.pending:
            names = [
                {"id": row.id, "field": row.field, "filename": row.filename, "status": row.status}
                for row in found.pending
            ]
            raise Problem("uploads-pending", retry_after=1, extra={"uploads": names})
        if found.errors:
            raise Problem(
                "form-incomplete",
                errors=[
                    error_of(each["field"], each["code"], each["detail"]) for each in found.errors
                ],
            )
        for row in receiving:
            lifecycle.end(tx, row, UploadStatus.EXPIRED)
        forms.submit(tx, locked)

    await services.database.write(submitted)


async def purge(services: Services, form: FormRow, *, by: Actor) -> None:
    """Erase the form: at once for everybody outside, its bytes and objects soon after. Raises
    `Problem` form-submitted."""

    def purged(tx: Transaction) -> None:
        locked = forms.lock(tx, form.id)
        check_may_change(locked, by)
        purge_locked(tx, locked)

    await services.database.write(purged)


def purge_locked(tx: Transaction, form: FormRow) -> None:
    """The same within a transaction that locked the form."""
    for row in uploads.live(tx.conn, form.id):
        lifecycle.end(tx, row, UploadStatus.REMOVED)
    forms.purge(tx, form)
    uploads.forget_personal(tx, form.id)
