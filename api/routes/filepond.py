"""FilePond's own protocol: one address a field, told by method and query what to do.

FilePond keeps of an upload its id alone, which is the whole text of the answer that took the file.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from api.access.tokens import Credential, ServiceKey
from api.http.middleware import is_head
from api.openapi import of_filepond as described
from api.outside.links import ANY_BYTES, content_disposition, link_of
from api.receive.body import Body
from api.records.rows import FormRow, UploadRow
from api.routes.deps import Asking, OwnFileField, OwnForm, Serving, actor_of, own_upload
from api.routes.uploads import receive_multipart
from api.services import Services
from api.texts.errors import Problem
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

UploadOfField = Annotated[str | None, Query(description="the id of an upload of this field")]
Elsewhere = Annotated[
    str | None, Query(description="an address elsewhere: nothing is fetched, 501", alias="fetch")
]


@router.post(
    "",
    status_code=201,
    response_class=PlainTextResponse,
    summary="FilePond: send a file",
    **described.PROCESS,
)
async def filepond_process(
    request: Request, services: Serving, form: OwnForm, file_field: OwnFileField
) -> Response:
    row = await receive_multipart(request, services, form, file_field)
    headers = {"Location": f"/v1/uploads/{row.id}", "Cache-Control": "no-store"}
    return PlainTextResponse(row.id, 201, headers)


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
    asking: Asking,
    form: OwnForm,
    file_field: OwnFileField,
    restore: UploadOfField = None,
    load: UploadOfField = None,
    elsewhere: Elsewhere = None,
) -> Response:
    if elsewhere is not None:
        raise Problem("fetch-not-supported")
    upload = await _of_field(services, asking, form, file_field, restore or load or "")
    return await _as_sent(request, services, upload) or await _stored(
        request, services, asking, upload
    )


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
    url = await link_of(
        services.links,
        upload,
        None,
        inline=False,
        even_withheld=even_withheld,
        head=is_head(request),
    )
    return RedirectResponse(url, status_code=307, headers={"Cache-Control": "no-store"})
