"""What routes ask for: the services, and the form or upload that the caller may touch."""

from typing import Annotated, Any

from fastapi import Depends, Path, Request

from api.access import reach, session
from api.access.tokens import (
    PERSON,
    Actor,
    Credential,
    FormToken,
    ServiceKey,
    bearer,
    credential_of,
    hash_token,
    require_internal,
    service_key,
    unauthorized,
)
from api.http.client_address import address_of
from api.openapi.examples import FORM_ID, UPLOAD_ID, prefilled
from api.records.rows import FormRow, UploadRow
from api.services import Services
from api.texts.errors import Problem
from api.uploads.quotas import Beginner
from shared.form_definition import FileField


def services_in(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def services_of(request: Request) -> Services:
    return services_in(request)


Serving = Annotated[Services, Depends(services_of)]


async def credential(request: Request, services: Serving) -> Credential:
    """What the caller shows. Raises `Problem` unauthorized where that is nothing."""
    return credential_of(services, bearer(request))


async def credential_or_page(request: Request, services: Serving) -> Credential:
    """The same, or the cookie of a page of ours, which has no token that a script could read."""
    if session.has_bearer(request):
        return credential_of(services, bearer(request))
    return FormToken(hash_token(session.token_of_page(services, request)))


Asking = Annotated[Credential, Depends(credential)]
AskingOrPage = Annotated[Credential, Depends(credential_or_page)]


def actor_of(asking: Credential) -> Actor:
    """As whom its bearer acts on what it reaches."""
    return asking if isinstance(asking, ServiceKey) else PERSON


def _key_of(request: Request, services: Services) -> ServiceKey | None:
    try:
        return service_key(services, bearer(request))
    except Problem:
        return None


async def back_end(request: Request, services: Serving) -> ServiceKey:
    """Service keys alone. Raises `Problem` unauthorized, which doesn't ask for a form's token."""
    key = _key_of(request, services)
    if key is None:
        raise unauthorized("Only a service key opens this, sent as 'Authorization: Bearer …'.")
    return key


BackEnd = Annotated[ServiceKey, Depends(back_end)]


def _named(description: str, pattern: str, example: str | None = None) -> Any:
    """A part of the path, described; what doesn't fit is not found, rather than invalid."""
    examples = prefilled(example) if example else None
    return Path(
        description=description, openapi_examples=examples, json_schema_extra={"pattern": pattern}
    )


# An id has no example: tools that send requests would fill in one that nobody has.
FormId = Annotated[str, _named(f"a form, such as `{FORM_ID}`", r"^frm_[a-z2-7]{26}$")]
UploadId = Annotated[str, _named(f"an upload, such as `{UPLOAD_ID}`", r"^upl_[a-z2-7]{26}$")]
FieldName = Annotated[
    str, _named("one of the form's file fields", r"^[a-z][a-z0-9_]{0,49}$", "headshot")
]


async def own_form(services: Serving, asking: Asking, form_id: FormId) -> FormRow:
    """The form, for who holds its token or a service key; what is not yours does not exist."""
    return await reach.form(services, asking, form_id)


async def form_of_page(services: Serving, asking: AskingOrPage, form_id: FormId) -> FormRow:
    """The same, and for our own page with its cookie."""
    return await reach.form(services, asking, form_id)


async def own_upload(services: Serving, asking: Asking, upload_id: UploadId) -> UploadRow:
    """The upload, for who holds its form's token or a service key."""
    return await reach.upload(services, asking, upload_id)


async def upload_of_page(services: Serving, asking: AskingOrPage, upload_id: UploadId) -> UploadRow:
    """The same, and for our own page with its form's cookie."""
    return await reach.upload(services, asking, upload_id)


OwnForm = Annotated[FormRow, Depends(own_form)]
OwnUpload = Annotated[UploadRow, Depends(own_upload)]
FormOrPages = Annotated[FormRow, Depends(form_of_page)]
UploadOrPages = Annotated[UploadRow, Depends(upload_of_page)]


async def own_file_field(services: Serving, form: OwnForm, field: FieldName) -> FileField:
    """See `file_field_of`."""
    return file_field_of(services, form, field)


def file_field_of(services: Services, form: FormRow, field: str) -> FileField:
    """The form's file field of that name. Raises `Problem` not-found, which lists those that there
    are."""
    form_type = services.form_types[form.type]
    found = form_type.file_fields.get(field)
    if found is None:
        shown = field[:50]
        why = "takes no files" if field in form_type.fields else "is no field of this form"
        fields = ", ".join(form_type.file_fields)
        raise Problem(
            "not-found",
            f"{shown!r} {why}. Files go to {fields or 'no field'}.",
            field=shown,
            params={"fields": fields},
        )
    return found


OwnFileField = Annotated[FileField, Depends(own_file_field)]


async def internal_caller(request: Request) -> None:
    require_internal(services_in(request).settings.internal_secrets, request)


async def scraper(request: Request, services: Serving) -> None:
    """Who may read the metrics: a secret for just that, or one of the internal listener."""
    settings = services.settings
    require_internal((*settings.metrics_secrets, *settings.internal_secrets), request)


def beginner_of(request: Request, services: Services) -> Beginner | None:
    """Who begins a draft; None for a service key. Any other credential opens nothing here, and is
    none of our business: browsers send those of a proxy by themselves."""
    return None if _key_of(request, services) else anonymous(request, services)


def anonymous(request: Request, services: Services) -> Beginner:
    """Whom a draft is counted for that nobody's key begins."""
    return Beginner(services.settings, address_of(request.scope))


def base_url(request: Request, services: Services) -> str:
    """What clients call this service."""
    if services.settings.public_url:
        return services.settings.public_url.rstrip("/")
    host = request.headers.get("host")  # judged by `api.http.head`
    return f"{request.scope['scheme']}://{host}" if host else str(request.base_url).rstrip("/")


def request_id(request: Request) -> str:
    return str(request.scope.get("request_id", ""))
