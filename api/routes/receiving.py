"""A request that brings a file, or Dropzone's chunk of one: its admission, and its body."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from starlette.requests import Request

from api.http.digest import sent_digest
from api.http.keys import key_of_header
from api.http.whole_files import require_whole_files
from api.receive.body import Body
from api.receive.dropzone import Chunk, chunk_of, is_of_chunks
from api.receive.files import file_too_large, receive_one_of_multipart
from api.receive.multipart import boundary_of, read_parts
from api.receive.multipart_head import Head, read_head
from api.records import uploads
from api.records.rows import Counted, FormRow, UploadRow
from api.routes.deps import request_id
from api.services import Services
from api.texts.errors import Problem, about
from api.uploads.admission import Admission
from api.uploads.pieces import Place, begin_once, put_piece
from api.uploads.resumable import Announced
from shared.form_definition import FileField

MULTIPART_ALLOWANCE = 64 * 1024
"""Bytes of a multipart body beside its file."""


class Incoming:
    """A file on its way to a field. Raises `Problem` form-submitted, fragment-not-supported,
    file-too-large and bad-request, by what the headers say."""

    def __init__(
        self,
        request: Request,
        services: Services,
        form: FormRow,
        file_field: FileField,
        key: str | None,
        *,
        beside: int = 0,
    ) -> None:
        """Its body may have so many bytes `beside` the file."""
        digest = sent_digest(request)
        self.admission = Admission(
            services, form, file_field, request_id=request_id(request), key=key, digest=digest
        )
        require_whole_files(request)
        self.body = Body(
            request,
            limit=file_field.max_bytes + beside,
            pace=services.settings.pace,
            over=file_too_large(file_field.max_bytes),
            hashed=digest is not None,
        )
        self._beside = beside

    def open(self, rows: Sequence[Counted] | None = None) -> AbstractAsyncContextManager[None]:
        """Around taking it: see `Admission.open`."""
        declared = self.body.declared or 0
        least = max(declared - self._beside, 0)
        return self.admission.open(least=least, most=declared, rows=rows)


async def receive_multipart(
    request: Request,
    services: Services,
    form: FormRow,
    file_field: FileField,
    *,
    in_chunks: bool = False,
) -> UploadRow:
    """The one file of a multipart body, acknowledged; or the upload that the body brings a chunk
    of, where files may come `in_chunks`.

    Which it is stands in the body. An upload that has begun in chunks has its place in the form
    already, and none of them must be asked for room of its own: so a field that has one is told
    what comes before it is looked at.
    """
    with about(file_field.name):
        boundary = boundary_of(request.headers.get("content-type"))
        key = key_of_header(request)
        incoming = Incoming(request, services, form, file_field, key, beside=MULTIPART_ALLOWANCE)
        events = read_parts(incoming.body, boundary)
        rows = await services.database.read(uploads.counted, form.id)
        has_begun = any(row.field == file_field.name and is_of_chunks(row.key) for row in rows)
        head = await read_head(events) if in_chunks and has_begun else None
        chunk = chunk_of(head.fields) if head else None
        if head and chunk:
            return await _put_chunk(request, services, form, file_field, chunk, head)
        async with incoming.open(rows):
            head = head or await read_head(events)
            chunk = chunk_of(head.fields) if in_chunks else None
            if chunk is None:
                return await _take_whole(services, incoming, head)
        return await _put_chunk(request, services, form, file_field, chunk, head)


async def _take_whole(services: Services, incoming: Incoming, head: Head) -> UploadRow:
    admission = incoming.admission
    received = await receive_one_of_multipart(
        services.staging, head, admission.upload_id, max_bytes=admission.field.max_bytes
    )
    return await admission.acknowledge(received, incoming.body.sha256)


async def _put_chunk(
    request: Request,
    services: Services,
    form: FormRow,
    file_field: FileField,
    chunk: Chunk,
    head: Head,
) -> UploadRow:
    if head.file is None:
        raise Problem("file-missing")
    admission = Admission(
        services,
        form,
        file_field,
        request_id=request_id(request),
        key=chunk.key,
        digest=sent_digest(request),
    )
    announced = Announced(chunk.total, head.file.filename or "", head.file.content_type)
    row = await begin_once(services, admission, announced)
    return await put_piece(services, row.id, Place(chunk.start, chunk.size), head.file_data())
