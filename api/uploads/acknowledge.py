"""Making a durable file an upload of its form: from then on it is ours to deliver."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api.access.rights import check_draft
from api.receive.files import Received
from api.records import forms, lifecycle, one_statement, staged, uploads, wake_ups
from api.records.database import NOW, CommitUnknown, DatabaseUnavailable, Moment, Transaction
from api.records.rows import Counted, FormRow, UploadRow
from api.services import Services
from api.texts.errors import Problem
from api.texts.rejections import upload_error
from api.uploads.quotas import bytes_held, check_field, check_form, check_held, open_slots
from api.uploads.reusable import check_still_there
from shared.crash_points import reached
from shared.form_definition import FileField
from shared.keys import render_key_base
from shared.status import UploadStatus


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found in a form, and of its uploads at that moment or later, in numbers: the body
    that follows may take an hour, and rows would be held for as long."""

    form: FormRow
    uploads: int
    bytes: int
    is_plain: bool
    """The field has room for another file, which would put an end to nothing and repeat nothing."""

    @classmethod
    def of(
        cls, form: FormRow, field: FileField, key: str | None, rows: Sequence[Counted]
    ) -> "Seen":
        of_field = [row for row in rows if row.field == field.name]
        has_room = field.max_files == 1 or open_slots(field, of_field) > 0
        ends = any(
            row.slot == field.name and row.status is UploadStatus.REJECTED and row.bytes == "kept"
            for row in rows
        )
        is_plain = has_room and not ends and of_key(rows, field, key) is None
        return cls(form, len(rows), bytes_held(rows), is_plain)


async def acknowledge(
    services: Services,
    form_id: str,
    field: FileField,
    received: Received,
    *,
    request_id: str,
    key: str | None = None,
    seen: Seen | None = None,
) -> UploadRow:
    """Make a durable file an upload of the form: after this it is ours to deliver.

    With a `key` that was used before, the earlier upload is the answer if it has the same bytes
    (protocol P9). What is used again must still be there. `seen` is what was looked at before the
    bytes came: where nothing has changed in the form since, it needn't be looked at again.
    """
    new = NewUpload(services, field, received, request_id, key)
    added: list[UploadRow] = []
    winner = None  # so it stays where the answer to the commit is lost, and the row is found
    async with deleting_unless_committed(services, [received], added):
        if seen and (row := await _by_one_statement(services, new, seen)):
            added.append(row)
        else:
            winner = await services.database.write(new.add_locked, form_id, added)
    if winner is not None:
        await services.staging.delete(received.staged.name)
        if not _is_the_same(winner, received):
            raise Problem("key-reused", field=field.name)
        return winner
    reached("api-after-commit")
    services.queue.wake_soon(added[0].id, added[0].wake)
    return added[0]


@dataclass(frozen=True, slots=True)
class NewUpload:
    """A received file that is to become an upload of a field."""

    services: Services
    field: FileField
    received: Received
    request_id: str
    key: str | None = None

    def add(self, tx: Transaction, form: FormRow, others: Sequence[Counted]) -> UploadRow:
        """Insert its row beside `others`, all that the form has; the form is locked and open."""
        upload_id = self.received.staged.name
        staged.own(tx, upload_id)
        row = uploads.create(tx, upload_id, form.id, **self._columns(form))
        lifecycle.condemn_rejected_before(tx, row, others)
        return row

    def add_locked(self, tx: Transaction, form_id: str, added: list[UploadRow]) -> UploadRow | None:
        """Add it under the form's lock, and put its row into `added`; or return the upload that
        was sent with the key before. Raises `Problem` if the form takes no more."""
        form = forms.lock(tx, form_id)
        rows = uploads.counted(tx.conn, form_id)
        winner = self._check(form, rows)
        if winner:
            return uploads.get(tx.conn, winner.id)
        if self.received.earlier:
            check_still_there(tx.conn, self.received.earlier)
        added.append(self.add(tx, form, rows))
        return None

    def add_by_one_statement(self, tx: Transaction, seen: Seen) -> UploadRow | None:
        """The same for a form in which nothing has changed since it was `seen`; None, with nothing
        done, where it has to be looked at again."""
        form, settings = seen.form, self.services.settings
        if not seen.is_plain or self.received.earlier:
            return None
        with suppress(Problem):  # it may be so no longer
            check_draft(form)
            form_type, more = self.services.form_types[form.type], self.received.staged.size
            check_held(settings, form_type, seen.uploads, seen.bytes, more=more)
            upload_id = self.received.staged.name
            columns = self._columns(form)
            return one_statement.create(tx, upload_id, form.id, form.version, **columns)
        return None

    def _check(self, form: FormRow, rows: Sequence[Counted]) -> Counted | None:
        """The upload of the same key, if any; else raises `Problem` if the form takes no more."""
        check_draft(form)
        winner = of_key(rows, self.field, self.key)
        if winner is None:
            check_field(self.field, [row for row in rows if row.field == self.field.name])
            form_type = self.services.form_types[form.type]
            more = self.received.staged.size
            check_form(self.services.settings, form_type, rows, more=more)
        return winner

    def _columns(self, form: FormRow) -> dict[str, Any]:
        received, earlier = self.received, self.received.earlier
        return dict(
            **rules_of(form, self.field, received.staged.name),
            key=self.key,
            status=UploadStatus.STAGED,
            deadline=Moment(int(self.services.settings.deadline_seconds * 1000)),
            **wake_ups.at_once(1),
            filename=received.filename,
            size=received.staged.size,
            sha256=received.staged.sha256,
            declared_type=received.declared_type,
            bytes="kept",
            from_id=earlier.id if earlier else None,
            from_prefix=earlier.prefix if earlier else None,
            from_name=earlier.name if earlier else None,
            request_id=self.request_id,
        )


async def _by_one_statement(services: Services, new: NewUpload, seen: Seen) -> UploadRow | None:
    try:
        return await services.database.write_by_one_statement(new.add_by_one_statement, seen)
    except CommitUnknown as unknown:
        row = await _settled(services, new.received.staged.name, unknown)
    if row is None:
        raise DatabaseUnavailable
    return row


async def _settled(services: Services, name: str, unknown: CommitUnknown) -> UploadRow | None:
    """What became of the statement, and becomes: who inserts the name first owns the file, so that
    a server that carries it out late doesn't. Raises `unknown` where the database doesn't say."""
    try:
        if name in await services.database.write(staged.condemn, {name}):
            return None
        return await services.database.read(uploads.get, name)
    except Problem:
        raise unknown from None


def of_key(rows: Sequence[Counted], field: FileField, key: str | None) -> Counted | None:
    """The upload of the field that was sent with the key before."""
    if key is None:
        return None
    return next((row for row in rows if (row.field, row.key) == (field.name, key)), None)


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
    others: Sequence[Counted],
    *,
    request_id: str,
) -> UploadRow:
    """Insert the row of a refused file beside `others`; the form is locked and open."""
    row = uploads.create(
        tx,
        refused.upload_id,
        form.id,
        **rules_of(form, field, refused.upload_id),
        status=UploadStatus.REJECTED,
        deadline=NOW,
        **wake_ups.never(),
        filename=refused.filename,
        size=refused.size,
        declared_type=refused.declared_type,
        bytes="gone",
        request_id=request_id,
        error=upload_error(refused.code, refused.params, field.policy),
    )
    lifecycle.condemn_rejected_before(tx, row, others)
    return row


def rules_of(form: FormRow, field: FileField, upload_id: str) -> dict[str, Any]:
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
        "policy": field.snapshot,
        "key_base": key_base,
    }
