"""What every endpoint has in common: problems, CORS, conditional and patient requests."""

import json
import time
import tomllib

import httpx
import pytest

from tests.support.client import FormClient, exchange, problem
from tests.support.files import png
from tests.support.stack import CHECKOUT, Stack

ORIGIN = {"Origin": "https://form.example"}


def test_the_status_can_be_polled_cheaply(form: FormClient) -> None:
    stored = form.stored("needed", png())
    path = f"/v1/uploads/{stored['id']}"
    answer = form.http.get(path)
    assert "retry-after" not in answer.headers
    etag = answer.headers["etag"]
    same = form.http.get(path, headers={"If-None-Match": etag})
    assert same.status_code == 304
    assert same.headers["etag"] == etag
    assert same.content == b""


def test_head_is_answered_like_get_without_the_content(form: FormClient) -> None:
    upload = form.stored("needed", png())
    for path in (form.path, f"/v1/uploads/{upload['id']}", "/v1/form-types", "/readyz"):
        head, get = form.http.head(path), form.http.get(path)
        assert head.status_code == 200
        assert head.content == b""
        assert head.headers["content-length"] == str(len(get.content))


def test_a_method_that_an_address_doesnt_know_is_told_the_ones_it_does(form: FormClient) -> None:
    answer = form.http.put(form.path)
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, PATCH, POST"


def test_a_patient_request_is_answered_when_something_changes(form: FormClient) -> None:
    upload = form.upload("needed", png())
    path = f"/v1/uploads/{upload['id']}"
    final = form.http.get(path, headers={"Prefer": "wait=15"})
    assert final.json()["status"] == "stored"
    assert final.headers["preference-applied"] == "wait=15"
    began = time.monotonic()
    same = form.http.get(path, headers={"Prefer": "wait=1", "If-None-Match": final.headers["etag"]})
    assert same.status_code == 304
    assert 0.9 < time.monotonic() - began < 5
    capped = form.http.get(path, headers={"Prefer": "wait=9999"})
    assert capped.headers["preference-applied"] == "wait=20"


def test_who_has_any_version_waits_for_none(form: FormClient) -> None:
    has_any = {"Prefer": "wait=20", "If-None-Match": "*"}
    sent = form.upload("needed", png())
    for path in (form.path, f"/v1/uploads/{sent['id']}"):
        answer = form.http.get(path, headers=has_any)
        assert answer.status_code == 304
        assert "preference-applied" not in answer.headers


def test_a_form_can_be_waited_for_too(form: FormClient) -> None:
    form.upload("needed", png())
    read = form.http.get(form.path, headers={"Prefer": "wait=15"}).json()
    assert read["uploads"]["needed"][0]["status"] == "stored"


def test_plain_json_is_given_to_who_asks_for_it(form: FormClient) -> None:
    answer = form.http.get("/v1/uploads/upl_none", headers={"Accept": "application/json"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"] == answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/internal/uploads/upl_x/claim", 404),
        ("POST", "/internal/uploads/upl_x/claim", 404),
        ("PATCH", "/internal/forms/frm_x", 404),
        ("DELETE", "/v1/form-types", 405),
        ("GET", "/v1/forms/%00", 401),
    ],
)
def test_every_error_is_a_problem_and_readable_across_origins(
    stack: Stack, method: str, path: str, status: int
) -> None:
    answer = httpx.request(method, stack.url + path, headers=ORIGIN, trust_env=False)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json()["code"]
    assert "access-control-allow-credentials" not in answer.headers


def test_a_browser_may_send_and_read_what_uploads_need(stack: Stack) -> None:
    answer = httpx.options(
        f"{stack.url}/v1/forms/x/fields/y/uploads/z",
        headers={
            **ORIGIN,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,prefer",
        },
        trust_env=False,
    )
    assert answer.status_code == 200
    assert "PUT" in answer.headers["access-control-allow-methods"]
    plain = httpx.get(f"{stack.url}/v1/form-types", headers=ORIGIN, trust_env=False)
    exposed = plain.headers["access-control-expose-headers"].lower()
    for name in ("location", "etag", "retry-after", "x-request-id"):
        assert name in exposed


def test_the_internal_listener_wants_its_secret(stack: Stack, form: FormClient) -> None:
    upload = form.stored("needed", png())
    path = f"{stack.info['internal_url']}/internal/uploads/{upload['id']}/claim"
    for headers in (
        {},
        {"Authorization": "Bearer nope"},
        {"Authorization": f"Bearer {form.token}"},
    ):
        answer = httpx.post(path, json={"claim_id": "c" * 10}, headers=headers, trust_env=False)
        problem(answer, 401, "unauthorized")


def test_it_says_whether_it_lives_and_whether_it_can_take_uploads(stack: Stack) -> None:
    assert httpx.get(f"{stack.url}/healthz", trust_env=False).json() == {
        "status": "ok",
        "version": tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"],
    }
    ready = httpx.get(f"{stack.url}/readyz", trust_env=False)
    assert ready.status_code == 200
    assert ready.json()["checks"] == {"database": True, "volume": True, "space": True}


def test_both_listeners_describe_themselves(stack: Stack) -> None:
    public = httpx.get(f"{stack.url}/openapi.json", trust_env=False).json()
    assert "/v1/forms/{form_id}/fields/{field}/uploads" in public["paths"]
    assert not any(path.startswith("/internal") for path in public["paths"])
    internal = httpx.get(f"{stack.info['internal_url']}/openapi.json", trust_env=False).json()
    assert "/internal/uploads/{upload_id}/claim" in internal["paths"]


@pytest.mark.parametrize(
    "head",
    [
        b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        b"".join(b"X-%d: y\r\n" % number for number in range(150)) + b"\r\n",
        b"X-Endless: " + b"x" * 5_000_000,
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"no colon\r\n\r\n",
    ],
)
def test_a_head_that_is_too_large_or_malformed_is_refused_at_once(
    stack: Stack, head: bytes
) -> None:
    answer = exchange(stack.url, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + head)
    status, _, rest = answer.partition(b"\r\n")
    assert status == b"HTTP/1.1 400 Bad Request", answer
    headers, _, body = rest.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in headers.lower()
    assert b"connection: close" in headers.lower()
    assert json.loads(body)["code"] == "bad-request"
    assert httpx.get(f"{stack.url}/healthz", trust_env=False).status_code == 200


def test_a_slash_too_many_is_no_redirect_to_another_host(stack: Stack) -> None:
    answer = httpx.get(f"{stack.url}/v1/forms/", headers={"Host": "evil"}, trust_env=False)
    problem(answer, 404, "not-found")
