"""The body of a request that saves a section, received: multipart, or what an HTML form sends."""

from collections.abc import Collection

from starlette.requests import Request

from api.http.bodies import media_type
from api.http.whole_files import require_whole_files
from api.quotas import check_form
from api.receive.body import Body
from api.receive.multipart import boundary_of
from api.receive.sections import SectionBody, receive_section
from api.receive.urlencoded import MAX_URLENCODED, URLENCODED, receive_urlencoded
from api.records import uploads
from api.records.rows import FormRow
from api.sections import unknown_field
from api.services import Services
from shared.form_definition import FileField, FormType

TEXT_ALLOWANCE = 1024 * 1024
"""Bytes of a section beside its files."""


async def receive_multipart(
    request: Request,
    services: Services,
    form_type: FormType,
    form: FormRow | None,
    controls: Collection[str] = (),
) -> SectionBody:
    """Text, and files that are durable on the volume. `controls` are names besides the fields'.

    `form` is None while there is none yet. Raises `Problem` form-full before the body is read if
    it is more than the form may still hold.
    """
    require_whole_files(request)
    boundary = boundary_of(request.headers.get("content-type"))
    body = Body(request, limit=_limit(form_type), pace=services.settings.pace)
    if form:
        await _check_form(services, form, body)
    await services.volume.require()

    def limit_of(name: str) -> int:
        field = form_type.fields.get(name)
        if field is None and name not in controls:
            raise unknown_field(name)
        return field.max_bytes if isinstance(field, FileField) else 0

    with services.staging.space.reserve(body.declared or 0):
        return await receive_section(services.staging, body, boundary, limit_of)


async def receive_html_form(
    request: Request,
    services: Services,
    form_type: FormType,
    form: FormRow | None,
    controls: Collection[str],
) -> SectionBody:
    """What a `<form>` sends, with either of its encodings."""
    require_whole_files(request)
    if media_type(request) != URLENCODED:
        return await receive_multipart(request, services, form_type, form, controls)

    def known(name: str) -> None:
        if name not in form_type.fields and name not in controls:
            raise unknown_field(name)

    return await receive_urlencoded(
        Body(request, limit=MAX_URLENCODED, pace=services.settings.pace), known
    )


async def _check_form(services: Services, form: FormRow, body: Body) -> None:
    """What may be text is let through: a full form is still filled in."""
    files = (body.declared or 0) - TEXT_ALLOWANCE
    if files > 0:
        async with services.database.read(few=True) as conn:
            rows = await uploads.of_form(conn, form.id)
        check_form(services.settings, services.form_types[form.type], rows, more=files)


def _limit(form_type: FormType) -> int:
    """All files the form could take at once, and its text."""
    return form_type.max_bytes + TEXT_ALLOWANCE
