"""`/v1/forms`: create, read, save a section, submit, purge."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from api.access.rights import check_draft
from api.forms import closing, drafts, sections
from api.forms.given import given_of
from api.forms.listing import Wanted, list_page
from api.http.bodies import media_type, read_json
from api.http.preferences import applied, matches, wait_seconds
from api.openapi import of_forms as described
from api.openapi.bodies import MAX_REFERENCE
from api.records.rows import FormRow
from api.routes import plain
from api.routes.answers import (
    RETRY_AFTER,
    PolledFormAnswer,
    form_and_uploads,
    form_answer,
    forms_answer,
    not_modified,
)
from api.routes.deps import (
    Asking,
    BackEnd,
    FormId,
    OwnForm,
    Serving,
    actor_of,
    beginner_of,
    request_id,
    services_in,
)
from api.routes.polls import poll_form, wait_until_settled
from api.routes.section_bodies import receive_multipart
from api.services import Services
from api.texts.errors import wrong_member
from api.views.rows import FormList, FormView, NewFormView

router = APIRouter(prefix="/v1/forms", tags=["forms"])

MERGE_PATCH = ("application/merge-patch+json", "application/json")


@router.post(
    "",
    status_code=201,
    response_model=NewFormView,
    summary="Create a draft",
    **described.CREATE_FORM,
)
async def create_form(request: Request, services: Serving) -> Response:
    beginner = beginner_of(request, services)
    if beginner:
        await beginner.check(services)
    body = await read_json(request, pace=services.settings.pace)
    type_name, data, reference = body.get("type"), body.get("data", {}), body.get("reference")
    if not isinstance(type_name, str):
        raise wrong_member("type", "must name a form type")
    if not isinstance(data, dict):
        raise wrong_member("data", "must be an object")
    if reference is not None and not (
        isinstance(reference, str) and 0 < len(reference) <= MAX_REFERENCE and "\0" not in reference
    ):
        raise wrong_member("reference", f"must be a string of 1 to {MAX_REFERENCE} characters")
    given = given_of(services, body, by_back_end=beginner is None)
    form, token, edits = await drafts.create(
        services, type_name, data, reference, beginner=beginner, given=given
    )
    return form_answer(
        request,
        services,
        form,
        [],
        status=201,
        headers={"Location": f"/v1/forms/{form.id}", "Cache-Control": "no-store"},
        token=token,
        ignored=edits.ignored,
    )


@router.get(
    "",
    response_model=FormList,
    summary="The application's back end reads records, page by page",
    **described.LIST_FORMS,
)
async def list_forms(
    request: Request,
    services: Serving,
    _: BackEnd,
    form_type: Annotated[
        str | None,
        Query(alias="type", pattern=r"^[^\x00]*$", max_length=100, description="of this form type"),
    ] = None,
    status: Annotated[
        Literal["draft", "submitted"] | None, Query(description="in this status")
    ] = None,
    reference: Annotated[
        str | None,
        Query(max_length=MAX_REFERENCE, pattern=r"^[^\x00]*$", description="with this reference"),
    ] = None,
    after: Annotated[
        str | None, Query(max_length=200, description="a cursor: the `next` of the page before")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="forms on a page, at most")] = 50,
) -> Response:
    wanted = Wanted(form_type=form_type, status=status, reference=reference, limit=limit)
    page = await list_page(services, wanted, after)
    return forms_answer(request, services, page)


@plain.route(
    router,
    "GET",
    "/{form_id}",
    response_model=FormView,
    summary="Read the record and its uploads",
    **described.READ_FORM,
)
async def read_form(request: Request, form_id: FormId) -> Response:
    services = services_in(request)
    answer = PolledFormAnswer(request, services)
    form, rows = await poll_form(request, services, form_id, kept=answer.is_kept)
    etag = sections.etag(form)
    if matches(request, etag):
        return not_modified(request, etag)
    return answer.make(form, rows)


@router.patch(
    "/{form_id}",
    response_model=FormView,
    summary="Save a section",
    **described.SAVE_SECTION,
)
async def save_section(
    request: Request,
    services: Serving,
    form: OwnForm,
    if_match: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    check_draft(form)
    sections.check_precondition(form, if_match)
    edits = await _edits(request, services, form)
    saved = await sections.save(
        services, form, edits, if_match=if_match, request_id=request_id(request)
    )
    form, rows = await form_and_uploads(services, form.id)
    return form_answer(
        request,
        services,
        form,
        rows,
        status=202 if saved.received else 200,
        headers=RETRY_AFTER if saved.received else None,
        ignored=saved.edits.ignored,
        problems=saved.edits.problems,
    )


@router.post(
    "/{form_id}/submit",
    response_model=FormView,
    summary="Close the form",
    **described.SUBMIT_FORM,
)
async def submit_form(request: Request, services: Serving, form: OwnForm) -> Response:
    await wait_until_settled(request, services, form.id)
    await closing.submit(services, form)
    form, rows = await form_and_uploads(services, form.id)
    return form_answer(request, services, form, rows, headers=applied(wait_seconds(request)))


@router.delete(
    "/{form_id}",
    status_code=204,
    summary="Purge the record, its bytes and objects",
    **described.PURGE_FORM,
)
async def purge_form(services: Serving, asking: Asking, form: OwnForm) -> Response:
    await closing.purge(services, form, by=actor_of(asking))
    return Response(status_code=204)


async def _edits(request: Request, services: Services, form: FormRow) -> sections.Edits:
    form_type = services.form_types[form.type]
    pace = services.settings.pace
    if media_type(request) != "multipart/form-data":
        types = (*MERGE_PATCH, "multipart/form-data")
        patch, below = _flat(await read_json(request, pace=pace, types=types))
        return sections.edits_of_json(form_type, patch, below=below)
    section = await receive_multipart(request, services, form_type, form)
    return sections.edits_of_multipart(form_type, section)


def _flat(patch: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Fields by name, and below which member they stand: a patch shaped like the resource,
    `{"data": {…}}`, means the same."""
    inner = patch.get("data")
    return (inner, ("data",)) if len(patch) == 1 and isinstance(inner, dict) else (patch, ())
