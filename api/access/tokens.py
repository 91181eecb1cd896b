"""Credentials: the form's token, a service key, the internal listener's secrets, and whether what a
request shows is one of them. What each opens is in `reach.py`, what it may change in `rights.py`.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from functools import lru_cache

from starlette.requests import Request

from api.records import forms
from api.records.rows import FormRow
from api.services import Services
from api.texts.errors import Problem


def new_token() -> str:
    """A form's token, such as `lst_` and 43 characters: 256 random bits."""
    return f"lst_{secrets.token_urlsafe(32)}"


def hash_token(token: str) -> str:
    """What is stored of a token. It carries 256 random bits, so one plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def bearer(request: Request) -> str:
    """The bearer token of a request (RFC 6750). Raises `Problem` unauthorized."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthorized()
    return token.strip()


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """The application's back end: it may do with any form what the form's token may, and retry,
    release, remove and purge after submit too. Its name is for logs."""

    name: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who holds the form's token, or sits at its page: may change the form while it is a draft."""


PERSON = Person()
Actor = Person | ServiceKey
"""Who does something to a form or an upload that they may touch."""


@dataclass(frozen=True, slots=True)
class FormToken:
    """Any other bearer token: which form it opens, or whether one, is in the records."""

    hash: str


Credential = FormToken | ServiceKey


def credential_of(services: Services, token: str) -> Credential:
    """What a bearer token is, as far as it can be told without the records. All service keys are
    compared, each in constant time."""
    given = hash_token(token)
    hashes = _hashes(services.settings.service_keys)
    same = [name for name, each in hashes if hmac.compare_digest(given, each)]
    return ServiceKey(same[0]) if same else FormToken(given)


@lru_cache(maxsize=8)
def _hashes(service_keys: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Names, and the hashes of secrets, which are the same for every request."""
    return [(name, hash_token(secret)) for name, secret in service_keys]


def opens(credential: Credential, token_hash: str) -> bool:
    """Whether it opens the form whose token has this hash."""
    if isinstance(credential, ServiceKey):
        return True
    return hmac.compare_digest(credential.hash, token_hash)


def service_key(services: Services, token: str) -> ServiceKey | None:
    """The service key that a bearer token is, if it is one."""
    credential = credential_of(services, token)
    return credential if isinstance(credential, ServiceKey) else None


async def form_of_token(services: Services, token: str) -> FormRow:
    """The form that a token opens.

    Raises `Problem` unauthorized for an unknown token, not-found for a form being purged.
    """
    return await form_of(services, FormToken(hash_token(token)))


async def form_of(services: Services, token: FormToken) -> FormRow:
    """The form that a token opens which was hashed before. Raises as `form_of_token` does."""
    form = await services.database.read(forms.by_token, token.hash)
    if form is None or not opens(token, form.token_hash):
        raise unauthorized()
    if form.status == forms.PURGING:
        raise Problem("not-found")
    return form


def require_internal(secrets_known: tuple[str, ...], request: Request) -> None:
    """Let only a holder of an internal secret pass; two may be valid while one is rotated."""
    given = bearer(request).encode()
    if not any([hmac.compare_digest(given, each.encode()) for each in secrets_known]):  # noqa: C419 - compare all, in constant time
        raise unauthorized()


def unauthorized(detail: str | None = None) -> Problem:
    return Problem("unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="longshore"'})
