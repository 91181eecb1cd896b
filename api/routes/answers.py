"""The two resources clients poll, as answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api.forms.expiry import expires_at
from api.forms.listing import Page
from api.forms.sections import etag as form_etag
from api.http.preferences import applied, wait_seconds
from api.records import forms, uploads
from api.records.polled import PolledForm, PolledUpload
from api.records.rows import FormRow, ShownUpload
from api.routes.deps import base_url
from api.services import Services
from api.texts.errors import Problem
from api.views.rows import FormList, FormView, NewFormView, form_view, upload_view
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
    headers = {**_of_upload(row), **(headers or {})}
    return json_answer(view.model_dump_json(), status=status, headers=headers)


def polled_upload_answer(request: Request, services: Services, upload: PolledUpload) -> Response:
    base = base_url(request, services)
    name = (upload.id, base)
    body = services.rendered.get(name, upload.columns)
    if body is None:
        body = upload_view(upload.shown(), base).model_dump_json().encode()
        services.rendered.keep(name, upload.columns, body)
    headers = {**_of_upload(upload), **applied(wait_seconds(request))}
    return json_answer(body, status=200, headers=headers)


def _of_upload(upload: ShownUpload | PolledUpload) -> dict[str, str]:
    retry = RETRY_AFTER if upload.status in PENDING else {}
    return {**PRIVATE, "ETag": upload_etag(upload), **retry}


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
    base = base_url(request, services)
    view = _form_view(services, form, rows, base, ignored=ignored, problems=problems)
    return json_answer(
        (NewFormView(**dict(view), token=token) if token else view).model_dump_json(),
        status=status,
        headers={**PRIVATE, "ETag": form_etag(form), **(headers or {})},
    )


class PolledFormAnswer:
    """Made once for those who ask again while nothing has changed."""

    def __init__(self, request: Request, services: Services) -> None:
        self._request = request
        self._services = services
        self._base = base_url(request, services)
        self._body: bytes | None = None

    def is_kept(self, form: PolledForm) -> bool:
        """Whether it needs none of the form's uploads: each change of one is one of the form, but
        for bytes that come, with which none is kept."""
        self._body = self._services.rendered.get((form.id, self._base), form.columns)
        return self._body is not None

    def make(self, form: PolledForm, rows: Sequence[ShownUpload]) -> Response:
        body = self._body
        if body is None:
            view = _form_view(self._services, form.row(), rows, self._base)
            body = view.model_dump_json().encode()
            if not any(row.status is UploadStatus.RECEIVING for row in rows):
                self._services.rendered.keep((form.id, self._base), form.columns, body)
        headers = {**PRIVATE, "ETag": form_etag(form), **applied(wait_seconds(self._request))}
        return json_answer(body, status=200, headers=headers)


def forms_answer(request: Request, services: Services, page: Page) -> Response:
    base = base_url(request, services)
    views = [
        _form_view(services, form, rows, base)
        for form, rows in page.forms
        if form.type in services.form_types
    ]
    listed = FormList(forms=views, next=page.next).model_dump_json()
    return json_answer(listed, status=200, headers={"Cache-Control": "no-store"})


def _form_view(
    services: Services, form: FormRow, rows: Sequence[ShownUpload], base: str, **told: Any
) -> FormView:
    form_type, until = services.form_types[form.type], expires_at(form, services.settings.retention)
    return form_view(form_type, form, rows, base, expires_at=until, **told)


def not_modified(request: Request, etag: str) -> Response:
    return Response(
        status_code=304, headers={**PRIVATE, "ETag": etag, **applied(wait_seconds(request))}
    )


def json_answer(body: str | bytes, *, status: int, headers: Mapping[str, str]) -> Response:
    return Response(body, status, headers=dict(headers), media_type="application/json")
