"""Making a durable file an upload of its form: from then on it is ours to deliver."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api.access.rights import check_draft
from api.receive.files import Received
from api.records import forms, lifecycle, staged, stalled, uploads
from api.records.database import NOW, CommitUnknown, Moment, Transaction
from api.records.rows import FormRow, UploadRow
from api.services import Services
from api.texts.errors import Problem
from api.texts.rejections import upload_error
from api.uploads.quotas import check_field, check_form
from api.uploads.reusable import check_still_there
from shared.crash_points import reached
from shared.form_definition import FileField
from shared.keys import render_key_base
from shared.status import UploadStatus


async def acknowledge(
    services: Services,
    form_id: str,
    field: FileField,
    received: Received,
    *,
    request_id: str,
    key: str | None = None,
) -> UploadRow:
    """Make a durable file an upload of the form: after this it is ours to deliver.

    With a `key` that was used before, the earlier upload is the answer if it has the same bytes
    (protocol P9). What is used again must still be there.
    """
    upload_id = received.staged.name
    added: list[UploadRow] = []

    def acknowledged(tx: Transaction) -> UploadRow | None:
        form = forms.lock(tx, form_id)
        check_draft(form)
        winner = uploads.by_key(tx.conn, form_id, field.name, key) if key else None
        if winner is None:
            if received.earlier:
                check_still_there(tx.conn, received.earlier)
            rows = uploads.of_form(tx.conn, form_id)
            check_field(field, [row for row in rows if row.field == field.name])
            form_type = services.form_types[form.type]
            check_form(services.settings, form_type, rows, more=received.staged.size)
            added.append(
                add_received(
                    services, tx, form, field, received, rows, request_id=request_id, key=key
                )
            )
        return winner

    winner = None  # so it stays where the answer to the commit is lost, and the row is found
    async with deleting_unless_committed(services, [received], added):
        winner = await services.database.write(acknowledged)
    if winner is not None:
        await services.staging.delete(upload_id)
        if not _is_the_same(winner, received):
            raise Problem("key-reused", field=field.name)
        return winner
    reached("api-after-commit")
    services.queue.wake_soon(upload_id, added[0].wake)
    return added[0]


def _is_the_same(winner: UploadRow, received: Received) -> bool:
    """A stored upload that is used again may have other bytes than before it was stored."""
    of_the_same = received.earlier is not None and winner.from_id == received.earlier.id
    return winner.sha256 == received.staged.sha256 or of_the_same


@asynccontextmanager
async def deleting_unless_committed(
    services: Services, files: Sequence[Received], added: Sequence[UploadRow] = ()
) -> AsyncIterator[None]:
    """Around the transaction that takes `files`, and puts the rows it makes of them into `added`:
    the files are deleted when it certainly wasn't committed.

    Once COMMIT was sent nothing is deleted (protocol P5). If the rows are there after all, the
    files are acknowledged, and this ends without an error; if nobody can tell, the client gets a
    503 and the sweep decides.
    """
    try:
        yield
    except CommitUnknown:
        if not added:
            raise  # nothing to recognise the transaction by
        if not await services.database.read(uploads.are_there, [row.id for row in added]):
            raise
    except Exception:
        for file in files:
            await services.staging.delete(file.staged.name)
        raise


def add_received(
    services: Services,
    tx: Transaction,
    form: FormRow,
    field: FileField,
    received: Received,
    others: Sequence[UploadRow],
    *,
    request_id: str,
    key: str | None = None,
) -> UploadRow:
    """Insert the row of a received file beside `others`; the form is locked and open."""
    settings = services.settings
    upload_id, earlier = received.staged.name, received.earlier
    staged.own(tx, upload_id)
    row = uploads.create(
        tx,
        upload_id,
        form.id,
        **_common(form, field, upload_id),
        key=key,
        status=UploadStatus.STAGED,
        deadline=Moment(int(settings.deadline_seconds * 1000)),
        wake=1,
        wakes_unanswered=0,
        wake_at=Moment(stalled.FIRST_WAKE_MS),
        filename=received.filename,
        size=received.staged.size,
        sha256=received.staged.sha256,
        declared_type=received.declared_type,
        bytes="kept",
        from_id=earlier.id if earlier else None,
        from_prefix=earlier.prefix if earlier else None,
        from_name=earlier.name if earlier else None,
        request_id=request_id,
    )
    lifecycle.condemn_rejected_before(tx, row, others)
    return row


@dataclass(frozen=True, slots=True)
class Refused:
    """A file of a section that can't be taken; it becomes a `rejected` upload without bytes."""

    upload_id: str
    filename: str
    declared_type: str | None
    size: int
    code: str
    params: dict[str, Any]


def add_refused(
    tx: Transaction,
    form: FormRow,
    field: FileField,
    refused: Refused,
    others: Sequence[UploadRow],
    *,
    request_id: str,
) -> UploadRow:
    """Insert the row of a refused file beside `others`; the form is locked and open."""
    row = uploads.create(
        tx,
        refused.upload_id,
        form.id,
        **_common(form, field, refused.upload_id),
        status=UploadStatus.REJECTED,
        deadline=NOW,
        wake=0,
        wakes_unanswered=0,
        wake_at=NOW,
        filename=refused.filename,
        size=refused.size,
        declared_type=refused.declared_type,
        bytes="gone",
        request_id=request_id,
        error=upload_error(refused.code, refused.params, field.policy),
    )
    lifecycle.condemn_rejected_before(tx, row, others)
    return row


def _common(form: FormRow, field: FileField, upload_id: str) -> dict[str, Any]:
    """The rules of this moment, kept with the upload: a changed definition can't strand it."""
    today = datetime.now(UTC)
    key_base = render_key_base(
        field.key,
        {
            "form_type": form.type,
            "form_id": form.id,
            "reference": form.reference or "",
            "field": field.name,
            "year": f"{today:%Y}",
            "month": f"{today:%m}",
        },
    )
    return {
        "field": field.name,
        "slot": field.name if field.max_files == 1 else upload_id,
        "policy": field.policy.model_dump(mode="json"),
        "key_base": key_base,
    }
