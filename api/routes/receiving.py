"""A request that brings a file, or bytes of one: its admission, and its body."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from starlette.requests import Request

from api.http.bodies import media_type
from api.http.client_keys import key_of_header
from api.http.digest import sent_digest
from api.http.whole_files import require_whole_files
from api.receive.body import Body, declared_length
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
from shared.ids import is_id

NO_STORE = {"Cache-Control": "no-store"}
MULTIPART_ALLOWANCE = 64 * 1024
"""Bytes of a multipart body beside its file."""


def admission_of(
    request: Request,
    services: Services,
    form: FormRow,
    field: FileField,
    *,
    key: str | None = None,
    digest: str | None = None,
) -> Admission:
    """Of a file for the field, by what the headers say: `key` stands in place of theirs, and
    `digest` where they have none. Raises `Problem` form-submitted, or bad-request for a header that
    can't be read."""
    return Admission(
        services,
        form,
        field,
        request_id=request_id(request),
        key=key or key_of_header(request),
        digest=sent_digest(request) or digest,
    )


def has_body(request: Request) -> bool:
    """Whether the request brings bytes."""
    declared = declared_length(request)
    return bool(declared) if declared is not None else "transfer-encoding" in request.headers


def require_type(request: Request, expected: str) -> None:
    """Raise `Problem` unsupported-media-type for bytes of another."""
    if media_type(request) != expected:
        raise Problem("unsupported-media-type", params={"expected": expected})


def checked_id(upload_id: str) -> str:
    """Raises `Problem` not-found for what can't be one."""
    if not is_id(upload_id):
        raise Problem("not-found")
    return upload_id


def body_of(request: Request, services: Services) -> Callable[[int], Body]:
    """What makes the request's body, given how many bytes it may have."""
    return lambda limit: Body(request, limit=limit, pace=services.settings.pace)


def offset(row: UploadRow) -> int:
    """How many bytes of it were acknowledged."""
    return row.size if row.received is None else row.received


class Incoming:
    """A file on its way to a field. Raises `Problem` form-submitted, fragment-not-supported,
    file-too-large and bad-request, by what the headers say."""

    def __init__(
        self,
        request: Request,
        services: Services,
        form: FormRow,
        file_field: FileField,
        *,
        key: str | None = None,
        beside: int = 0,
    ) -> None:
        """Its body may have so many bytes `beside` the file."""
        self.admission = admission_of(request, services, form, file_field, key=key)
        require_whole_files(request)
        self.body = Body(
            request,
            limit=file_field.max_bytes + beside,
            pace=services.settings.pace,
            over=partial(file_too_large, file_field.max_bytes),
            hashed=self.admission.digest is not None,
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
        incoming = Incoming(request, services, form, file_field, beside=MULTIPART_ALLOWANCE)
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
    admission = admission_of(request, services, form, file_field, key=chunk.key)
    announced = Announced(chunk.total, head.file.filename or "", head.file.content_type)
    row = await begin_once(services, admission, announced)
    return await put_piece(services, row.id, Place(chunk.start, chunk.size), head.file_data())
