"""What routes ask for: the services, and the form or upload that the caller may touch."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from sqlalchemy import Connection

from api.access import session
from api.access.tokens import (
    PERSON,
    Actor,
    Credential,
    FormToken,
    ServiceKey,
    bearer,
    credential_of,
    form_of,
    hash_token,
    opens,
    require_internal,
    service_key,
    unauthorized,
)
from api.http.client_address import address_of
from api.openapi.examples import FORM_ID, UPLOAD_ID, prefilled
from api.records import forms, polled, uploads
from api.records.polled import PolledForm, PolledUpload
from api.records.rows import FormRow, ShownUpload, UploadRow
from api.services import Services
from api.texts.errors import Problem
from api.uploads.quotas import Beginner
from shared.form_definition import FileField
from shared.ids import is_id


def services_in(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def services_of(request: Request) -> Services:
    return services_in(request)


Serving = Annotated[Services, Depends(services_of)]


Caller = FormRow | ServiceKey


async def caller(request: Request, services: Serving) -> Caller:
    """Who asks: the form whose token it is, or a service key. Raises `Problem` unauthorized, or
    not-found where the form is being purged."""
    return await _caller(services, credential_of(services, bearer(request)))


async def caller_or_page(request: Request, services: Serving) -> Caller:
    """The same, or a page of ours, which has no token that a script could read: then it is the
    form of its cookie."""
    return await _caller(services, credential_or_page(request, services))


async def _caller(services: Services, credential: Credential) -> Caller:
    if isinstance(credential, FormToken):
        return await form_of(services, credential)
    return credential


def credential_or_page(request: Request, services: Services) -> Credential:
    """What the caller shows; of a page of ours its cookie. Raises `Problem` unauthorized where that
    is nothing."""
    if session.has_bearer(request):
        return credential_of(services, bearer(request))
    return FormToken(hash_token(session.token_of_page(services, request)))


Asking = Annotated[Caller, Depends(caller)]
AskingOrPage = Annotated[Caller, Depends(caller_or_page)]


def actor_of(asking: Caller) -> Actor:
    """As whom they act on what they may touch."""
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
    return await _form_for(services, asking, form_id)


async def form_of_page(services: Serving, asking: AskingOrPage, form_id: FormId) -> FormRow:
    """The same, and for our own page with its cookie."""
    return await _form_for(services, asking, form_id)


async def _form_for(services: Services, asking: Caller, form_id: str) -> FormRow:
    if not is_id(form_id):
        raise Problem("not-found")
    if isinstance(asking, ServiceKey):
        form = await services.database.read(forms.get, form_id)
        if form is None or form.status == forms.PURGING:
            raise Problem("not-found")
        return form
    if asking.id != form_id:
        raise Problem("not-found")
    return asking


def _with_form(conn: Connection, upload_id: str) -> tuple[UploadRow | None, FormRow | None]:
    row = uploads.get(conn, upload_id)
    return row, forms.get(conn, row.form_id) if row else None


async def own_upload(services: Serving, asking: Asking, upload_id: UploadId) -> UploadRow:
    """The upload, for who holds its form's token or a service key."""
    return await _upload_for(services, asking, upload_id)


async def upload_of_page(services: Serving, asking: AskingOrPage, upload_id: UploadId) -> UploadRow:
    """The same, and for our own page with its form's cookie."""
    return await _upload_for(services, asking, upload_id)


async def _upload_for(services: Services, asking: Caller, upload_id: str) -> UploadRow:
    if not is_id(upload_id):
        raise Problem("not-found")
    row, form = await services.database.read(_with_form, upload_id)
    if row is None or form is None or form.status == forms.PURGING:
        raise Problem("not-found")
    if not isinstance(asking, ServiceKey) and asking.id != form.id:
        raise Problem("not-found")
    return row


async def polled_form(
    request: Request, services: Services, form_id: str, shown: Callable[[PolledForm], bool]
) -> tuple[PolledForm, list[ShownUpload]]:
    """The form and, where it is `shown`, its uploads, for who may read it: see `form_of_page`."""
    credential = credential_or_page(request, services)
    if is_id(form_id):
        found, rows = await services.database.read(
            polled.form,
            form_id,
            shown=lambda form: _is_open(credential, form.status, form.token_hash) and shown(form),
        )
        if found and _is_open(credential, found.status, found.token_hash):
            return found, rows
    raise await _nothing(services, credential)


async def polled_upload(request: Request, services: Services, upload_id: str) -> PolledUpload:
    """The upload, for who may read it: see `upload_of_page`."""
    credential = credential_or_page(request, services)
    found = await services.database.read(polled.upload, upload_id) if is_id(upload_id) else None
    if found and _is_open(credential, found.form_status, found.token_hash):
        return found
    raise await _nothing(services, credential)


def _is_open(credential: Credential, status: str, token_hash: str) -> bool:
    return status != forms.PURGING and opens(credential, token_hash)


async def _nothing(services: Services, credential: Credential) -> Problem:
    """Why nothing is shown: there is nothing for this caller. Raises `Problem` unauthorized where
    the credential is nobody's."""
    await _caller(services, credential)
    return Problem("not-found")


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


async def internal_caller(request: Request, services: Serving) -> None:
    require_internal(services.settings.internal_secrets, request)


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
