"""FilePond's own protocol: one address a field, told by method and query what to do.

FilePond keeps of an upload its id alone, which is the whole text of the answer that took the file,
or that began its chunks. Who knows the id of an upload that is being received may send chunks of it
and ask where it stands; anything else wants a credential.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from api.access.tokens import Credential, ServiceKey
from api.http.middleware import is_head
from api.http.whole_files import require_whole_files
from api.openapi import of_filepond as described
from api.outside.links import ANY_BYTES, content_disposition, link_of
from api.receive import tus
from api.receive.body import Body
from api.receive.files import check_size
from api.receive.fragments import fragment
from api.receive.multipart import PartStart, boundary_of, read_parts
from api.receive.names import clean_filename, text_of
from api.records import uploads
from api.records.rows import FormRow, UploadRow
from api.routes.deps import (
    Asking,
    FieldName,
    FormId,
    OwnFileField,
    OwnForm,
    Serving,
    actor_of,
    credential,
    file_field_of,
    own_form,
    own_upload,
)
from api.routes.receiving import (
    MULTIPART_ALLOWANCE,
    NO_STORE,
    admission_of,
    checked_id,
    offset,
    receive_multipart,
    require_type,
)
from api.services import Services
from api.texts.errors import Problem, about
from api.uploads.pieces import Place, beyond_the_end, here_from_start, put_piece
from api.uploads.resumable import Announced, begin
from api.uploads.retry_or_remove import remove
from shared.form_definition import FileField
from shared.formats import FORMATS
from shared.status import UploadStatus

router = APIRouter(prefix="/v1/forms/{form_id}/fields/{field}/filepond", tags=["uploads"])

MAX_BODY = 1024
"""Bytes of what FilePond sends to take an upload away: its id."""
ON_THE_VOLUME = frozenset({UploadStatus.STAGED, UploadStatus.PROCESSING, UploadStatus.FAILED})
"""Whose bytes are there, with nothing known against them."""
INERT = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
"""On bytes as a person sent them: wherever they are opened, they can do nothing."""

CHUNK_HEADERS = {"upload-length", "upload-offset"}

UploadOfField = Annotated[str | None, Query(description="the id of an upload of this field")]
UploadInChunks = Annotated[
    str | None,
    Query(
        description="the id of an upload that came in chunks: asks how many of its first bytes are"
        " here, by HEAD and without a credential"
    ),
]
Elsewhere = Annotated[
    str | None, Query(description="an address elsewhere: nothing is fetched, 501", alias="fetch")
]


@router.post(
    "",
    status_code=201,
    response_class=PlainTextResponse,
    summary="FilePond: send a file, or begin one in chunks",
    **described.PROCESS,
)
async def filepond_process(
    request: Request, services: Serving, form: OwnForm, file_field: OwnFileField
) -> Response:
    if "upload-length" in request.headers:
        row = await _begun(request, services, form, file_field)
        return _id_of(row, {"Upload-Offset": "0"})
    return _id_of(await receive_multipart(request, services, form, file_field), {})


@router.patch("", status_code=204, summary="FilePond: send a chunk", **described.CHUNK)
async def filepond_chunk(
    request: Request,
    services: Serving,
    form_id: FormId,
    field: FieldName,
    patch: UploadOfField = None,
) -> Response:
    require_type(request, tus.CONTENT_TYPE)
    require_whole_files(request, but=CHUNK_HEADERS)
    start = tus.offset_of(request.headers)
    upload = await _receiving(services, form_id, field, patch or "")
    with about(upload.field):
        _check_length(request, upload)
        most = max(upload.size - start, 0)
        body = Body(request, limit=most, pace=services.settings.pace, over=beyond_the_end)
        place = Place(start, body.declared, _name(request))
        row = await put_piece(services, upload.id, place, aiter(body))
    return Response(status_code=204, headers={**NO_STORE, "Upload-Offset": str(offset(row))})


@router.delete("", status_code=204, summary="FilePond: take an upload away", **described.REVERT)
async def filepond_revert(
    request: Request, services: Serving, asking: Asking, form: OwnForm, file_field: OwnFileField
) -> Response:
    body = await Body(request, limit=MAX_BODY, pace=services.settings.pace).read()
    upload = await _of_field(
        services, asking, form, file_field, body.decode(errors="replace").strip()
    )
    await remove(services, upload, by=actor_of(asking))
    return Response(status_code=204)


@router.get("", response_class=Response, summary="FilePond: read a file", **described.RESTORE)
async def filepond_restore(
    request: Request,
    services: Serving,
    form_id: FormId,
    field: FieldName,
    restore: UploadOfField = None,
    load: UploadOfField = None,
    patch: UploadInChunks = None,
    elsewhere: Elsewhere = None,
) -> Response:
    if patch is not None:
        return await _stand(services, form_id, field, patch)
    asking = await credential(request, services)
    form = await own_form(services, asking, form_id)
    file_field = file_field_of(services, form, field)
    if elsewhere is not None:
        raise Problem("fetch-not-supported")
    upload = await _of_field(services, asking, form, file_field, restore or load or "")
    return await _as_sent(request, services, upload) or await _stored(
        request, services, asking, upload
    )


def _id_of(row: UploadRow, headers: dict[str, str]) -> Response:
    named = {"Location": f"/v1/uploads/{row.id}", **NO_STORE, **headers}
    return PlainTextResponse(row.id, 201, named)


async def _begun(
    request: Request, services: Services, form: FormRow, file_field: FileField
) -> UploadRow:
    """An upload that chunks are to come of; what the body says beside that is nobody's."""
    with about(file_field.name):
        admission = admission_of(request, services, form, file_field)
        require_whole_files(request, but={"upload-length"})
        length = tus.length_of(request.headers)
        check_size(length, file_field.max_bytes)
        body = Body(request, limit=MULTIPART_ALLOWANCE, pace=services.settings.pace)
        events = read_parts(body, boundary_of(request.headers.get("content-type")))
        async for event in events:
            if isinstance(event, PartStart) and event.filename is not None:
                raise fragment()
        return await begin(services, admission, Announced(length))


async def _receiving(services: Services, form_id: str, field: str, upload_id: str) -> UploadRow:
    """The upload, if this address is that of its field. Raises `Problem` not-found."""
    upload = await services.database.read(uploads.get, checked_id(upload_id))
    if upload is None or (upload.form_id, upload.field) != (form_id, field):
        raise Problem("not-found")
    return upload


async def _stand(services: Services, form_id: str, field: str, upload_id: str) -> Response:
    """FilePond takes all chunks for sent that begin before the offset."""
    upload = await _receiving(services, form_id, field, upload_id)
    row, here = await here_from_start(services, upload.id)
    headers = {"Upload-Offset": str(here), "Upload-Length": str(row.size), **NO_STORE}
    return Response(headers=headers)


def _check_length(request: Request, upload: UploadRow) -> None:
    said = request.headers.get("upload-length")
    if said is not None and tus.length_of(request.headers) != upload.size:
        raise Problem("piece-mismatch", "Upload-Length is another one than at the beginning.")


def _name(request: Request) -> str:
    """What FilePond calls the file, in UTF-8."""
    return clean_filename(text_of(request.headers.get("upload-name", "").encode("latin-1")))


async def _of_field(
    services: Services, asking: Credential, form: FormRow, file_field: FileField, upload_id: str
) -> UploadRow:
    """The upload, if this address is that of its field. Raises `Problem` not-found."""
    upload = await own_upload(services, asking, upload_id)
    if (upload.form_id, upload.field) != (form.id, file_field.name):
        raise Problem("not-found")
    return upload


async def _as_sent(request: Request, services: Services, upload: UploadRow) -> Response | None:
    """The bytes from the volume, while they are all there is of the file; None without them."""
    if upload.status not in ON_THE_VOLUME or upload.from_prefix:
        return None
    contents = await services.staging.read(upload.id)
    if contents is None:  # stored, or gone, since its record was read
        raise Problem("unavailable", retry_after=1)
    detected = upload.detected_type or ""
    headers = {
        **INERT,
        "Content-Disposition": content_disposition(upload.filename, inline=False),
        "Content-Length": str(upload.size),
        "Content-Type": detected if detected in FORMATS else ANY_BYTES,
    }
    return (
        Response(headers=headers)
        if is_head(request)
        else StreamingResponse(contents, headers=headers)
    )


async def _stored(
    request: Request, services: Services, asking: Credential, upload: UploadRow
) -> Response:
    """A link to the object. Raises `Problem` not-stored or not-released."""
    even_withheld = isinstance(asking, ServiceKey)
    url = link_of(
        services.links,
        upload,
        None,
        inline=False,
        even_withheld=even_withheld,
        head=is_head(request),
    )
    return RedirectResponse(url, status_code=307, headers={"Cache-Control": "no-store"})
