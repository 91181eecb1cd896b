"""The body of a request that saves a section, received: multipart, or what an HTML form sends."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection

from starlette.requests import Request

from api.forms.sections import unknown_field
from api.http.bodies import media_type
from api.http.whole_files import require_whole_files
from api.receive.body import Body
from api.receive.first_part import first_text
from api.receive.multipart import Event, boundary_of, read_parts
from api.receive.sections import SectionBody, receive_section
from api.receive.urlencoded import MAX_URLENCODED, TOKEN, URLENCODED, receive_urlencoded
from api.records.rows import FormRow
from api.services import Services
from api.uploads.admission import section_open
from shared.form_definition import FileField, FormType

Admit = Callable[[bytes | None], Awaitable[None]]
"""Raises `Problem` for who may not send the body."""
TEXT_ALLOWANCE = 1024 * 1024
"""Bytes of a section beside its files."""
MAX_HTML_FORM = 2_000_000_000
"""Bytes that a `<form>` sends. A page can't keep what was typed when its post is refused, so files
that are too large are dropped as they come, and the answers beside them are saved."""


async def receive_multipart(
    request: Request, services: Services, form_type: FormType, form: FormRow
) -> SectionBody:
    """Text, and files that are durable on the volume.

    Raises `Problem` request-too-large or form-full before the body is read if it is more than a
    form, or this one, may hold.
    """
    require_whole_files(request)
    boundary = boundary_of(request.headers.get("content-type"))
    body = Body(request, limit=_limit(form_type), pace=services.settings.pace)
    return await _receive(services, form_type, form, body, read_parts(body, boundary))


async def receive_html_form(
    request: Request,
    services: Services,
    form_type: FormType,
    controls: Collection[str],
    admit: Admit | None = None,
) -> SectionBody:
    """What a `<form>` sends, with either of its encodings; `controls` are names besides the
    fields'.

    Where nothing but the body can show whose the form is, `admit` is asked, with the hidden token
    or None, before a file is read: there the token must be the first part.
    """
    require_whole_files(request)
    if media_type(request) != URLENCODED:
        boundary = boundary_of(request.headers.get("content-type"))
        body = Body(request, limit=MAX_HTML_FORM, pace=services.settings.pace)
        parts = read_parts(body, boundary)
        if admit:
            await admit(await first_text(parts, TOKEN))
        return await _receive(services, form_type, None, body, parts, controls)

    def known(name: str) -> None:
        if name not in form_type.fields and name not in controls:
            raise unknown_field(form_type, name)

    body = Body(request, limit=MAX_URLENCODED, pace=services.settings.pace)
    return await receive_urlencoded(body, admit or _anybody, known)


async def _anybody(_: bytes | None) -> None:
    """It is known already who sends it."""


async def _receive(
    services: Services,
    form_type: FormType,
    form: FormRow | None,
    body: Body,
    parts: AsyncIterator[Event],
    controls: Collection[str] = (),
) -> SectionBody:
    """Whatever the body has, no more of it is kept than a form may hold."""

    def limit_of(name: str) -> int:
        field = form_type.fields.get(name)
        if field is None and name not in controls:
            raise unknown_field(form_type, name)
        return field.max_bytes if isinstance(field, FileField) else 0

    declared, most = body.declared or 0, _limit(form_type)
    async with section_open(
        services, form_type, form, least=declared - TEXT_ALLOWANCE, most=min(declared, most)
    ):
        return await receive_section(services.staging, parts, limit_of, most)


def _limit(form_type: FormType) -> int:
    """All files the form could take at once, and its text."""
    return form_type.max_bytes + TEXT_ALLOWANCE
