"""Reuse: give a field a file that the form has already, without its being sent again."""

from collections.abc import Sequence
from typing import Any

from api.receive.files import Earlier, Received, file_too_large
from api.records import forms, uploads
from api.records.rows import FormRow, UploadRow
from api.services import Services
from api.staging.staging import Staged
from api.texts.errors import Problem, wrong_member
from api.uploads.acknowledge import acknowledge
from api.uploads.idempotency import holding_key
from api.uploads.quotas import check_form
from api.uploads.reusable import earlier_of, not_reusable
from api.uploads.room import check_draft, check_room
from shared.form_definition import FileField


def from_of(body: dict[str, Any]) -> str:
    """The upload that a request names. Raises `Problem` invalid-request."""
    named = body.get("from")
    if isinstance(named, str) and named:
        return named
    raise wrong_member("from", "must be the id of an upload of the form")


async def reuse(
    services: Services,
    form: FormRow,
    field: FileField,
    from_id: str,
    *,
    upload_id: str,
    request_id: str,
    key: str | None = None,
    digest: str | None = None,
) -> UploadRow:
    """A new upload, `upload_id`, for `field`, of the bytes of another one of the form: held
    against its policy, with a generation and a key of its own. Nothing becomes of the other.

    With a `key` that was used before for the same upload, the earlier answer is the answer.
    Raises `Problem` not-found, digest-mismatch for another SHA-256 (in hex) than the upload's,
    upload-not-reusable, file-too-large, too-many-files, form-full.
    """
    rows = await _uploads(services, form)
    winner = next((row for row in rows if key and (row.field, row.key) == (field.name, key)), None)
    if winner and winner.from_id == from_id:
        return winner
    row = _named(rows, from_id)
    earlier = earlier_of(row)
    if digest and digest not in (row.sha256, earlier.sha256):  # as it was sent, or as it is kept
        raise Problem("digest-mismatch", field=field.name)
    size = _checked(field, earlier).size
    if winner is None:  # a key that is repeated adds nothing
        check_room(field, [row for row in rows if row.field == field.name])
        check_form(services.settings, services.form_types[form.type], rows, more=size)
    await services.mount.require()
    with services.staging.space.reserve(0):
        async with holding_key(services, form.id, field.name, key):
            received = await _found(services, form, field, from_id, upload_id)
            return await acknowledge(
                services, form.id, field, received, request_id=request_id, key=key
            )


async def _found(
    services: Services, form: FormRow, field: FileField, from_id: str, upload_id: str
) -> Received:
    """The bytes under a name of their own on the volume, or where they are in the bucket.

    An upload may be stored between the look and the link: then its file is gone, and a second
    look finds it in the bucket.
    """
    for _ in range(2):
        row = _named(await _uploads(services, form), from_id)
        earlier = _checked(field, earlier_of(row))
        if earlier.prefix or await services.staging.link(from_id, upload_id):
            staged = Staged(upload_id, earlier.size, earlier.sha256)
            return Received(staged, row.filename, earlier.declared_type, earlier)
    raise not_reusable("gone")


def _checked(field: FileField, earlier: Earlier) -> Earlier:
    if earlier.size > field.max_bytes:
        raise file_too_large(field.max_bytes)
    return earlier


def _named(rows: Sequence[UploadRow], upload_id: str) -> UploadRow:
    """What is another form's does not exist."""
    found = next((row for row in rows if row.id == upload_id), None)
    if found is None:
        raise Problem("not-found", "The form has no such upload.")
    return found


async def _uploads(services: Services, form: FormRow) -> list[UploadRow]:
    """The form is looked at after them: uploads that a purge has removed are never told of."""
    found, now = await services.database.read(
        lambda conn: (uploads.of_form(conn, form.id), forms.get(conn, form.id))
    )
    if now is None or now.status == forms.PURGING:
        raise Problem("not-found")
    check_draft(now)
    return found
