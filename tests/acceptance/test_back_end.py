"""The application's back end: service keys, listing, and acting for any form."""

import httpx
import pytest

from tests.support.client import FormClient, problem
from tests.support.files import png
from tests.support.stack import Stack


@pytest.fixture
def back_end(stack: Stack) -> httpx.Client:
    headers = {"Authorization": f"Bearer {stack.info['service_key']}"}
    return httpx.Client(base_url=stack.url, headers=headers, timeout=60, trust_env=False)


def _submitted(stack: Stack, reference: str) -> FormClient:
    client = FormClient(stack.url, "acceptance", reference=reference)
    client.stored("needed", png())
    assert client.http.post(f"{client.path}/submit").status_code == 200
    return client


def test_submitted_forms_are_read_page_by_page_by_reference(
    stack: Stack, back_end: httpx.Client
) -> None:
    made = [_submitted(stack, "page-test") for _ in range(3)]
    FormClient(stack.url, "acceptance", reference="page-test")  # a draft
    query = {"type": "acceptance", "status": "submitted", "reference": "page-test", "limit": "2"}
    first = back_end.get("/v1/forms", params=query).json()
    assert [form["id"] for form in first["forms"]] == [made[0].id, made[1].id]
    later = _submitted(stack, "page-test")
    second = back_end.get("/v1/forms", params={**query, "after": first["next"]}).json()
    assert [form["id"] for form in second["forms"]] == [made[2].id, later.id]
    assert second["next"] is None
    assert second["forms"][0]["data"]["needed"].startswith("http")
    everything = back_end.get("/v1/forms", params={"reference": "page-test"}).json()
    assert len(everything["forms"]) == 5


def test_a_back_end_reads_downloads_and_deletes_any_form(
    stack: Stack, back_end: httpx.Client
) -> None:
    client = _submitted(stack, "any-form")
    form = back_end.get(client.path).json()
    (upload,) = form["uploads"]["needed"]
    assert "token" not in form
    assert back_end.get(f"/v1/uploads/{upload['id']}").json()["status"] == "stored"
    content = back_end.get(f"/v1/uploads/{upload['id']}/content", follow_redirects=False)
    assert httpx.get(content.headers["location"], trust_env=False).status_code == 200
    assert back_end.delete(f"/v1/uploads/{upload['id']}").status_code == 204
    assert back_end.delete(client.path).status_code == 204
    problem(back_end.get(client.path), 404, "not-found")
    problem(back_end.get(f"/v1/uploads/{upload['id']}"), 404, "not-found")


def test_a_back_end_creates_a_form_and_hands_the_browser_its_token(
    stack: Stack, back_end: httpx.Client
) -> None:
    body = {"type": "acceptance", "reference": "customer-7", "data": {"note": "hi"}}
    created = back_end.post("/v1/forms", json=body)
    assert created.status_code == 201
    browser = {"Authorization": f"Bearer {created.json()['token']}"}
    read = httpx.get(
        f"{stack.url}/v1/forms/{created.json()['id']}", headers=browser, trust_env=False
    )
    assert read.json()["reference"] == "customer-7"


def test_listing_is_for_service_keys_alone(form: FormClient, stack: Stack) -> None:
    problem(form.http.get("/v1/forms"), 401, "unauthorized")
    nobody = problem(httpx.get(f"{stack.url}/v1/forms", trust_env=False), 401, "unauthorized")
    assert nobody["detail"].startswith("Only a service key opens this")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "status=purging", "after=%00", "after=YWJj"]
)
def test_a_wrong_filter_is_refused(back_end: httpx.Client, query: str) -> None:
    body = problem(back_end.get(f"/v1/forms?{query}"), 422, "invalid-request")
    name = query.partition("=")[0]
    assert [error["pointer"] for error in body["errors"]] == [f"/{name}"]
    assert "field" not in {*body, *body["errors"][0]}, "a parameter is no field"


def test_no_key_is_ever_logged(stack: Stack, back_end: httpx.Client) -> None:
    back_end.get("/v1/forms")
    key = stack.info["service_key"]
    assert key not in stack.logs("api") + stack.logs("worker") + stack.said()
