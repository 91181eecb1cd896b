"""The pages: the signup, section by section. Reading them changes nothing."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.deps import Serving
from api.errors import Problem
from api.http.public_path import public_path
from api.pages.models import Draft
from api.pages.session import draft_of_session, form_of_session
from api.pages.signup import check_page, section_page, thank_you_page
from api.records import uploads
from api.records.rows import FormRow
from api.services import Services
from api.uploads import check_draft

router = APIRouter(include_in_schema=False)

SIGNUP = "therapist_signup"
"""The form type that `/` begins."""


@router.get("/")
async def first_page(request: Request, services: Serving) -> Response:
    """The first section: of a new signup, or of the one this browser is at."""
    form = await draft_of_session(services, request)
    if form is None and SIGNUP not in services.form_types:
        raise Problem("not-found")
    draft = await _draft(services, form) if form else Draft(services.form_types[SIGNUP])
    return section_page(draft, draft.form_type.sections[0], root=public_path(request))


@router.get("/signup/check-answers")
async def check_answers(request: Request, services: Serving) -> Response:
    return check_page(await _open_draft(request, services), root=public_path(request))


@router.get("/signup/thank-you")
async def thank_you(request: Request, later: Annotated[str, Query()] = "") -> Response:
    return thank_you_page(root=public_path(request), later=bool(later))


@router.get("/signup/{section}")
async def one_section(
    request: Request,
    services: Serving,
    section: str,
    missing: Annotated[str, Query()] = "",
    unsaved: Annotated[tuple[str, ...], Query()] = (),
) -> Response:
    draft = await _open_draft(request, services)
    found = [each for each in draft.form_type.sections if each.name == section]
    if not found:
        raise Problem("not-found")
    root = public_path(request)
    return section_page(draft, found[0], root=root, missing=bool(missing), unsaved=unsaved)


async def _open_draft(request: Request, services: Services) -> Draft:
    form = await form_of_session(services, request)
    check_draft(form)
    return await _draft(services, form)


async def _draft(services: Services, form: FormRow) -> Draft:
    async with services.database.read(few=True) as conn:
        rows = await uploads.of_form(conn, form.id)
    return Draft(services.form_types[form.type], form, rows)
