"""The two resources clients poll, as answers."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.forms.expiry import expires_at
from api.forms.listing import Page
from api.forms.sections import etag as form_etag
from api.http.client_address import address_of
from api.http.preferences import applied, matches, wait_seconds
from api.receive.body import gone
from api.records import forms, uploads
from api.records.rows import FormRow, UploadRow
from api.routes.deps import base_url
from api.services import Services
from api.texts.errors import Problem
from api.views.rows import FormList, form_view, upload_view
from shared.status import PENDING

T = TypeVar("T")

RETRY_AFTER = {"Retry-After": "1"}
PRIVATE = {"Cache-Control": "private, no-cache"}


def upload_answer(
    request: Request,
    services: Services,
    row: UploadRow,
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


def accepted(request: Request, services: Services, row: UploadRow) -> Response:
    """202: received, durable, and ours to deliver."""
    headers = {"Location": f"/v1/uploads/{row.id}"}
    return upload_answer(request, services, row, status=202, headers=headers)


def upload_etag(row: UploadRow) -> str:
    return f'"{row.version}"'


async def wait_for_upload(request: Request, services: Services, row: UploadRow) -> UploadRow:
    """The upload once it differs from what the client has, or once it is final."""
    conditional = "if-none-match" in request.headers

    async def read() -> tuple[UploadRow, int]:
        found, version = await services.database.read(uploads.get_at, row.form_id, row.id)
        if found is None:
            raise Problem("not-found")
        return found, version

    def done(found: UploadRow) -> bool:
        if conditional:
            return not matches(request, upload_etag(found))
        return found.status not in PENDING

    return await _wait(request, services, row.form_id, read, done)


async def form_and_uploads(services: Services, form_id: str) -> tuple[FormRow, list[UploadRow]]:
    form, rows = await services.database.read(
        lambda conn: (forms.get(conn, form_id), uploads.of_form(conn, form_id))
    )
    if form is None or form.status == forms.PURGING:
        raise Problem("not-found")
    return form, rows


async def wait_for_form(
    request: Request, services: Services, form: FormRow
) -> tuple[FormRow, list[UploadRow]]:
    """The form once it differs from what the client has, or once nothing in it is pending."""
    conditional = "if-none-match" in request.headers

    def done(found: tuple[FormRow, list[UploadRow]]) -> bool:
        if conditional:
            return not matches(request, form_etag(found[0]))
        return not any(row.status in PENDING for row in found[1])

    async def read() -> tuple[tuple[FormRow, list[UploadRow]], int]:
        found = await form_and_uploads(services, form.id)
        return found, found[0].version

    return await _wait(request, services, form.id, read, done)


async def _wait(
    request: Request,
    services: Services,
    form_id: str,
    read: Callable[[], Awaitable[tuple[T, int]]],
    done: Callable[[T], bool],
) -> T:
    """As long as the client asked for, and no longer than it stays."""
    return await services.waiters.wait_until(
        form_id,
        read,
        done,
        wait_seconds(request),
        client=address_of(request.scope),
        left=lambda: gone(request),
    )


def form_answer(
    request: Request,
    services: Services,
    form: FormRow,
    rows: list[UploadRow],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
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
        view,
        status=status,
        headers={**PRIVATE, "ETag": form_etag(form), **(headers or {})},
        extra=extra,
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


def json_answer(
    view: BaseModel,
    *,
    status: int,
    headers: Mapping[str, str],
    extra: Mapping[str, Any] | None = None,
) -> JSONResponse:
    return JSONResponse(
        {**view.model_dump(mode="json"), **(extra or {})}, status_code=status, headers=dict(headers)
    )
