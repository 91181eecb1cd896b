"""A plain HTML form of another site posts here, and its person is sent back there."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.support.client import exchange, problem
from tests.support.files import png
from tests.support.other_site import OtherSite
from tests.support.stack import Stack

pytestmark = pytest.mark.parametrize(
    "stack", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture
def back_end(stack: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack.info['service_key']}"}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


class Elsewhere:
    """A form of the application's own page, as its back end made it."""

    def __init__(self, stack: Stack, site: OtherSite, back_end: httpx.Client) -> None:
        self.done, self.wrong = f"{site.origin}/done?a=1", f"{site.origin}/again?step=2&code=old"
        answer = back_end.post(
            "/v1/forms",
            json={
                "type": "acceptance",
                "success_redirect": self.done,
                "error_redirect": self.wrong,
                "metadata": {"customer": 7, "tags": ["new", None]},
            },
        )
        assert answer.status_code == 201, answer.text
        self.created: dict[str, Any] = answer.json()
        self.path = f"/v1/forms/{self.created['id']}"
        self.token = str(self.created["token"])
        self.back_end = back_end
        self.browser = httpx.Client(
            base_url=stack.url,
            headers={"Accept": BROWSER, "Origin": site.origin},
            trust_env=False,
            timeout=60,
        )

    def post(self, data: dict[str, Any], **more: Any) -> httpx.Response:
        return self.browser.post(self.path, data={"token": self.token, **data}, **more)

    def told(self, answer: httpx.Response) -> dict[str, str]:
        """What the query of `error_redirect` says."""
        assert answer.status_code == 303, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert self.token not in answer.text + str(answer.headers)
        parts = urlsplit(answer.headers["location"])
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == self.wrong.partition("?")[0]
        pairs = parse_qsl(parts.query)
        assert pairs[0] == ("step", "2"), "its own query stays"
        return dict(pairs[1:])

    def read(self) -> dict[str, Any]:
        return dict(self.back_end.get(self.path).json())


@pytest.fixture
def elsewhere(stack: Stack, other_site: OtherSite, back_end: httpx.Client) -> Iterator[Elsewhere]:
    made = Elsewhere(stack, other_site, back_end)
    yield made
    made.browser.close()


@pytest.mark.parametrize("files", [False, True], ids=["urlencoded", "multipart"])
def test_what_is_posted_with_the_token_in_a_hidden_field_is_saved_and_leads_back(
    elsewhere: Elsewhere, *, files: bool
) -> None:
    sent: dict[str, Any] = {"files": {"needed": ("licence.png", png())}} if files else {}
    answer = elsewhere.post({"section": "only", "note": "typed"}, **sent)
    assert answer.status_code == 303
    assert answer.headers["location"] == elsewhere.done
    assert "set-cookie" not in answer.headers
    read = elsewhere.read()
    assert read["data"]["note"] == "typed"
    assert len(read["uploads"]["needed"]) == files
    assert read["metadata"] == {"customer": 7, "tags": ["new", None]}
    assert elsewhere.token not in str(read)


def test_the_token_in_the_header_leads_back_too(elsewhere: Elsewhere) -> None:
    bearer = {"Authorization": f"Bearer {elsewhere.token}"}
    answer = elsewhere.browser.post(elsewhere.path, data={"note": "typed"}, headers=bearer)
    assert (answer.status_code, answer.headers["location"]) == (303, elsewhere.done)


def test_a_form_is_filled_in_and_sent_in_one_post(elsewhere: Elsewhere) -> None:
    answer = elsewhere.post({"submit": "1"}, files={"needed": ("licence.png", png())})
    assert answer.headers["location"] == elsewhere.done
    read = elsewhere.read()
    assert (read["status"], read["complete"]) == ("submitted", True)
    assert elsewhere.told(elsewhere.post({"note": "late"})) == {"code": "form-submitted"}


def test_what_is_wrong_is_told_with_its_field_and_how_many_there_are(elsewhere: Elsewhere) -> None:
    too_long, too_large = {"note": "x" * 21}, {"tiny": ("a.png", b"x" * 3000)}
    assert elsewhere.told(elsewhere.post(too_long)) == {"code": "too-long", "field": "note"}
    assert elsewhere.told(elsewhere.post({}, files=too_large)) == {
        "code": "file-too-large",
        "field": "tiny",
    }
    assert elsewhere.told(elsewhere.post(too_long, files=too_large)) == {
        "code": "too-long",
        "field": "note",
        "errors": "2",
    }
    assert elsewhere.told(elsewhere.post({**too_long, "submit": "1"})) == {
        "code": "form-incomplete",
        "field": "note",
        "errors": "2",
    }


@pytest.mark.parametrize("files", [False, True], ids=["urlencoded", "multipart"])
def test_a_name_that_is_no_field_is_not_repeated_in_the_address(
    elsewhere: Elsewhere, *, files: bool
) -> None:
    sent: dict[str, Any] = {"files": {"needed": ("licence.png", png())}} if files else {}
    answer = elsewhere.post({elsewhere.token: "x"}, **sent)
    assert elsewhere.told(answer) == {"code": "unknown-field"}


def test_a_script_gets_json_for_good_and_bad(elsewhere: Elsewhere) -> None:
    asked = {"Accept": "application/json"}
    assert elsewhere.post({"note": "typed"}, headers=asked).json()["data"] == {"note": "typed"}
    answer = elsewhere.post({"submit": "1"}, headers=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "form-incomplete")


@pytest.mark.parametrize("token", [None, "", "lst_nobody", "another form's", "too long"])
@pytest.mark.parametrize("files", [False, True], ids=["urlencoded", "multipart"])
def test_who_shows_no_token_of_the_form_is_sent_nowhere(
    elsewhere: Elsewhere, stack: Stack, token: str | None, *, files: bool
) -> None:
    data = {"note": "typed"} if token is None else {"token": token, "note": "typed"}
    if token == "another form's":
        other = elsewhere.back_end.post("/v1/forms", json={"type": "acceptance"}).json()
        data["token"] = other["token"]
    elif token == "too long":
        data["token"] = "x" * 100_000
    before = set(stack.staged_files())
    sent: dict[str, Any] = {"files": {"needed": ("licence.png", png())}} if files else {}
    answer = elsewhere.browser.post(elsewhere.path, data=data, **sent)
    status, code = (404, "not-found") if token == "another form's" else (401, "unauthorized")
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert f"Code: {code}" in answer.text
    assert data.get("token", "none") not in answer.text or not token
    assert "location" not in answer.headers
    assert elsewhere.read()["data"] == {}
    assert set(stack.staged_files()) <= before


def test_a_token_behind_a_file_comes_too_late_and_no_byte_of_the_file_is_kept(
    elsewhere: Elsewhere, stack: Stack
) -> None:
    head = (
        f"POST {elsewhere.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 90000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="needed"; filename="a"\r\n\r\n'
    )
    before = set(stack.staged_files())
    answer = exchange(stack.url, head.encode() + b"x" * 70_000)
    assert answer.startswith(b"HTTP/1.1 401")
    assert set(stack.staged_files()) <= before


def test_only_forms_with_an_address_to_go_back_to_take_a_hidden_token(
    elsewhere: Elsewhere, stack: Stack
) -> None:
    other = elsewhere.back_end.post("/v1/forms", json={"type": "acceptance"}).json()
    answer = httpx.post(
        f"{stack.url}/v1/forms/{other['id']}",
        data={"token": other["token"], "note": "typed"},
        headers={"Origin": "https://other.example"},
    )
    problem(answer, 403, "foreign-origin")


def test_where_one_address_is_given_it_is_for_both(
    back_end: httpx.Client, other_site: OtherSite
) -> None:
    for name in ("success_redirect", "error_redirect"):
        body = {"type": "acceptance", name: f"{other_site.origin}/here"}
        made = back_end.post("/v1/forms", json=body).json()
        for note, location in (("x", "/here"), ("x" * 21, "/here?code=too-long&field=note")):
            answer = httpx.post(
                back_end.base_url.join(f"/v1/forms/{made['id']}"),
                data={"token": made["token"], "note": note},
            )
            assert answer.headers["location"] == other_site.origin + location


@pytest.mark.parametrize(
    "address",
    [
        "https://elsewhere.example/",
        "{origin}.elsewhere.example/",
        "{origin}@elsewhere.example/",
        "{origin}:1@elsewhere.example/",
        "https://user:secret@{host}/",
        "{origin}/#fragment",
        "{origin}\\@elsewhere.example/",
        "//{host}/done",
        "/done",
        "javascript:alert(1)//{host}",
        "https://{host}/",
        "ftp://{host}/",
        "http:/{host}/",
        "http:///{host}/",
        " {origin}/",
        "{origin}/\r\nSet-Cookie: a=b",
        "{origin}/done\tx",
        "http://localhost/",
        "http://löcalhost/",
        "",
        7,
        ["{origin}/"],
    ],
)
def test_an_address_that_no_setting_allows_is_refused(
    back_end: httpx.Client, other_site: OtherSite, address: object
) -> None:
    if isinstance(address, str):
        host = other_site.origin.removeprefix("http://")
        address = address.format(origin=other_site.origin, host=host)
    for name in ("success_redirect", "error_redirect"):
        answer = back_end.post("/v1/forms", json={"type": "acceptance", name: address})
        (error,) = problem(answer, 422, "invalid-request")["errors"]
        assert error["pointer"] == f"/{name}"


def test_only_a_service_key_gives_addresses_and_metadata(
    stack: Stack, other_site: OtherSite
) -> None:
    for given in (
        {"success_redirect": f"{other_site.origin}/"},
        {"error_redirect": f"{other_site.origin}/"},
        {"metadata": {"a": 1}},
    ):
        answer = httpx.post(f"{stack.url}/v1/forms", json={"type": "acceptance", **given})
        problem(answer, 401, "unauthorized")
        assert next(iter(given)) in answer.json()["detail"]
    nothing = dict.fromkeys(("success_redirect", "error_redirect", "metadata"))
    answer = httpx.post(f"{stack.url}/v1/forms", json={"type": "acceptance", **nothing})
    assert answer.status_code == 201


@pytest.mark.parametrize("metadata", [{"a": [1, 2.5, "ü\0", None]}, [], "text", 0, False])
def test_metadata_is_any_json_up_to_four_kibibytes(
    back_end: httpx.Client, metadata: object
) -> None:
    def create(value: object) -> httpx.Response:
        return back_end.post("/v1/forms", json={"type": "acceptance", "metadata": value})

    created = create(metadata)
    assert created.json()["metadata"] == metadata
    assert back_end.get(created.headers["location"]).json()["metadata"] == metadata
    assert create("x" * 4094).status_code == 201
    problem(create("x" * 4095), 422, "invalid-request")
    problem(create("é" * 2048), 422, "invalid-request")


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9007199254740993", "1" * 400])
def test_metadata_that_would_come_back_as_something_else_is_refused(
    back_end: httpx.Client, number: str
) -> None:
    body = f'{{"type": "acceptance", "metadata": {{"deep": [{number}]}}}}'
    json_type = {"Content-Type": "application/json"}
    answer = back_end.post("/v1/forms", content=body, headers=json_type)
    problem(answer, 422, "invalid-request")
    assert answer.json()["errors"][0]["pointer"] == "/metadata"
