"""tus 1.0.0: an upload begun at its field's address, and gone on with at its own.

Whoever knows an upload's address may ask where it stands and send its bytes: clients lose their
headers when they resume, and the address has 130 random bits. To begin one wants a credential, or
the cookie of a page of ours.
"""

from email.utils import formatdate

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.access import reach
from api.http.tus import other_version
from api.openapi import of_tus as described
from api.receive import tus
from api.receive.files import check_size
from api.receive.fragments import refuse_range
from api.receive.ietf import CONTENT_TYPE as PARTIAL
from api.receive.ietf import is_spoken as is_ietf
from api.records.rows import UploadRow
from api.routes import ietf, plain
from api.routes.deps import (
    FieldName,
    FormId,
    UploadId,
    credential_or_page,
    file_field_of,
    services_in,
)
from api.routes.receiving import (
    NO_STORE,
    admission_of,
    body_of,
    checked_id,
    has_body,
    offset,
    require_type,
)
from api.services import Services
from api.texts.errors import about
from api.uploads.resumable import Announced, append, begin, begin_with_bytes, stand
from shared.form_definition import FileField
from shared.status import UploadStatus

router = APIRouter(prefix="/v1", tags=["uploads"])


@plain.route(
    router,
    "POST",
    "/forms/{form_id}/fields/{field}/tus",
    status_code=201,
    response_class=Response,
    summary="tus: begin an upload, and send bytes of it",
    **described.CREATE,
)
async def tus_create(request: Request, form_id: FormId, field: FieldName) -> Response:
    speaks_ietf = _speaks_ietf(request)
    services = services_in(request)
    form = await reach.form(services, await credential_or_page(request, services), form_id)
    file_field = file_field_of(services, form, field)
    with about(file_field.name):
        refuse_range(request.headers)
        if speaks_ietf:
            return await ietf.create(request, services, form, file_field)
        announced, sha256 = _announced(request, file_field)
        admission = admission_of(request, services, form, file_field, digest=sha256)
        brings_bytes = has_body(request)
        if brings_bytes:
            require_type(request, tus.CONTENT_TYPE)
        checksum = tus.checksum_of(request.headers)
        if brings_bytes:
            body = body_of(request, services)
            row = await begin_with_bytes(services, admission, announced, body, checksum)
        else:
            row = await begin(services, admission, announced)
    return Response(
        status_code=201, headers={"Location": f"/v1/uploads/{row.id}", **_progress(row)}
    )


@plain.route(
    router,
    "PATCH",
    "/uploads/{upload_id}",
    status_code=204,
    summary="tus: send more bytes of an upload",
    **described.SEND,
)
async def tus_send(request: Request, upload_id: UploadId) -> Response:
    services = services_in(request)
    speaks_ietf = _speaks_ietf(request)
    refuse_range(request.headers)
    if speaks_ietf:
        return await ietf.send(request, services, upload_id)
    require_type(request, tus.CONTENT_TYPE)
    at, checksum = tus.offset_of(request.headers), tus.checksum_of(request.headers)
    row = await append(services, checked_id(upload_id), at, body_of(request, services), checksum)
    return Response(status_code=204, headers=_progress(row))


@plain.route(
    router,
    "HEAD",
    "/uploads/{upload_id}",
    response_class=Response,
    summary="tus: where an upload stands",
    **described.STAND,
)
async def tus_stand(request: Request, upload_id: UploadId) -> Response:
    if _speaks_ietf(request):
        return await ietf.tell(services_in(request), upload_id)
    row = await stand(services_in(request), checked_id(upload_id))
    headers = {"Upload-Length": str(row.size), **_progress(row)}
    if row.tus_metadata:
        headers["Upload-Metadata"] = row.tus_metadata
    return Response(status_code=200, headers=headers)


async def tus_options(request: Request) -> Response:
    """What is spoken here; for everybody."""
    most = _most_bytes(services_in(request), request.path_params.get("field"))
    return Response(
        status_code=204,
        headers={
            "Tus-Resumable": tus.VERSION,
            "Tus-Version": tus.VERSION,
            "Tus-Extension": tus.EXTENSIONS,
            "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
            "Tus-Max-Size": str(most),
            "Accept-Patch": f"{tus.CONTENT_TYPE}, {PARTIAL}",
            "Upload-Limit": f"max-size={most}",
        },
    )


for _path in ("/forms/{form_id}/fields/{field}/tus", "/uploads/{upload_id}"):
    router.add_api_route(
        _path, tus_options, methods=["OPTIONS"], status_code=204, include_in_schema=False
    )


def _most_bytes(services: Services, name: str | None) -> int:
    """Of a file for a field of this name, in whichever form type has one; else for any field. Of
    which type the form is would want a credential."""
    types = services.form_types.values()
    fields = [field for each in types for field in each.file_fields.values()]
    named = [field for field in fields if field.name == name]
    return max([field.max_bytes for field in named or fields], default=0)


def _speaks_ietf(request: Request) -> bool:
    """Whether it isn't tus that the request speaks. Raises `Problem` tus-version where it names no
    version; another one has been refused."""
    if is_ietf(request.headers):
        return True
    if "tus-resumable" not in request.headers:
        raise other_version()
    return False


def _announced(request: Request, field: FileField) -> tuple[Announced, str | None]:
    """What the client says of the file, and the SHA-256 it says it has. What no file of the field
    may be is refused: its size, and not its type, which is told from the bytes."""
    length = tus.length_of(request.headers)
    check_size(length, field.max_bytes)
    metadata = tus.metadata_of(request.headers)
    announced = Announced(
        length,
        metadata.filename,
        metadata.declared_type,
        request.headers.get("upload-metadata") or None,
    )
    return announced, metadata.sha256


def _progress(row: UploadRow) -> dict[str, str]:
    headers = {**NO_STORE, "Upload-Offset": str(offset(row))}
    if row.status is UploadStatus.RECEIVING:
        headers["Upload-Expires"] = formatdate(row.deadline / 1000, usegmt=True)
    return headers
