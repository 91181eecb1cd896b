"""What a credential reaches: the form that it opens, and that form's uploads.

Anything else is not found, whether there is such a thing or not; only a credential that opens
nothing at all is told so.
"""

from collections.abc import Callable

from sqlalchemy import Connection

from api.access.tokens import Credential, FormToken, form_of, opens
from api.records import forms, polled, uploads
from api.records.polled import PolledForm, PolledUpload
from api.records.rows import FormRow, ShownUpload, UploadRow
from api.services import Services
from api.texts.errors import Problem
from shared.ids import is_id


async def form(services: Services, credential: Credential, form_id: str) -> FormRow:
    """The form of that id. Raises `Problem` not-found or unauthorized, as all of these do."""
    found = await services.database.read(forms.get, form_id) if is_id(form_id) else None
    if found and _is_open(credential, found.status, found.token_hash):
        return found
    raise await _nothing(services, credential)


async def upload(services: Services, credential: Credential, upload_id: str) -> UploadRow:
    """The upload of that id."""
    if is_id(upload_id):
        row, of_form = await services.database.read(_with_form, upload_id)
        if row and of_form and _is_open(credential, of_form.status, of_form.token_hash):
            return row
    raise await _nothing(services, credential)


async def polled_form(
    services: Services, credential: Credential, form_id: str, shown: Callable[[PolledForm], bool]
) -> tuple[PolledForm, list[ShownUpload]]:
    """The form of that id and, where it is `shown`, its uploads, found by one statement each."""

    def is_open(found: PolledForm) -> bool:
        return _is_open(credential, found.status, found.token_hash)

    if is_id(form_id):
        found, rows = await services.database.read(
            polled.form, form_id, shown=lambda found: is_open(found) and shown(found)
        )
        if found and is_open(found):
            return found, rows
    raise await _nothing(services, credential)


async def polled_upload(services: Services, credential: Credential, upload_id: str) -> PolledUpload:
    """The upload of that id, found by one statement."""
    found = await services.database.read(polled.upload, upload_id) if is_id(upload_id) else None
    if found and _is_open(credential, found.form_status, found.token_hash):
        return found
    raise await _nothing(services, credential)


def _with_form(conn: Connection, upload_id: str) -> tuple[UploadRow | None, FormRow | None]:
    row = uploads.get(conn, upload_id)
    return row, forms.get(conn, row.form_id) if row else None


def _is_open(credential: Credential, status: str, token_hash: str) -> bool:
    """A form that is being purged is gone for everybody outside."""
    return status != forms.PURGING and opens(credential, token_hash)


async def _nothing(services: Services, credential: Credential) -> Problem:
    """There is nothing for this credential. Raises `Problem` unauthorized where it is nobody's."""
    if isinstance(credential, FormToken):
        await form_of(services, credential)
    return Problem("not-found")
