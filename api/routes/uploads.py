"""Uploads: send a file for a field, follow it, fetch it, retry it, take it away."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from api.access.tokens import ServiceKey
from api.http.bodies import media_type, read_json
from api.http.digest import sent_digest
from api.http.keys import MAX_KEY, key_of_header, key_of_path
from api.http.middleware import is_head
from api.http.preferences import applied, matches, wait_seconds, wants_json
from api.http.whole_files import require_whole_files
from api.openapi import of_uploads as described
from api.openapi.examples import prefilled
from api.outside.links import link_of
from api.receive.body import Body
from api.receive.files import Received, file_too_large, receive_one_of_multipart, receive_raw
from api.receive.multipart import boundary_of, clean_media_type, filename_of
from api.records import uploads
from api.records.rows import FormRow, UploadRow
from api.routes.answers import (
    accepted,
    not_modified,
    upload_answer,
    upload_etag,
    wait_for_upload,
)
from api.routes.deps import (
    AskingOrPage,
    BackEnd,
    Caller,
    FileFieldOrPages,
    FormOrPages,
    OwnFileField,
    OwnForm,
    OwnUpload,
    Serving,
    UploadId,
    UploadOrPages,
    request_id,
    services_in,
)
from api.routes.plain import PlainRoute
from api.services import Services
from api.texts.errors import Problem, about
from api.uploads import release as flags
from api.uploads.acknowledge import acknowledge
from api.uploads.idempotency import holding_key
from api.uploads.quotas import check_form
from api.uploads.retry_or_remove import remove, retry
from api.uploads.reuse import from_of, reuse
from api.uploads.room import check_draft, check_room
from api.views.rows import UploadView
from shared.form_definition import FileField
from shared.ids import new_id

router = APIRouter(prefix="/v1", tags=["uploads"])

Inline = Annotated[
    str | None, Query(description="with any value: shown in the page, for images that we made")
]

MULTIPART_ALLOWANCE = 64 * 1024
"""Bytes of a multipart body beside its file."""


@router.post(
    "/forms/{form_id}/fields/{field}/uploads",
    status_code=202,
    response_model=UploadView,
    summary="Send a file as multipart/form-data, or name one that the form has",
    **described.UPLOAD_MULTIPART,
)
async def upload_multipart(
    request: Request, services: Serving, form: FormOrPages, policy: FileFieldOrPages
) -> Response:
    if media_type(request) == "application/json":
        with about(policy.name):
            return await _reuse(request, services, form, policy)
    return accepted(request, services, await receive_multipart(request, services, form, policy))


@router.put(
    "/forms/{form_id}/fields/{field}/uploads/{key:path}",
    status_code=202,
    response_model=UploadView,
    summary="Send a file as the raw body",
    **described.UPLOAD_RAW,
)
async def upload_raw(
    request: Request,
    services: Serving,
    form: OwnForm,
    policy: OwnFileField,
    key: Annotated[
        str,
        Path(
            description="the client's own; the same key with the same bytes is the same upload",
            openapi_examples=prefilled("8d1f0c3e"),
            json_schema_extra={"minLength": 1, "maxLength": MAX_KEY},
        ),
    ],
) -> Response:
    with about(policy.name):
        key = key_of_path(request)
        body = await _open_body(request, services, form, policy, 0, key=key)
        async with _receiving(services, form, policy, body, key):
            received = await receive_raw(
                services.staging,
                body,
                new_id("upl"),
                max_bytes=policy.max_bytes,
                filename=filename_of(request.headers.get("content-disposition")) or key,
                declared_type=clean_media_type(request.headers.get("content-type")),
            )
            row = await _acknowledge(request, services, form, policy, received, body, key)
    return accepted(request, services, row)


async def read_upload(request: Request, upload_id: UploadId) -> Response:
    services = services_in(request)
    upload = await wait_for_upload(request, services, upload_id)
    etag = upload_etag(upload)
    if matches(request, etag):
        return not_modified(request, etag)
    return upload_answer(request, services, upload.shown(), headers=applied(wait_seconds(request)))


router.add_api_route(
    "/uploads/{upload_id}",
    read_upload,
    methods=["GET"],
    route_class_override=PlainRoute,
    response_model=UploadView,
    summary="Follow an upload",
    **described.READ_UPLOAD,
)


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
    always = isinstance(asking, ServiceKey)
    return accepted(request, services, await retry(services, upload, always=always))


@router.post(
    "/uploads/{upload_id}/release",
    response_model=UploadView,
    summary="Let a flagged upload be the value of its field",
    **described.RELEASE_UPLOAD,
)
async def release_upload(
    request: Request, services: Serving, back_end: BackEnd, upload: OwnUpload
) -> Response:
    row = await flags.release(services, upload, by=back_end)
    return upload_answer(request, services, row)


@router.delete(
    "/uploads/{upload_id}",
    status_code=204,
    summary="Take an upload away",
    **described.REMOVE_UPLOAD,
)
async def remove_upload(services: Serving, asking: AskingOrPage, upload: UploadOrPages) -> Response:
    await remove(services, upload, always=isinstance(asking, ServiceKey))
    return Response(status_code=204)


async def _reuse(
    request: Request, services: Services, form: FormRow, policy: FileField
) -> Response:
    check_draft(form)
    require_whole_files(request)
    key = key_of_header(request)
    from_id = from_of(await read_json(request, pace=services.settings.pace))
    row = await reuse(
        services,
        form,
        policy,
        from_id,
        upload_id=new_id("upl"),
        request_id=request_id(request),
        key=key,
        digest=sent_digest(request),
    )
    return accepted(request, services, row)


async def receive_multipart(
    request: Request, services: Services, form: FormRow, policy: FileField
) -> UploadRow:
    """The one file of a multipart body, acknowledged."""
    with about(policy.name):
        boundary = boundary_of(request.headers.get("content-type"))
        key = key_of_header(request)
        body = await _open_body(request, services, form, policy, MULTIPART_ALLOWANCE, key=key)
        async with _receiving(services, form, policy, body, key):
            received = await receive_one_of_multipart(
                services.staging, body, boundary, new_id("upl"), max_bytes=policy.max_bytes
            )
            return await _acknowledge(request, services, form, policy, received, body, key)


async def _open_body(
    request: Request,
    services: Services,
    form: FormRow,
    policy: FileField,
    allowance: int,
    key: str | None = None,
) -> Body:
    """The request's body, after everything that its headers and the record decide."""
    check_draft(form)
    require_whole_files(request)
    body = Body(
        request,
        limit=policy.max_bytes + allowance,
        pace=services.settings.pace,
        over=file_too_large(policy.max_bytes),
    )
    rows = await services.database.read(uploads.of_form, form.id)
    of_field = [row for row in rows if row.field == policy.name]
    if key is None or all(row.key != key for row in of_field):  # a repeated key adds nothing
        check_room(policy, of_field)
        more = max((body.declared or 0) - allowance, 0)
        check_form(services.settings, services.form_types[form.type], rows, more=more)
    await services.mount.require()
    if sent_digest(request):
        body.hash = hashlib.sha256()
    return body


@asynccontextmanager
async def _receiving(
    services: Services, form: FormRow, policy: FileField, body: Body, key: str | None
) -> AsyncIterator[None]:
    """Around receiving a body: room on the volume, and its key."""
    with services.staging.space.reserve(body.declared or 0):
        async with holding_key(services, form.id, policy.name, key):
            yield


async def _acknowledge(
    request: Request,
    services: Services,
    form: FormRow,
    policy: FileField,
    received: Received,
    body: Body,
    key: str | None,
) -> UploadRow:
    sent = sent_digest(request)
    arrived = {received.staged.sha256, body.hash.hexdigest() if body.hash else None}
    if sent and sent not in arrived:  # of the file, or of the whole body as RFC 9530 has it
        await services.staging.delete(received.staged.name)
        raise Problem("digest-mismatch", field=policy.name)
    return await acknowledge(
        services, form.id, policy, received, request_id=request_id(request), key=key
    )


async def _content(
    request: Request,
    services: Services,
    asking: Caller,
    upload: UploadRow,
    derivative: str | None,
    *,
    inline: bool,
) -> Response:
    url = await link_of(
        services.links,
        upload,
        derivative,
        inline=inline,
        withheld=isinstance(asking, ServiceKey),
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
