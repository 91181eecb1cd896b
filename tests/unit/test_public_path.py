"""A public address with a path: what may stand in it, and which requests are below it."""

import pytest
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Message, Receive, Scope, Send

from api.http.public_path import BelowPath, public_path
from api.settings.public_url import PublicUrl, path_of

ADDRESS: TypeAdapter[str] = TypeAdapter(PublicUrl)


async def _nothing(_: object) -> Response:
    return PlainTextResponse()


ROUTES = [
    Route("/", _nothing),
    Route("/healthz", _nothing),
    Route("/signup/{section}", _nothing),
    Route("/v1/forms", _nothing),
    Route("/v1/keys/{key}", _nothing),
    Mount("/static", PlainTextResponse()),
]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Forms.Example", "https://forms.example"),
        ("https://forms.example/", "https://forms.example"),
        ("HTTPS://forms.example/apply/", "https://forms.example/apply"),
        ("https://forms.example:8443/a/b", "https://forms.example:8443/a/b"),
        ("https://forms.example/%61pply", "https://forms.example/apply"),
        ("https://forms.example/bewerbüng", "https://forms.example/bewerb%C3%BCng"),
        ("https://forms.example/bewerb%c3%bcng", "https://forms.example/bewerb%C3%BCng"),
        ("https://forms.example/signup", "https://forms.example/signup"),
        ("http://[::1]:8000/apply", "http://[::1]:8000/apply"),
    ],
)
def test_a_public_address_is_kept_in_one_form(given: str, kept: str) -> None:
    assert ADDRESS.validate_python(given) == kept


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/apply?a=b", "query or a fragment"),
        ("/apply?", "query or a fragment"),
        ("/apply#top", "query or a fragment"),
        ("/a/../b", "`..`"),
        ("/a/./b", "`..`"),
        ("/%2e%2E/b", "`..`"),
        ("/a//b", "empty segment"),
        ("//a", "empty segment"),
        ("/a%2fb", "letters, digits"),
        ("/a;b", "letters, digits"),
        ("/%zz", "letters, digits"),
        ("/%ff", "UTF-8"),
        ("/a b", "a space"),
        ("/a\\b", "a backslash"),
        ("/a\nb", "control character"),
        ("/v1", "the service's own"),
        ("/static/x", "the service's own"),
        ("/docs", "the service's own"),
        ("/signup/about", "the service's own"),
    ],
)
def test_a_path_that_could_not_be_served_is_refused(path: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ADDRESS.validate_python(f"https://forms.example{path}")


@pytest.mark.parametrize("host", ["user:secret@forms.example", "förms.example"])
def test_a_host_that_no_browser_names_so_is_refused(host: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ADDRESS.validate_python(f"https://{host}/apply")
    assert "secret" not in refused.value.errors()[0]["msg"]


async def seen(
    public_url: str, path: str, raw: bytes, location: str = "/v1/forms"
) -> tuple[str, bytes, str, str]:
    """What an app below that address is asked for, its own prefix, and the `Location` that its
    answer has."""
    asked: list[tuple[str, bytes, str]] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        own = Response(headers={"Location": location})
        asked.append((scope["path"], scope["raw_path"], public_path(Request(scope))))
        await own(scope, receive, send)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    decoded, public = path_of(public_url)
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": raw, "headers": []}
    await BelowPath(app, decoded, public, ROUTES)(scope, receive, send)
    assert (scope["path"], scope["raw_path"]) == (path, raw)
    return *asked[0], dict(sent[0]["headers"])[b"location"].decode()


@pytest.mark.parametrize(
    ("below", "path", "raw", "inner", "inner_raw"),
    [
        ("apply", "/apply", b"/apply", "/", b"/"),
        ("apply", "/apply/", b"/apply/", "/", b"/"),
        ("apply", "/apply/v1/forms", b"/apply/v1/forms", "/v1/forms", b"/v1/forms"),
        ("apply", "/v1/forms", b"/v1/forms", "/v1/forms", b"/v1/forms"),
        ("apply", "/healthz", b"/healthz", "/healthz", b"/healthz"),
        ("apply", "/applyx", b"/applyx", "/applyx", b"/applyx"),
        ("apply", "/applyx/v1/forms", b"/applyx/v1/forms", "/applyx/v1/forms", None),
        ("apply", "/Apply/v1/forms", b"/Apply/v1/forms", "/Apply/v1/forms", None),
        ("apply", "//apply/v1/forms", b"//apply/v1/forms", "//apply/v1/forms", None),
        ("apply", "/apply//v1/forms", b"/apply//v1/forms", "/apply//v1/forms", None),
        ("apply", "/apply/apply/", b"/apply/apply/", "/apply/apply/", None),
        ("apply", "/apply/v1/forms", b"/%61ppl%79%2Fv1%2fforms", "/v1/forms", b"%2Fv1%2fforms"),
        ("apply", "/apply/v1/keys/ä", b"/apply/v1/keys/%C3%a4", "/v1/keys/ä", b"/v1/keys/%C3%a4"),
        ("ä/b", "/ä/b/healthz", b"/%c3%A4/b/healthz", "/healthz", b"/healthz"),
        ("signup", "/signup/about", b"/signup/about", "/signup/about", None),
        ("signup", "/signup/signup/about", b"/signup/signup/about", "/signup/about", None),
        ("signup", "/signup/", b"/signup/", "/", b"/"),
        ("apply", "/apply/static/x.css", b"/apply/static/x.css", "/static/x.css", None),
    ],
)
async def test_the_path_is_taken_off_where_it_is_there(
    below: str, path: str, raw: bytes, inner: str, inner_raw: bytes | None
) -> None:
    public_url = ADDRESS.validate_python(f"https://forms.example/{below}")
    asked, asked_raw, prefix, location = await seen(public_url, path, raw)
    assert asked == inner
    assert inner_raw is None or asked_raw == inner_raw
    assert f"https://forms.example{prefix}" == public_url
    assert location == f"{prefix}/v1/forms", "whichever way it was asked"


@pytest.mark.parametrize("location", ["https://store.example/a", "//store.example/a", "a"])
async def test_what_leads_elsewhere_is_left_as_it_is(location: str) -> None:
    led = await seen("https://forms.example/apply", "/apply/v1", b"/apply/v1", location)
    assert led[-1] == location
