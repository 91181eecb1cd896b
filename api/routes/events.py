"""`GET /v1/forms/{id}/events`: the changes of a form as they happen."""

import re
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from api.forms.completeness import judge
from api.http.client_address import address_of
from api.http.middleware import is_head
from api.http.preferences import accepts
from api.news.event_format import event
from api.news.streams import Part, Snapshot
from api.openapi import of_forms as described
from api.records import forms
from api.records.rows import ShownUpload
from api.routes.answers import form_and_uploads
from api.routes.deps import FormOrPages, Serving, base_url
from api.routes.event_stream import MEDIA_TYPE, EventStream
from api.services import Services
from api.texts.errors import Problem
from api.views.rows import HIDDEN, FormEvent, upload_view
from shared.status import PENDING

router = APIRouter(tags=["forms"])

_VERSION = re.compile(r"[0-9]{1,18}")


@router.get(
    "/v1/forms/{form_id}/events",
    status_code=200,
    response_class=EventStream,
    summary="Follow the form: its changes as they happen",
    **described.FOLLOW_FORM,
)
async def follow_form(
    request: Request,
    services: Serving,
    form: FormOrPages,
    last_event_id: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    if not accepts(request, MEDIA_TYPE):
        raise Problem("not-acceptable", params={"offered": MEDIA_TYPE})
    base = base_url(request, services)
    opened = services.streams.open(
        form.id,
        base,
        partial(_read, services, form.id, base),
        known=_known(last_event_id),
        client=address_of(request.scope),
    )
    return EventStream(opened, head_only=is_head(request))


def _known(last_event_id: str | None) -> int | None:
    """The version that a client came to; 0 where that can't be told, and it may know anything."""
    if not last_event_id:
        return None
    return int(last_event_id) if _VERSION.fullmatch(last_event_id) else 0


async def _read(services: Services, form_id: str, base: str) -> Snapshot:
    form, rows = await form_and_uploads(services, form_id)
    complete = judge(services.form_types[form.type], form, rows).complete
    told = FormEvent(version=form.version, status=form.status, complete=complete, edit=form.edit)
    return Snapshot(
        version=form.version,
        parts=[
            Part(row.version, row.status in HIDDEN, partial(_upload_event, row, base))
            for row in rows
        ],
        form=(told.status, told.complete, told.edit),
        form_text=partial(event, "form", told.model_dump_json()),
        settled=form.status == forms.SUBMITTED and not any(row.status in PENDING for row in rows),
    )


def _upload_event(row: ShownUpload, base: str) -> bytes:
    return event("upload", upload_view(row, base).model_dump_json(), row.version)
