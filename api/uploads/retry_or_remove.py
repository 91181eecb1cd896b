"""What a person decides about an upload that is there: try it again, take it away."""

from api.access.rights import check_may_change
from api.access.tokens import Actor
from api.records import forms, lifecycle, uploads, waiting, wake_ups
from api.records.database import Moment, Transaction
from api.records.rows import UploadRow
from api.services import Services
from api.texts.errors import Problem
from shared.status import TERMINAL, UploadStatus


async def retry(services: Services, upload: UploadRow, *, by: Actor) -> UploadRow:
    """Give a `failed` upload a new start, with all its attempts and a new deadline.

    Raises `Problem` not-found, form-submitted, not-failed.
    """
    row = await services.database.write(
        start_again, upload.id, upload.form_id, services.settings.deadline_seconds, by=by
    )
    services.queue.wake_soon(row.id, row.wake)
    return row


def start_again(
    tx: Transaction, upload_id: str, form_id: str, deadline_seconds: float, *, by: Actor
) -> UploadRow:
    """The same within a transaction. Who sends no wake-up after it leaves that to the sweep, some
    ten seconds later."""
    form = forms.lock(tx, form_id)
    check_may_change(form, by)
    row = _current(tx, upload_id)
    if not waiting.is_retryable(row.status, row.error, row.bytes):
        raise Problem("not-failed", field=row.field)
    forms.touch(tx, form.id)
    return uploads.transition(
        tx,
        row,
        UploadStatus.STAGED,
        attempts=0,
        lost_generations=[],
        decoder_deaths=0,
        backoffs=0,
        error=None,
        deadline=Moment(int(deadline_seconds * 1000)),
        **wake_ups.at_once(row.wake + 1),
    )


async def remove(services: Services, upload: UploadRow, *, by: Actor) -> None:
    """Take an upload away; repeating it changes nothing. Raises `Problem` not-found,
    form-submitted."""

    def removed(tx: Transaction) -> None:
        form = forms.lock(tx, upload.form_id)
        check_may_change(form, by)
        row = _current(tx, upload.id)
        if row.status not in TERMINAL:
            forms.touch(tx, form.id)
            lifecycle.end(tx, row, UploadStatus.REMOVED)

    await services.database.write(removed)


def _current(tx: Transaction, upload_id: str) -> UploadRow:
    row = uploads.get(tx.conn, upload_id)
    if row is None:
        raise Problem("not-found")
    return row
