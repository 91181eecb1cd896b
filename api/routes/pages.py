"""The pages: the signup, section by section. Reading them changes nothing."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from api.access.rights import check_draft
from api.access.session import draft_of_session, form_of_session, has_bearer, sent_form
from api.html import addresses
from api.html.render import Site
from api.http.public_path import public_path
from api.pages.models import Draft
from api.pages.signup import check_page, end_page, section_page
from api.records import uploads
from api.records.rows import FormRow
from api.routes.deps import Serving
from api.services import Services
from api.texts.errors import Problem

router = APIRouter(include_in_schema=False)

SIGNUP = "therapist_signup"
"""The form type that `/` begins."""


@router.get("/")
async def first_page(
    request: Request, services: Serving, missing: Annotated[str, Query()] = ""
) -> Response:
    """The first section: of a new signup, or of the one this browser is at."""
    form = await draft_of_session(services, request)
    if form is None and SIGNUP not in services.form_types:
        raise Problem("not-found")
    draft = await _draft(services, form) if form else Draft(services.form_types[SIGNUP])
    return section_page(
        draft,
        draft.form_type.sections[0],
        site=_site(request, services),
        missing=bool(missing),
        sent_before=form is None and await sent_form(services, request) is not None,
    )


@router.get("/signup/check-answers")
async def check_answers(
    request: Request,
    services: Serving,
    waited: Annotated[str, Query()] = "",
    missing: Annotated[str, Query()] = "",
) -> Response:
    draft = await _open_draft(request, services)
    if draft is None:
        return _to_the_end()
    site = _site(request, services)
    return check_page(draft, site=site, waited=bool(waited), missing=bool(missing))


@router.get("/signup/thank-you")
async def thank_you(request: Request, services: Serving) -> Response:
    form = await sent_form(services, request)
    draft = await _draft(services, form) if form else None
    return end_page(draft, site=_site(request, services))


@router.get("/signup/{section}")
async def one_section(
    request: Request,
    services: Serving,
    section: str,
    missing: Annotated[str, Query()] = "",
    unsaved: Annotated[tuple[str, ...], Query()] = (),
) -> Response:
    draft = await _open_draft(request, services)
    if draft is None:
        return _to_the_end()
    found = [each for each in draft.form_type.sections if each.name == section]
    if not found:
        raise Problem("not-found")
    site = _site(request, services)
    return section_page(draft, found[0], site=site, missing=bool(missing), unsaved=unsaved)


async def _open_draft(request: Request, services: Services) -> Draft | None:
    """The draft of the request; None where this browser has sent it, and went back."""
    if await draft_of_session(services, request) is None and not has_bearer(request):
        sent = await sent_form(services, request)
        if sent:
            return None
    form = await form_of_session(services, request)
    check_draft(form)
    return await _draft(services, form)


async def _draft(services: Services, form: FormRow) -> Draft:
    rows = await services.database.read(uploads.shown, form.id)
    return Draft(services.form_types[form.type], form, rows)


def _to_the_end() -> Response:
    return RedirectResponse(
        addresses.THANK_YOU, status_code=303, headers={"Cache-Control": "no-store"}
    )


def _site(request: Request, services: Services) -> Site:
    store = urlsplit(services.settings.s3_public_endpoint_url)
    return Site(root=public_path(request), pictures=f"{store.scheme}://{store.netloc}")
