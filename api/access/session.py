"""The session of the pages: one cookie that holds the token of one form, and after sending another
one that only shows what was sent.

The pages accept it, what their forms post to, and what their script calls to send and follow
files; each of these only from a page of ours, so that no other site's can act or look through a
person's browser. The rest of the API knows bearer tokens alone.
"""

import hashlib
import hmac
import time
from typing import Literal, TypedDict

from starlette.requests import Request
from starlette.responses import Response

from api.access.tokens import bearer, form_of_token, unauthorized
from api.http.cookie import value_of
from api.http.origin import check_origin, is_our_page
from api.http.public_path import public_path
from api.records import forms
from api.records.rows import FormRow
from api.services import Services
from api.texts.errors import Problem
from shared.ids import is_id

COOKIE = "longshore_form"
"""Its name where PUBLIC_URL has no path."""
SENT = "longshore_sent"
"""The name, in the same way, of the cookie that opens the end page once the form is sent."""
SENT_SECONDS = 3600
"""As long as that page can be opened: to read it again and print it, and no longer than somebody
may sit at a device that others use."""


class _Attributes(TypedDict):
    path: str
    httponly: bool
    samesite: Literal["lax"]
    secure: bool


def cookie_name(request: Request, name: str = COOKIE) -> str:
    """Another one below each path: a browser sends the cookies of the paths above too, and which
    of two with the same name is whose can't be told (RFC 6265, section 4.2.2)."""
    return _below(public_path(request), name)


def cookies_below(path: str) -> list[str]:
    """The names of all our cookies below a path."""
    return [_below(path, name) for name in (COOKIE, SENT)]


def _below(path: str, name: str) -> str:
    return name + path.replace("/", "_")


def has_bearer(request: Request) -> bool:
    return "authorization" in request.headers


async def form_of_session(services: Services, request: Request) -> FormRow:
    """The form that the request's bearer token opens or, without one, its cookie.

    A write must pass `check_write` too. Raises `Problem` unauthorized or not-found.
    """
    token = bearer(request) if has_bearer(request) else _cookie(request)
    if not token:
        raise unauthorized()
    return await form_of_token(services, token)


def token_of_page(services: Services, request: Request) -> str:
    """The token of the cookie, which counts for nothing where a page of another origin asks.

    Raises `Problem` unauthorized.
    """
    token = _cookie(request)
    if not token or not is_our_page(request, services.settings.public_url):
        raise unauthorized()
    return token


async def draft_of_session(services: Services, request: Request) -> FormRow | None:
    """The draft that the person is at; None where there is no such session any more."""
    token = _cookie(request)
    if not token:
        return None
    try:
        form = await form_of_token(services, token)
    except Problem as problem:
        if problem.code in ("unauthorized", "not-found"):  # of another time: begin anew
            return None
        raise
    return form if form.status == forms.DRAFT else None


def check_write(services: Services, request: Request) -> None:
    """A write that the cookie lets in, or that sets it, must come from our own pages."""
    known = _cookie(request) is not None
    check_origin(request, services.settings.public_url, must_be_named=known)


def start(answer: Response, request: Request, services: Services, token: str) -> None:
    """Keep the token in this browser: from now on our pages are about its form."""
    answer.set_cookie(cookie_name(request), token, **_attributes(request, services))


def end(answer: Response, request: Request, services: Services) -> None:
    """The person starts over, or is done: this browser opens nothing any more."""
    for name in (COOKIE, SENT):
        answer.delete_cookie(cookie_name(request, name), **_attributes(request, services))


def end_as_sent(answer: Response, request: Request, services: Services, form_id: str) -> None:
    """The form is sent: what is left is a cookie that opens its end page, for a while.

    It is no token: it is signed, and stored nowhere.
    """
    end(answer, request, services)
    expires = int(time.time()) + SENT_SECONDS
    secret = services.settings.internal_secrets[0]
    answer.set_cookie(
        cookie_name(request, SENT),
        f"{form_id}.{expires}.{_signature(secret, form_id, expires)}",
        max_age=SENT_SECONDS,
        **_attributes(request, services),
    )


async def sent_form(services: Services, request: Request) -> FormRow | None:
    """The form that this browser sent within the hour, where it is still there."""
    value = value_of(request.headers.getlist("cookie"), cookie_name(request, SENT)) or ""
    form_id, _, rest = value.partition(".")
    expires, _, signature = rest.partition(".")
    if not is_id(form_id) or not expires.isdecimal() or int(expires) < time.time():
        return None
    signed = [
        hmac.compare_digest(signature.encode(), _signature(secret, form_id, int(expires)).encode())
        for secret in services.settings.internal_secrets
    ]
    if not any(signed):
        return None
    form = await services.database.read(forms.get, form_id)
    return form if form and form.status == forms.SUBMITTED else None


def _signature(secret: str, form_id: str, expires: int) -> str:
    said = f"longshore_sent {form_id} {expires}"
    return hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest()


def _cookie(request: Request) -> str | None:
    return value_of(request.headers.getlist("cookie"), cookie_name(request))


def _attributes(request: Request, services: Services) -> _Attributes:
    public_url = services.settings.public_url or ""
    secure = request.url.scheme == "https" or public_url.lower().startswith("https:")
    path = public_path(request) or "/"
    return {"path": path, "httponly": True, "samesite": "lax", "secure": secure}
