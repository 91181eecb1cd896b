"""Reuse: give a field a file that the form has already, without its being sent again."""

from typing import Any

from api.access.rights import check_draft
from api.receive.files import Earlier, Received, file_too_large
from api.records import forms, uploads
from api.records.rows import FormRow, UploadRow
from api.services import Services
from api.staging.writer import Staged
from api.texts.errors import Problem, wrong_member
from api.uploads.admission import Admission
from api.uploads.reusable import earlier_of, not_reusable
from shared.form_definition import FileField


def from_of(body: dict[str, Any]) -> str:
    """The upload that a request names. Raises `Problem` invalid-request."""
    named = body.get("from")
    if isinstance(named, str) and named:
        return named
    raise wrong_member("from", "must be the id of an upload of the form")


async def reuse(services: Services, admission: Admission, from_id: str) -> UploadRow:
    """A new upload of the bytes of another one of the form: held against its own field's policy,
    with a generation and a key of its own. Nothing becomes of the other.

    With a key that was used before for the same upload, the earlier answer is the answer. The
    digest may be of the file as it was sent, or as it is kept.
    Raises `Problem` not-found, digest-mismatch, upload-not-reusable, file-too-large, and what
    `Admission` raises.
    """
    form, field = admission.form, admission.field
    rows = await services.database.read(uploads.counted, form.id)
    if winner := admission.winner_of(rows):
        sent = await _named(services, form, winner.id)
        if sent.from_id == from_id:
            return sent
    row = await _named(services, form, from_id)
    earlier = _checked(field, earlier_of(row))
    admission.check_digest(row.sha256, earlier.sha256)
    async with admission.open(least=earlier.size, most=0, rows=rows):
        received = await _found(services, form, field, from_id, admission.upload_id)
        return await admission.acknowledge(received, row.sha256)


async def _found(
    services: Services, form: FormRow, field: FileField, from_id: str, upload_id: str
) -> Received:
    """The bytes under a name of their own on the volume, or where they are in the bucket.

    An upload may be stored between the look and the link: then its file is gone, and a second
    look finds it in the bucket.
    """
    for _ in range(2):
        row = await _named(services, form, from_id)
        earlier = _checked(field, earlier_of(row))
        if earlier.prefix or await services.staging.link(from_id, upload_id):
            staged = Staged(upload_id, earlier.size, earlier.sha256)
            return Received(staged, row.filename, earlier.declared_type, earlier)
    raise not_reusable("gone")


def _checked(field: FileField, earlier: Earlier) -> Earlier:
    if earlier.size > field.max_bytes:
        raise file_too_large(field.max_bytes)
    return earlier


async def _named(services: Services, form: FormRow, upload_id: str) -> UploadRow:
    """What is another form's does not exist. The form is looked at after it: an upload that a
    purge has removed is never told of."""
    found, now = await services.database.read(
        lambda conn: (uploads.get(conn, upload_id), forms.get(conn, form.id))
    )
    if now is None or now.status == forms.PURGING:
        raise Problem("not-found")
    check_draft(now)
    if found is None or found.form_id != form.id:
        raise Problem("not-found", "The form has no such upload.")
    return found
