"""What a browser says of itself: where a form was, what it wants to read; and its cookie."""

from types import SimpleNamespace
from typing import cast

import pytest
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.access import session
from api.http.cookie import MAX_VALUE, OnlyCookies
from api.http.origin import check_origin, is_our_page
from api.http.preferences import accepts, prefers_html
from api.http.public_path import BelowPath
from api.services import Services
from api.texts.errors import Problem


def request(scheme: str = "http", method: str = "POST", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "path": "/", "query_string": b"",
                    "scheme": scheme, "server": ("a.example", 80), "headers": raw})  # fmt: skip


@pytest.mark.parametrize(
    ("origin", "host", "public_url"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", None),
        ("https://forms.example", "forms.example", None),
        ("https://forms.example", "Forms.Example", None),
        ("https://forms.example", "forms.example:443", "https://forms.example:443/"),
        ("https://forms.example", "api.internal:8000", "https://Forms.Example/signup"),
        ("http://localhost:8000", "localhost:8000", "http://127.0.0.1:8000"),
    ],
)
def test_our_own_pages_may_write(origin: str, host: str, public_url: str | None) -> None:
    check_origin(request(origin=origin, host=host), public_url, must_be_named=True)
    referer = f"{origin}/signup/about"
    check_origin(request(referer=referer, host=host), public_url, must_be_named=True)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "file://forms.example",
        "https://forms.example.evil.example",
        "https://forms.example@evil.example",
        "https://forms.example:8443",
        "https://forms.example:80",
        "http://forms.example:443",
        "https://evilforms.example",
        "https://evil-forms.example",
        "https://sub.forms.example",
        "https://forms.example.",
        "https://forms.exampl",
        "https://forms",
        "https://.example",
        "https://example",
        "https://[",
    ],
)
def test_another_sites_pages_may_not(origin: str) -> None:
    asked = request(origin=origin, host="forms.example")
    for must_be_named in (True, False):
        if origin or must_be_named:
            with pytest.raises(Problem):
                check_origin(asked, "https://forms.example", must_be_named=must_be_named)


@pytest.mark.parametrize(
    "origin",
    ["http://forms.example", "https://evilforms.example", "https://forms.example.evil.example"],
)
def test_behind_a_proxy_that_calls_us_otherwise_only_the_public_url_is_ours(origin: str) -> None:
    asked = request(origin=origin, host="api.internal:8000")
    with pytest.raises(Problem):
        check_origin(asked, "https://forms.example/signup", must_be_named=True)


def test_an_origin_of_another_site_is_not_mended_by_a_referer_of_ours() -> None:
    asked = request(origin="null", referer="http://a.example/", host="a.example")
    with pytest.raises(Problem):
        check_origin(asked, None, must_be_named=True)


@pytest.mark.parametrize(
    ("method", "headers", "ours"),
    [
        ("GET", {}, True),  # a browser too old to say
        ("GET", {"sec_fetch_site": "none"}, True),
        ("GET", {"sec_fetch_site": "same-origin"}, True),
        ("GET", {"sec_fetch_site": "same-site"}, False),
        ("GET", {"sec_fetch_site": "cross-site"}, False),
        ("GET", {"sec_fetch_site": "same-origin", "origin": "http://evil.example"}, False),
        ("GET", {"origin": "http://a.example"}, True),
        ("POST", {}, False),
        ("POST", {"sec_fetch_site": "same-origin"}, False),
        ("POST", {"origin": "http://a.example"}, True),
        ("POST", {"referer": "http://a.example/signup"}, True),
        ("POST", {"referer": "http://evil.example/signup"}, False),
        ("POST", {"origin": "null", "referer": "http://a.example/signup"}, False),
    ],
)
def test_a_cookie_counts_on_a_page_of_ours_alone(
    method: str,
    headers: dict[str, str],
    ours: bool,  # noqa: FBT001 - a table's column
) -> None:
    asked = request(method=method, host="a.example", **headers)
    assert is_our_page(asked, None) is ours


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/html, application/json", True),
        ("application/json;q=0.5, text/html;q=0.9", True),
        ("application/json, text/html", False),
        ("text/html;q=0.5, application/problem+json", False),
        ("text/html;q=0", False),
        ("text/html;q=x", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_a_page_is_for_who_names_html_before_json(accept: str, html: bool) -> None:  # noqa: FBT001 - a table's column
    assert prefers_html(request(accept=accept)) is html


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        ("", True),
        ("*/*", True),
        ("text/*", True),
        ("Text/Event-Stream; q=0.5", True),
        ("application/json, text/event-stream", True),
        ("application/json", False),
        ("application/*", False),
        ("text/event-stream;q=0, */*", False),  # the closest range says
        ("text/*;q=0, text/event-stream", True),
        ("*/*;q=0", False),
        ("text/event-stream;q=x", False),
    ],
)
def test_a_stream_is_for_who_accepts_its_type(accept: str, taken: bool) -> None:  # noqa: FBT001 - a table's column
    assert accepts(request(accept=accept), "text/event-stream") is taken


@pytest.mark.parametrize(
    ("scheme", "public_url", "secure"),
    [
        ("http", None, False),
        ("https", None, True),
        ("http", "https://forms.example", True),
        ("http", "http://127.0.0.1:8000", False),
    ],
)
def test_the_cookie_is_secure_wherever_the_page_is(
    scheme: str,
    public_url: str | None,
    secure: bool,  # noqa: FBT001 - a table's column
) -> None:
    services = cast("Services", SimpleNamespace(settings=SimpleNamespace(public_url=public_url)))
    answer = Response()
    session.start(answer, request(scheme, host="forms.example"), services, "lst_x")
    assert ("Secure" in answer.headers["set-cookie"]) is secure


@pytest.mark.parametrize(("below", "path"), [("", "/"), ("/apply", "/apply")])
async def test_the_cookie_goes_to_no_other_application_of_the_host(below: str, path: str) -> None:
    services = cast("Services", SimpleNamespace(settings=SimpleNamespace(public_url=None)))
    answer = Response()

    async def begin(scope: Scope, _receive: Receive, _send: Send) -> None:
        session.start(answer, Request(scope), services, "lst_x")

    app = BelowPath(begin, below, below, routes=[]) if below else begin
    await app(request(host="forms.example").scope, _nothing, _nowhere)
    assert f"Path={path};" in answer.headers["set-cookie"]


async def test_an_app_sees_no_cookie_but_those_it_knows() -> None:
    seen: list[str | None] = []

    async def look(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(Headers(scope=scope).get("cookie"))

    app = OnlyCookies(look, names=["ours", "other"])
    for sent in ("a=1; ours=2; b=3", "a=1", f"ours={'x' * (MAX_VALUE + 1)}; other=y"):
        await app(request(cookie=sent).scope, _nothing, _nowhere)
    await app(request().scope, _nothing, _nowhere)
    assert seen == ["ours=2", None, "ours=; other=y", None]


async def _nothing() -> Message:
    raise AssertionError("nobody asks")


async def _nowhere(_message: Message) -> None:
    raise AssertionError("nobody answers")
