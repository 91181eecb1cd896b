"""The IETF's resumable uploads, at the addresses of tus: the careful form of an experiment."""

import time

from fastapi import Request
from starlette.responses import Response

from api.receive import ietf, tus
from api.receive.body import Body, declared_length
from api.receive.multipart import clean_media_type, filename_of
from api.records.rows import FormRow, UploadRow
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
from api.texts.errors import Problem
from api.uploads.resumable import Announced, append, begin, stand
from shared.form_definition import FileField
from shared.status import UploadStatus


async def create(
    request: Request, services: Services, form: FormRow, file_field: FileField
) -> Response:
    """Begin an upload, whose length is known, with the bytes that come."""
    headers = request.headers
    completes = ietf.completes(headers)
    announced = Announced(
        _length(request, completes=completes),
        filename_of(headers.get("content-disposition")) or "",
        clean_media_type(headers.get("content-type")),
    )
    row = await begin(services, admission_of(request, services, form, file_field), announced)
    if has_body(request) and not row.received:  # else a key that is repeated
        row = await append(services, row.id, 0, body_of(request, services))
    limits = [f"max-size={file_field.max_bytes}", *_max_age(row)]
    return Response(
        status_code=201,
        headers={
            "Location": f"/v1/uploads/{row.id}",
            "Upload-Limit": ", ".join(limits),
            **_state(row),
        },
    )


async def send(request: Request, services: Services, upload_id: str) -> Response:
    """Take bytes."""
    require_type(request, ietf.CONTENT_TYPE)
    at, completes = tus.offset_of(request.headers), ietf.completes(request.headers)
    make = body_of(request, services)

    def body(limit: int) -> Body:
        declared = declared_length(request)
        if completes and declared not in (None, limit):
            raise ietf.inconsistent()
        return make(limit)

    row = await append(services, checked_id(upload_id), at, body)
    if completes and row.status is UploadStatus.RECEIVING:
        raise ietf.inconsistent()
    return Response(status_code=204, headers=_state(row))


async def tell(services: Services, upload_id: str) -> Response:
    """Where an upload stands."""
    row = await stand(services, checked_id(upload_id))
    headers = {**_state(row), "Upload-Length": str(row.size)}
    headers["Upload-Limit"] = ", ".join([f"max-size={row.size}", *_max_age(row)])
    return Response(status_code=204, headers=headers)


def _length(request: Request, *, completes: bool) -> int:
    """Raises `Problem` bad-request where it isn't said, or inconsistent-length."""
    declared = declared_length(request) if completes else None
    if "upload-length" not in request.headers:
        if declared is None:
            raise Problem("bad-request", "The length has to be known: send Upload-Length.")
        return declared
    length = tus.length_of(request.headers)
    if declared not in (None, length):
        raise ietf.inconsistent()
    return length


def _state(row: UploadRow) -> dict[str, str]:
    is_complete = row.status is not UploadStatus.RECEIVING
    return {
        **NO_STORE,
        "Upload-Offset": str(offset(row)),
        "Upload-Complete": "?1" if is_complete else "?0",
        "Upload-Draft-Interop-Version": ietf.INTEROP_VERSION,
    }


def _max_age(row: UploadRow) -> list[str]:
    """Seconds after which it ends, unless more bytes come."""
    if row.status is not UploadStatus.RECEIVING:
        return []
    return [f"max-age={max(int(row.deadline / 1000 - time.time()), 0)}"]
