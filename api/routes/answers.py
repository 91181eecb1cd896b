"""The two resources clients poll, as answers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.forms.expiry import expires_at
from api.forms.listing import Page
from api.forms.sections import etag as form_etag
from api.http.client_address import address_of
from api.http.preferences import applied, matches, wait_seconds
from api.receive.body import gone
from api.records import forms, polled, uploads
from api.records.polled import PolledForm, PolledUpload
from api.records.rows import FormRow, ShownUpload
from api.routes.deps import base_url, polled_form, polled_upload
from api.services import Services
from api.texts.errors import Problem
from api.views.rows import FormList, NewFormView, form_view, upload_view
from shared.status import PENDING, UploadStatus

T = TypeVar("T")

RETRY_AFTER = {"Retry-After": "1"}
PRIVATE = {"Cache-Control": "private, no-cache"}


def upload_answer(
    request: Request,
    services: Services,
    row: ShownUpload,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    view = upload_view(row, base_url(request, services))
    return json_answer(
        view,
        status=status,
        headers={
            **PRIVATE,
            "ETag": upload_etag(row),
            **(RETRY_AFTER if row.status in PENDING else {}),
            **(headers or {}),
        },
    )


def accepted(request: Request, services: Services, row: ShownUpload) -> Response:
    """202: received, durable, and ours to deliver."""
    headers = {"Location": f"/v1/uploads/{row.id}"}
    return upload_answer(request, services, row, status=202, headers=headers)


def upload_etag(upload: ShownUpload | PolledUpload) -> str:
    """Bytes that come change it, and no version."""
    if upload.status is UploadStatus.RECEIVING:
        return f'"{upload.version}.{upload.received}"'
    return f'"{upload.version}"'


async def wait_for_upload(request: Request, services: Services, upload_id: str) -> PolledUpload:
    """The upload of that id, if the caller may read it: at once, or as long as the client is ready
    to wait once it differs from what it has, or is final."""
    first = await polled_upload(request, services, upload_id)
    conditional = "if-none-match" in request.headers

    async def read() -> tuple[PolledUpload, int]:
        found = await services.database.read(polled.upload, upload_id)
        if found is None or found.form_status == forms.PURGING:
            raise Problem("not-found")
        return found, found.form_version

    def done(found: PolledUpload) -> bool:
        if conditional:
            return not matches(request, upload_etag(found))
        return found.status not in PENDING

    return await _wait(request, services, first.form_id, first, read, done)


async def form_and_uploads(services: Services, form_id: str) -> tuple[FormRow, list[ShownUpload]]:
    form, rows = await services.database.read(
        lambda conn: (forms.get(conn, form_id), uploads.shown(conn, form_id))
    )
    if form is None or form.status == forms.PURGING:
        raise Problem("not-found")
    return form, rows


async def wait_for_form(
    request: Request, services: Services, form_id: str
) -> tuple[PolledForm, list[ShownUpload]]:
    """The form of that id, if the caller may read it, and its uploads, unless the client has them:
    at once, or as long as it is ready to wait once they differ, or nothing of it is pending."""
    conditional = "if-none-match" in request.headers

    def differs(form: PolledForm) -> bool:
        return not conditional or not matches(request, form_etag(form))

    async def read() -> tuple[tuple[PolledForm, list[ShownUpload]], int]:
        form, rows = await services.database.read(polled.form, form_id, shown=differs)
        if form is None or form.status == forms.PURGING:
            raise Problem("not-found")
        return (form, rows), form.version

    def done(found: tuple[PolledForm, list[ShownUpload]]) -> bool:
        if conditional:
            return differs(found[0])
        return not any(row.status in PENDING for row in found[1])

    first = await polled_form(request, services, form_id, differs)
    return await _wait(request, services, form_id, first, read, done)


async def _wait(
    request: Request,
    services: Services,
    form_id: str,
    first: T,
    read: Callable[[], Awaitable[tuple[T, int]]],
    done: Callable[[T], bool],
) -> T:
    """As long as the client asked for, and no longer than it stays."""
    seconds = wait_seconds(request)
    if not seconds or done(first):
        return first
    del first  # which may be much, for as long as it waits
    return await services.waiters.wait_until(
        form_id,
        read,
        done,
        seconds,
        client=address_of(request.scope),
        left=lambda: gone(request),
    )


def form_answer(
    request: Request,
    services: Services,
    form: FormRow,
    rows: Sequence[ShownUpload],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    token: str | None = None,
    ignored: list[dict[str, str]] | None = None,
    problems: list[dict[str, str]] | None = None,
) -> Response:
    view = form_view(
        services.form_types[form.type],
        form,
        rows,
        base_url(request, services),
        expires_at=expires_at(form, services.settings.retention),
        ignored=ignored,
        problems=problems,
    )
    return json_answer(
        NewFormView(**dict(view), token=token) if token else view,
        status=status,
        headers={**PRIVATE, "ETag": form_etag(form), **(headers or {})},
    )


def forms_answer(request: Request, services: Services, page: Page) -> Response:
    base, retention = base_url(request, services), services.settings.retention
    views = [
        form_view(
            services.form_types[form.type], form, rows, base, expires_at=expires_at(form, retention)
        )
        for form, rows in page.forms
        if form.type in services.form_types
    ]
    return json_answer(
        FormList(forms=views, next=page.next), status=200, headers={"Cache-Control": "no-store"}
    )


def not_modified(request: Request, etag: str) -> Response:
    return Response(
        status_code=304, headers={**PRIVATE, "ETag": etag, **applied(wait_seconds(request))}
    )


def json_answer(view: BaseModel, *, status: int, headers: Mapping[str, str]) -> Response:
    return Response(
        view.model_dump_json(), status, headers=dict(headers), media_type="application/json"
    )
