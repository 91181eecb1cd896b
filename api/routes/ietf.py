"""The IETF's resumable uploads, at the addresses of tus: the careful form of an experiment."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from fastapi import Request
from starlette.responses import Response

from api.http.digest import sent_checksum
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
from api.uploads.finishing import give_up
from api.uploads.resumable import Announced, append, begin, begin_with_bytes, stand
from shared.form_definition import FileField
from shared.status import UploadStatus


async def create(
    request: Request, services: Services, form: FormRow, file_field: FileField
) -> Response:
    """Begin an upload, whose length is known, with the bytes that come."""
    headers = request.headers
    max_size = _max_size(file_field.max_bytes)
    with _refusing(max_size):
        told = tus.metadata_of(headers)  # as tus-js-client does in either protocol
        announced = Announced(
            _length(request, completes=ietf.completes(headers)),
            filename_of(headers.get("content-disposition")) or told.filename,
            clean_media_type(headers.get("content-type")) or told.declared_type,
        )
        admission = admission_of(request, services, form, file_field)
        if has_body(request):
            body, checksum = body_of(request, services), sent_checksum(request)
            row = await begin_with_bytes(services, admission, announced, body, checksum)
            if ietf.completes(headers) and not admission.key and offset(row) < row.size:
                await give_up(services, row.id)  # whose client takes it for whole
                raise ietf.inconsistent()
        else:
            row = await begin(services, admission, announced)
    limits = [max_size, *_max_age(row)]
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
    with _refusing():
        return await _sent(request, services, checked_id(upload_id))


async def _sent(request: Request, services: Services, upload_id: str) -> Response:
    headers = request.headers
    require_type(request, ietf.CONTENT_TYPE)
    at, completes = tus.offset_of(headers), ietf.completes(headers)
    checksum = sent_checksum(request)
    said = tus.length_of(headers) if "upload-length" in headers else None
    make = body_of(request, services)

    def body(limit: int) -> Body:
        if said not in (None, at + limit):
            raise ietf.inconsistent()
        if completes and declared_length(request) not in (None, limit):
            raise ietf.inconsistent()
        return make(limit)

    try:
        row = await append(services, upload_id, at, body, checksum)
    except Problem as problem:
        if problem.code == "request-too-large":  # the draft: the upload is no longer valid
            await give_up(services, upload_id)
        raise
    if completes and row.status is UploadStatus.RECEIVING:
        raise ietf.inconsistent()
    return Response(status_code=204, headers=_state(row))


async def tell(services: Services, upload_id: str) -> Response:
    """Where an upload stands."""
    row = await stand(services, checked_id(upload_id))
    headers = {**_state(row), "Upload-Length": str(row.size)}
    headers["Upload-Limit"] = ", ".join([_max_size(row.policy["max_bytes"]), *_max_age(row)])
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


@contextmanager
def _refusing(limits: str | None = None) -> Iterator[None]:
    """What the draft wants of a refusal, too: whether it is one of the whole file, and the limits
    where they were passed."""
    try:
        yield
    except Problem as problem:
        is_of_whole = problem.code == "digest-mismatch"
        problem.headers["Upload-Complete"] = "?1" if is_of_whole else "?0"
        if limits and problem.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            problem.headers["Upload-Limit"] = limits
        raise


def _state(row: UploadRow) -> dict[str, str]:
    is_complete = row.status is not UploadStatus.RECEIVING
    return {
        **NO_STORE,
        "Upload-Offset": str(offset(row)),
        "Upload-Complete": "?1" if is_complete else "?0",
        "Upload-Draft-Interop-Version": ietf.INTEROP_VERSION,
    }


def _max_size(max_bytes: int) -> str:
    """Of any file here; the draft wants it never to become less, so it isn't the file's length."""
    return f"max-size={max_bytes}"


def _max_age(row: UploadRow) -> list[str]:
    """Seconds after which it ends, unless more bytes come."""
    if row.status is not UploadStatus.RECEIVING:
        return []
    return [f"max-age={max(int(row.deadline / 1000 - time.time()), 0)}"]
