"""The two resources clients poll, as answers."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.forms.expiry import expires_at
from api.forms.listing import Page
from api.forms.sections import etag as form_etag
from api.http.preferences import applied, wait_seconds
from api.records import forms, uploads
from api.records.polled import PolledUpload
from api.records.rows import FormRow, ShownUpload
from api.routes.deps import base_url
from api.services import Services
from api.texts.errors import Problem
from api.views.rows import FormList, NewFormView, form_view, upload_view
from shared.status import PENDING, UploadStatus

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


async def form_and_uploads(services: Services, form_id: str) -> tuple[FormRow, list[ShownUpload]]:
    form, rows = await services.database.read(
        lambda conn: (forms.get(conn, form_id), uploads.shown(conn, form_id))
    )
    if form is None or form.status == forms.PURGING:
        raise Problem("not-found")
    return form, rows


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
