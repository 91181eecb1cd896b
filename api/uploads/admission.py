"""Letting files in, alike for every transport: is there room, the bytes, the acknowledgement.

What headers and the record decide is refused before a byte is read. A transport brings the bytes,
and nothing else:

    admission = Admission(services, form, field, request_id=…, key=…, digest=…)
    async with admission.open(least=size, most=size):
        received = await receive_raw(services.staging, body, admission.upload_id, …)
        row = await admission.acknowledge(received)
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from api.access.rights import check_draft
from api.receive.files import Received
from api.records import uploads
from api.records.rows import Counted, CountedUpload, FormRow, UploadRow
from api.services import Services
from api.texts.errors import Problem
from api.uploads.acknowledge import Seen, acknowledge, of_key
from api.uploads.idempotency import holding_key
from api.uploads.quotas import check_field, check_form
from shared.form_definition import FileField, FormType
from shared.ids import new_id


class Admission:
    """One file for one field of a form. Raises `Problem` form-submitted."""

    def __init__(
        self,
        services: Services,
        form: FormRow,
        field: FileField,
        *,
        request_id: str,
        key: str | None = None,
        digest: str | None = None,
    ) -> None:
        """`key` is the client's own, which makes the upload idempotent (protocol P9); `digest` the
        SHA-256 in hex that it says of the file, or of the body that brings it (RFC 9530)."""
        check_draft(form)
        self.upload_id = new_id("upl")
        self._services = services
        self.form = form
        self.field = field
        self.request_id = request_id
        self.key = key
        self.digest = digest
        self._seen: Seen | None = None

    @asynccontextmanager
    async def open(
        self,
        *,
        least: int,
        most: int,
        rows: Sequence[Counted] | None = None,
        holds_key: bool = True,
    ) -> AsyncIterator[None]:
        """Around taking the bytes: the file has at `least` so many, and takes at `most` so many on
        the volume. `rows` are the form's uploads, if they were read already. Who doesn't hold the
        key meanwhile is one of several that may use it at once.

        Raises `Problem` too-many-files, form-full, upload-running, storage-full or unavailable.
        """
        services, key = self._services, self.key if holds_key else None
        self._seen, is_marked = await self._look(rows, least, key)
        async with (
            _on_volume(services, most),
            holding_key(services, self.form.id, self.field.name, key, is_marked=is_marked),
        ):
            yield

    async def acknowledge(self, received: Received, body_sha256: str | None = None) -> UploadRow:
        """Make the file, which is durable by now, an upload: from then on it is ours to deliver.

        `body_sha256` is that of the body that brought it, where the client told a digest. Raises
        `Problem` digest-mismatch, key-reused, and whatever stands against the form by now.
        """
        try:
            self.check_digest(received.staged.sha256, body_sha256)
        except Problem:
            await self._services.staging.delete(received.staged.name)
            raise
        return await acknowledge(
            self._services,
            self.form.id,
            self.field,
            received,
            request_id=self.request_id,
            key=self.key,
            seen=self._seen,
        )

    def check_digest(self, *those: str | None) -> None:
        """Raise `Problem` digest-mismatch if the client told another one than all of `those`."""
        if self.digest and self.digest not in those:
            raise Problem("digest-mismatch", field=self.field.name)

    def winner_of(self, rows: Sequence[Counted]) -> Counted | None:
        """The upload that was sent with the key before."""
        return of_key(rows, self.field, self.key)

    def check(self, form: FormRow, rows: Sequence[Counted], *, more: int) -> Counted | None:
        """The upload that was sent with the key before, if any; else raises `Problem` if the form,
        as it is by now and with the uploads `rows`, doesn't take `more` bytes."""
        check_draft(form)
        winner = self.winner_of(rows)
        if winner is None:
            self._check_room(rows, more)
        return winner

    def _check_room(self, rows: Sequence[Counted], more: int) -> None:
        check_field(self.field, [row for row in rows if row.field == self.field.name])
        form_type = self._services.form_types[self.form.type]
        check_form(self._services.settings, form_type, rows, more=more)

    async def _look(
        self, rows: Sequence[Counted] | None, least: int, key: str | None
    ) -> tuple[Seen, bool | None]:
        """Refuse what the record decides, and keep of its rows what the end of the body asks. And
        whether the `key` is marked, if that was looked at."""
        is_marked = None
        if rows is None:
            rows, is_marked = await self._counted(key)
        if not self.winner_of(rows):  # a key that is repeated adds nothing
            self._check_room(rows, least)
        return Seen.of(self.form, self.field, self.key, rows), is_marked

    async def _counted(self, key: str | None) -> tuple[list[CountedUpload], bool | None]:
        read, form_id = self._services.database.read, self.form.id
        if key is None:
            return await read(uploads.counted, form_id), None
        return await read(uploads.counted_beside, form_id, self.field.name, key)


@asynccontextmanager
async def section_open(
    services: Services, form_type: FormType, form: FormRow | None, *, least: int, most: int
) -> AsyncIterator[None]:
    """Around taking the files of a section, which have at `least` so many bytes together, and take
    at `most` so many on the volume. `form` is None where none is refused before its body.

    Raises `Problem` form-full, storage-full or unavailable.
    """
    if form and least > 0:  # what may be text is let through: a full form is still filled in
        await _check_form(services, form_type, form, least)
    async with _on_volume(services, most):
        yield


@asynccontextmanager
async def _on_volume(services: Services, most: int) -> AsyncIterator[None]:
    await services.mount.require()
    with services.staging.space.reserve(most):
        yield


async def _check_form(services: Services, form_type: FormType, form: FormRow, least: int) -> None:
    """In a function of its own, so that nobody holds the rows while the body comes."""
    rows = await services.database.read(uploads.counted, form.id)
    check_form(services.settings, form_type, rows, more=least)
