"""Where plain HTML forms post to. Each is answered with a page to go to (303), so that reloading
sends nothing twice; problems are shown there, beside their fields."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from api.access import reach, session
from api.access.rights import check_draft
from api.access.tokens import PERSON, form_of_token
from api.forms import closing, posts
from api.forms.way_back import WayBack
from api.html import addresses
from api.http.client_address import address_of
from api.http.preferences import prefers_html, wants_json
from api.openapi import of_forms as described
from api.pages.after_posts import after_post
from api.records import forms
from api.records.rows import FormRow
from api.routes.answers import RETRY_AFTER, form_and_uploads, form_answer
from api.routes.deps import FormId, Serving, anonymous, credential, request_id
from api.routes.pages import SIGNUP
from api.routes.section_bodies import receive_html_form
from api.services import Services
from api.texts.errors import Problem
from shared.ids import is_id

router = APIRouter(tags=["forms"])


@dataclass(frozen=True, slots=True)
class Posted:
    """What a post is to."""

    form: FormRow
    way_back: WayBack | None = None
    """To the page of another site that the post may come from."""


async def posted_form(request: Request, services: Serving, form_id: FormId) -> Posted:
    """The form, for who holds its token or a service key; or its cookie, on our own pages. What is
    posted from a page of another site shows its token later, in the body."""
    if session.has_bearer(request):
        form = await reach.form(services, await credential(request, services), form_id)
        return Posted(form, WayBack.of(form, is_open=True))
    elsewhere = await _form_of_another_site(services, form_id)
    if elsewhere:
        return elsewhere
    return Posted(await _form_of_our_page(request, services, form_id))


async def _form_of_our_page(request: Request, services: Services, form_id: str) -> FormRow:
    session.check_write(services, request)
    form = await session.sent_form(services, request)
    if form is None or form.id != form_id:
        form = await session.form_of_session(services, request)
    if form.id != form_id:
        raise Problem("not-found")
    return form


async def _form_of_another_site(services: Services, form_id: str) -> Posted | None:
    if not is_id(form_id):
        return None
    form = await services.database.read(forms.get, form_id)
    way_back = form and WayBack.of(form, is_open=False)
    return Posted(form, way_back) if form and way_back else None


@router.post(
    "/v1/forms/{form_id}",
    status_code=303,
    response_class=Response,
    summary="Save a section, remove an upload, submit: for plain HTML forms",
    **described.POST_FORM,
)
async def post_form(
    request: Request, services: Serving, posted: Annotated[Posted, Depends(posted_form)]
) -> Response:
    form, way_back = posted.form, posted.way_back
    if way_back is None:
        return await _answer(request, services, form, await _take(request, services, form))
    with way_back.errors():
        outcome = await _take(request, services, form, way_back)
    if _is_script(request):
        return await _as_json(request, services, form, outcome)
    return _to(way_back.after(outcome))


@router.post("/", include_in_schema=False)
async def begin(request: Request, services: Serving) -> Response:
    """The first post of a new signup creates its form; a browser that has one goes on with it."""
    session.check_write(services, request)
    form = await session.draft_of_session(services, request)
    if form:
        return await _answer(request, services, form, await _take(request, services, form))
    form_type = services.form_types.get(SIGNUP)
    if form_type is None:
        raise Problem("not-found")
    beginner = anonymous(request, services)
    await beginner.check(services)
    body = await receive_html_form(request, services, form_type, posts.CONTROLS)
    begun = await posts.begin(
        services,
        SIGNUP,
        body,
        beginner=beginner,
        request_id=request_id(request),
        client=address_of(request.scope),
        even_blank=_is_script(request),
    )
    if begun is None:
        return _to(f"{addresses.START}?missing=1")
    form, token, outcome = begun
    answer = await _answer(request, services, form, outcome)
    session.start(answer, request, services, token)
    return answer


@router.post("/signup/start-over", include_in_schema=False)
async def start_over(request: Request, services: Serving) -> Response:
    """Purge the draft: without its cookie nobody could open it any more."""
    session.check_write(services, request)
    form = await session.draft_of_session(services, request)
    if form:
        await closing.purge(services, form, by=PERSON)
    answer = _to(addresses.START)
    session.end(answer, request, services)
    return answer


async def _take(
    request: Request, services: Services, form: FormRow, way_back: WayBack | None = None
) -> posts.Outcome:
    form_type = services.form_types[form.type]

    async def admit(token: bytes | None) -> None:
        """Who shows nothing is told nothing of the form, not even that it is closed."""
        shown = await form_of_token(services, (token or b"").decode("latin-1"))
        if shown.id != form.id:
            raise Problem("not-found")
        if way_back:
            way_back.is_open = True
        check_draft(shown)

    is_admitted = way_back is None or way_back.is_open
    if is_admitted:
        check_draft(form)
    body = await receive_html_form(
        request, services, form_type, posts.CONTROLS, None if is_admitted else admit
    )
    return await posts.take(
        services,
        form,
        body,
        request_id=request_id(request),
        client=address_of(request.scope),
        by_browser=not session.has_bearer(request),
    )


async def _answer(
    request: Request, services: Services, form: FormRow, outcome: posts.Outcome
) -> Response:
    """The page to go to; for a script, the form as it is now. Sending ends the session."""
    if _is_script(request):
        answer = await _as_json(request, services, form, outcome)
    else:
        answer = _to(after_post(outcome))
    if outcome.submit and not outcome.refused and not session.has_bearer(request):
        session.end_as_sent(answer, request, services, form.id)
    return answer


def _is_script(request: Request) -> bool:
    return wants_json(request) and not prefers_html(request)


def _to(address: str) -> Response:
    return RedirectResponse(address, status_code=303, headers={"Cache-Control": "no-store"})


async def _as_json(
    request: Request, services: Services, form: FormRow, outcome: posts.Outcome
) -> Response:
    """The form, for a script that sends what the page would have sent."""
    if outcome.refused:
        raise outcome.refused
    form, rows = await form_and_uploads(services, form.id)
    return form_answer(
        request,
        services,
        form,
        rows,
        status=202 if outcome.saved.received else 200,
        headers=RETRY_AFTER if outcome.saved.received else None,
        ignored=outcome.saved.edits.ignored,
        problems=outcome.saved.edits.problems,
    )
