"""The body of a request that saves a section, received: multipart, or what an HTML form sends."""

from collections.abc import Collection

from starlette.requests import Request

from api.http.bodies import media_type
from api.http.whole_files import require_whole_files
from api.receive.body import Body
from api.receive.multipart import boundary_of
from api.receive.sections import SectionBody, receive_section
from api.receive.urlencoded import MAX_URLENCODED, URLENCODED, receive_urlencoded
from api.sections import unknown_field
from api.services import Services
from shared.form_definition import FileField, FormType

TEXT_ALLOWANCE = 1024 * 1024
"""Bytes of a section beside its files."""


async def receive_multipart(
    request: Request, services: Services, form_type: FormType, controls: Collection[str] = ()
) -> SectionBody:
    """Text, and files that are durable on the volume. `controls` are names besides the fields'."""
    require_whole_files(request)
    boundary = boundary_of(request.headers.get("content-type"))
    body = Body(request, limit=_limit(form_type), pace=services.settings.pace)
    await services.volume.require()

    def limit_of(name: str) -> int:
        field = form_type.fields.get(name)
        if field is None and name not in controls:
            raise unknown_field(name)
        return field.max_bytes if isinstance(field, FileField) else 0

    with services.staging.space.reserve(body.declared or 0):
        return await receive_section(services.staging, body, boundary, limit_of)


async def receive_html_form(
    request: Request, services: Services, form_type: FormType, controls: Collection[str]
) -> SectionBody:
    """What a `<form>` sends, with either of its encodings."""
    require_whole_files(request)
    if media_type(request) != URLENCODED:
        return await receive_multipart(request, services, form_type, controls)

    def known(name: str) -> None:
        if name not in form_type.fields and name not in controls:
            raise unknown_field(name)

    return await receive_urlencoded(
        Body(request, limit=MAX_URLENCODED, pace=services.settings.pace), known
    )


def _limit(form_type: FormType) -> int:
    """All files the form could take at once, and its text."""
    files = sum(each.max_bytes * each.max_files for each in form_type.file_fields.values())
    return files + TEXT_ALLOWANCE
