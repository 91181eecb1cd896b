"""An api below a path, behind the shipped rules of the proxy: with the path passed on as it came,
and with rules that take it off."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.api_process import ApiProcess
from tests.support.files import png
from tests.support.proxy import FIRST, TO_THE_API, Names, run_proxy

TAKEN_OFF = "location /apply/ { set $api api; rewrite ^/apply(/.*)$ $1 break;"
PUBLIC_URL = "https://forms.example/apply"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with ApiProcess(tmp_path_factory.mktemp("api"), public_url=f"{PUBLIC_URL}/") as running:
        yield running


@pytest.fixture(params=[TO_THE_API, TAKEN_OFF], ids=["as it came", "taken off"])
def client(
    request: pytest.FixtureRequest, tmp_path: Path, api: ApiProcess
) -> Iterator[httpx.Client]:
    names = Names(FIRST)
    with (
        run_proxy(tmp_path, names, api.port, request.param) as proxy,
        httpx.Client(base_url=proxy.url, trust_env=False, timeout=30) as asking,
    ):
        asking.headers["Host"] = "forms.example"
        yield asking
    names.close()


def test_every_address_in_an_answer_is_below_the_path(client: httpx.Client) -> None:
    created = client.post("/apply/v1/forms", json={"type": "therapist_signup"})
    form = created.json()
    assert created.headers["location"] == f"/apply/v1/forms/{form['id']}"
    client.headers["Authorization"] = f"Bearer {form['token']}"
    uploads = f"{created.headers['location']}/fields/headshot/uploads"
    for answer in (
        client.post(uploads, files={"file": ("a.png", png(), "image/png")}),
        client.put(f"{uploads}/key", content=png()),
    ):
        assert answer.status_code == 202
        upload = answer.json()
        assert answer.headers["location"] == f"/apply/v1/uploads/{upload['id']}"
        assert upload["url"] == f"{PUBLIC_URL}/v1/uploads/{upload['id']}"
        assert client.get(answer.headers["location"]).status_code == 200
    (link,) = client.get("/apply/v1/form-types").json()["form_types"][:1]
    assert link["url"].startswith(f"{PUBLIC_URL}/v1/form-types/")


def test_the_pages_lead_to_pages_below_the_path(client: httpx.Client) -> None:
    client.headers["Accept"] = "text/html"
    begun = client.post("/apply/", data={"section": "about", "full_name": "Ann"})
    assert begun.status_code == 303
    cookie = begun.headers["set-cookie"]
    assert re.search(r"; Path=/apply(;|$)", cookie)
    client.cookies.clear()  # by hand: to the client the host is another
    client.headers["Cookie"] = cookie.partition(";")[0]
    client.headers["Origin"] = "https://forms.example"
    pages = [
        client.get(path)
        for path in (
            "/apply/",
            begun.headers["location"],
            "/apply/signup/check-answers",
            "/apply/signup/thank-you",
            "/apply/signup/nowhere",
        )
    ]
    assert [page.status_code for page in pages] == [200, 200, 200, 200, 404]
    for page in pages:
        found = re.findall(r'(?:href|src|action)="([^"#]+)', page.text)
        ours = [each for each in found if not each.startswith("data:")]
        assert ours
        assert [each for each in ours if not each.startswith("/apply/")] == []
    assert client.get("/apply/static/pages.css").status_code == 200
    over = client.post("/apply/signup/start-over")
    assert (over.status_code, over.headers["location"]) == (303, "/apply/")
    assert "; Path=/apply;" in over.headers["set-cookie"] + ";"


def test_the_docs_and_the_description_are_below_the_path(client: httpx.Client) -> None:
    page = client.get("/apply/docs")
    assert page.status_code == 200
    for relative in re.findall(r'(?:href|src)="(\w[^":]+)"', page.text):
        assert client.get(f"/apply/{relative}").status_code == 200, relative
    assert client.get("/apply/openapi.json").json()["servers"] == [{"url": "/apply"}]


def test_a_cookie_of_an_installation_above_is_not_taken(client: httpx.Client) -> None:
    begun = client.post("/apply/", data={"section": "about", "full_name": "Ann"})
    token = begun.headers["set-cookie"].partition(";")[0].partition("=")[2]
    client.cookies.clear()
    of_above = {"Cookie": f"longshore_form={token}", "Accept": "text/html"}
    assert client.get("/apply/signup/about", headers=of_above).status_code == 401


def test_health_checks_need_no_path(api: ApiProcess) -> None:
    for path in ("/healthz", "/apply/healthz"):
        assert httpx.get(f"{api.url}{path}", trust_env=False).status_code == 200
    assert httpx.get(f"{api.url}/applyx/healthz", trust_env=False).status_code == 404


def test_without_a_path_nothing_is_added(tmp_path: Path) -> None:
    with ApiProcess(tmp_path, public_url="https://forms.example/") as plain:
        created = httpx.post(
            f"{plain.url}/v1/forms", json={"type": "therapist_signup"}, trust_env=False
        )
        assert created.headers["location"] == f"/v1/forms/{created.json()['id']}"
        begun = httpx.post(plain.url, data={"section": "about"}, trust_env=False)
        assert re.match(r"longshore_form=.*; Path=/(;|$)", begun.headers["set-cookie"])
        described = httpx.get(f"{plain.url}/openapi.json", trust_env=False).json()
        assert "servers" not in described
