"""What routes ask for: the services, and the form or upload that the caller may touch."""

from typing import Annotated

from fastapi import Depends, Request

from api.auth import form_of_token, require_internal
from api.errors import Problem
from api.records import uploads
from api.records.rows import FormRow, UploadRow
from api.services import Services
from shared.form_definition import FileField


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Serving = Annotated[Services, Depends(services_of)]


async def own_form(request: Request, services: Serving, form_id: str) -> FormRow:
    """The form, for who holds its token; what is not yours does not exist."""
    form = await form_of_token(services, request)
    if form.id != form_id:
        raise Problem("not-found")
    return form


async def own_upload(request: Request, services: Serving, upload_id: str) -> UploadRow:
    """The upload, for who holds its form's token."""
    form = await form_of_token(services, request)
    async with services.database.read() as conn:
        row = await uploads.get(conn, upload_id)
    if row is None or row.form_id != form.id:
        raise Problem("not-found")
    return row


OwnForm = Annotated[FormRow, Depends(own_form)]
OwnUpload = Annotated[UploadRow, Depends(own_upload)]


def file_field(services: Serving, form: OwnForm, field: str) -> FileField:
    """The file field of that name. Raises `Problem` not-found."""
    found = services.form_types[form.type].file_fields.get(field)
    if found is None:
        raise Problem("not-found")
    return found


OwnFileField = Annotated[FileField, Depends(file_field)]


def internal_caller(request: Request, services: Serving) -> None:
    require_internal(services.settings.internal_secrets, request)


def base_url(request: Request, services: Services) -> str:
    """What clients call this service."""
    return (services.settings.public_url or str(request.base_url)).rstrip("/")


def request_id(request: Request) -> str:
    return str(request.scope.get("request_id", ""))
