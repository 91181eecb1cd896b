"""Uploads: send a file for a field, follow it, fetch it, retry it, take it away."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from api.access import reach
from api.access.tokens import Credential, ServiceKey
from api.http.bodies import media_type, read_json
from api.http.client_keys import MAX_KEY, key_of_path
from api.http.middleware import is_head
from api.http.preferences import matches, wants_json
from api.http.whole_files import require_whole_files
from api.openapi import of_uploads as described
from api.openapi.examples import prefilled
from api.outside.links import link_of
from api.receive.files import receive_raw
from api.receive.multipart import clean_media_type, filename_of
from api.records.rows import FormRow, UploadRow
from api.routes import plain
from api.routes.answers import (
    accepted,
    not_modified,
    polled_upload_answer,
    upload_answer,
    upload_etag,
)
from api.routes.deps import (
    AskingOrPage,
    BackEnd,
    FieldName,
    FormId,
    OwnUpload,
    Serving,
    UploadId,
    UploadOrPages,
    actor_of,
    credential,
    credential_or_page,
    file_field_of,
    services_in,
)
from api.routes.polls import poll_upload
from api.routes.receiving import Incoming, admission_of, receive_multipart
from api.services import Services
from api.texts.errors import about
from api.uploads.release import release
from api.uploads.retry_or_remove import remove, retry
from api.uploads.reuse import from_of, reuse
from api.views.rows import UploadView
from shared.form_definition import FileField
from shared.status import UploadStatus

router = APIRouter(prefix="/v1", tags=["uploads"])

Inline = Annotated[
    str | None, Query(description="with any value: shown in the page, for images that we made")
]


@plain.route(
    router,
    "POST",
    "/forms/{form_id}/fields/{field}/uploads",
    status_code=202,
    response_model=UploadView,
    summary="Send a file as multipart/form-data, or name one that the form has",
    **described.UPLOAD_MULTIPART,
)
async def upload_multipart(request: Request, form_id: FormId, field: FieldName) -> Response:
    services = services_in(request)
    form = await reach.form(services, await credential_or_page(request, services), form_id)
    file_field = file_field_of(services, form, field)
    if media_type(request) == "application/json":
        with about(file_field.name):
            return await _reuse(request, services, form, file_field)
    row = await receive_multipart(request, services, form, file_field, in_chunks=True)
    if row.status is UploadStatus.RECEIVING:  # a chunk, and not the last one to come
        return upload_answer(request, services, row)
    return accepted(request, services, row)


@plain.route(
    router,
    "PUT",
    "/forms/{form_id}/fields/{field}/uploads/{key:path}",
    status_code=202,
    response_model=UploadView,
    summary="Send a file as the raw body",
    **described.UPLOAD_RAW,
)
async def upload_raw(
    request: Request,
    form_id: FormId,
    field: FieldName,
    key: Annotated[
        str,
        Path(
            description="the client's own; the same key with the same bytes is the same upload",
            openapi_examples=prefilled("8d1f0c3e"),
            json_schema_extra={"minLength": 1, "maxLength": MAX_KEY},
        ),
    ],
) -> Response:
    services = services_in(request)
    form = await reach.form(services, await credential(request, services), form_id)
    file_field = file_field_of(services, form, field)
    with about(file_field.name):
        key = key_of_path(request)
        incoming = Incoming(request, services, form, file_field, key=key)
        async with incoming.open():
            received = await receive_raw(
                services.staging,
                incoming.body,
                incoming.admission.upload_id,
                max_bytes=file_field.max_bytes,
                filename=filename_of(request.headers.get("content-disposition")) or key,
                declared_type=clean_media_type(request.headers.get("content-type")),
            )
            row = await incoming.admission.acknowledge(received, incoming.body.sha256)
    return accepted(request, services, row)


@plain.route(
    router,
    "GET",
    "/uploads/{upload_id}",
    response_model=UploadView,
    summary="Follow an upload",
    **described.READ_UPLOAD,
)
async def read_upload(request: Request, upload_id: UploadId) -> Response:
    services = services_in(request)
    upload = await poll_upload(request, services, upload_id)
    etag = upload_etag(upload)
    if matches(request, etag):
        return not_modified(request, etag)
    return polled_upload_answer(request, services, upload)


@router.get(
    "/uploads/{upload_id}/content",
    status_code=307,
    response_class=Response,
    summary="A link to the stored object",
    **described.READ_CONTENT,
)
async def read_content(
    request: Request,
    services: Serving,
    asking: AskingOrPage,
    upload: UploadOrPages,
    inline: Inline = None,
) -> Response:
    return await _content(request, services, asking, upload, None, inline=inline is not None)


@router.get(
    "/uploads/{upload_id}/content/{derivative}",
    status_code=307,
    response_class=Response,
    summary="A link to a derivative",
    **described.READ_DERIVATIVE,
)
async def read_derivative(
    request: Request,
    services: Serving,
    asking: AskingOrPage,
    upload: UploadOrPages,
    derivative: Annotated[str, Path(description="its name", openapi_examples=prefilled("thumb"))],
    inline: Inline = None,
) -> Response:
    return await _content(request, services, asking, upload, derivative, inline=inline is not None)


@router.post(
    "/uploads/{upload_id}/retry",
    status_code=202,
    response_model=UploadView,
    summary="Try a failed upload again",
    **described.RETRY_UPLOAD,
)
async def retry_upload(
    request: Request, services: Serving, asking: AskingOrPage, upload: UploadOrPages
) -> Response:
    row = await retry(services, upload, by=actor_of(asking))
    return accepted(request, services, row)


@router.post(
    "/uploads/{upload_id}/release",
    response_model=UploadView,
    summary="Let a flagged upload be the value of its field",
    **described.RELEASE_UPLOAD,
)
async def release_upload(
    request: Request, services: Serving, back_end: BackEnd, upload: OwnUpload
) -> Response:
    row = await release(services, upload, by=back_end)
    return upload_answer(request, services, row)


@router.delete(
    "/uploads/{upload_id}",
    status_code=204,
    summary="Take an upload away",
    **described.REMOVE_UPLOAD,
)
async def remove_upload(services: Serving, asking: AskingOrPage, upload: UploadOrPages) -> Response:
    await remove(services, upload, by=actor_of(asking))
    return Response(status_code=204)


async def _reuse(
    request: Request, services: Services, form: FormRow, file_field: FileField
) -> Response:
    admission = admission_of(request, services, form, file_field)
    require_whole_files(request)
    from_id = from_of(await read_json(request, pace=services.settings.pace))
    row = await reuse(services, admission, from_id)
    return accepted(request, services, row)


async def _content(
    request: Request,
    services: Services,
    asking: Credential,
    upload: UploadRow,
    derivative: str | None,
    *,
    inline: bool,
) -> Response:
    url = link_of(
        services.links,
        upload,
        derivative,
        inline=inline,
        even_withheld=isinstance(asking, ServiceKey),
        head=is_head(request),
    )
    headers = {"Cache-Control": "no-store"}
    if not wants_json(request):
        return RedirectResponse(url, status_code=307, headers=headers)
    expires = datetime.now(UTC) + timedelta(seconds=services.links.seconds)
    return JSONResponse(
        {"url": url, "expires_at": expires.isoformat(timespec="seconds").replace("+00:00", "Z")},
        headers=headers,
    )
