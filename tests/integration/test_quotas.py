"""What one form and one client may take up, at a real process."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.api_process import ApiProcess
from tests.support.client import FormClient, exchange, problem

MAX_BYTES, MAX_UPLOADS, MAX_TEXT, MAX_DRAFTS = 50_000, 6, 2_000, 40


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    settings = {
        "max_form_bytes": MAX_BYTES,
        "max_form_uploads": MAX_UPLOADS,
        "max_form_text_bytes": MAX_TEXT,
        "draft_keep_seconds": 86_400,
    }
    with ApiProcess(tmp_path_factory.mktemp("quotas"), **settings) as running:
        yield running


@pytest.fixture
def client(api: ApiProcess) -> FormClient:
    return FormClient(api.url, "acceptance")


def test_more_bytes_than_a_form_may_hold_are_refused_before_the_body(
    api: ApiProcess, client: FormClient
) -> None:
    assert client.send("needed", b"x" * 30_000).status_code == 202
    answer = exchange(
        api.url,
        f"PUT {client.path}/fields/pair/uploads/k HTTP/1.1\r\nHost: {urlsplit(api.url).netloc}\r\n"
        f"Authorization: Bearer {client.token}\r\nContent-Length: 30000\r\n"
        "Expect: 100-continue\r\n\r\n".encode(),
        seconds=5,
    )
    assert answer.startswith(b"HTTP/1.1 413 "), "and no 100 Continue"
    assert b'"form-full"' in answer
    refused = problem(client.send("pair", b"x" * 30_000), 413, "form-full")
    assert refused["params"] == {"max_bytes": MAX_BYTES, "max_size": "50 KB"}
    assert client.send("pair", b"x" * 15_000).status_code == 202, "what fits is taken"


def test_more_bytes_than_a_form_may_hold_are_refused_though_their_length_is_not_declared(
    api: ApiProcess, client: FormClient
) -> None:
    before = api.files()
    first = client.upload("needed", b"x" * 30_000)
    answer = client.http.put(
        f"{client.path}/fields/pair/uploads/k", content=iter([b"x" * 15_000, b"x" * 15_000])
    )
    problem(answer, 413, "form-full")
    assert api.files() == sorted([*before, first["id"]]), "nothing of it stays"


def test_what_was_removed_makes_room(client: FormClient) -> None:
    first = client.upload("needed", b"x" * 40_000)
    problem(client.send("needed", b"y" * 40_000), 413, "form-full")
    assert client.http.delete(f"/v1/uploads/{first['id']}").status_code == 204
    assert client.send("needed", b"y" * 40_000).status_code == 202


def test_more_uploads_than_a_form_may_have_are_refused_and_a_known_key_is_answered(
    client: FormClient,
) -> None:
    for number in range(MAX_UPLOADS):
        assert client.put("needed", f"key-{number}", b"x" * 10).status_code == 202
    refused = problem(client.put("needed", "another", b"x" * 10), 413, "form-full")
    assert refused["params"] == {"max_uploads": MAX_UPLOADS}
    assert client.put("needed", "key-0", b"x" * 10).status_code == 202


def test_a_section_of_a_full_form_is_saved_but_for_its_file(client: FormClient) -> None:
    client.upload("needed", b"x" * 40_000)
    answer = client.http.patch(
        client.path,
        data={"note": "still saved"},
        files={"pair": ("a.png", b"y" * 40_000, "image/png")},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == {"note": "still saved"}
    assert [(each["field"], each["code"]) for each in answer.json()["problems"]] == [
        ("pair", "form-full")
    ]
    assert answer.json()["uploads"]["pair"] == []


def test_refused_files_of_sections_are_uploads_too_and_count(client: FormClient) -> None:
    too_large = ("a.png", b"y" * 3_000, "image/png")
    answers = [
        client.http.patch(client.path, files={"tiny": too_large}) for _ in range(MAX_UPLOADS + 3)
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert len(answers[-1].json()["uploads"]["tiny"]) == MAX_UPLOADS
    assert answers[-1].json()["problems"][0]["code"] == "form-full"


def test_a_page_says_what_to_do_about_a_full_form(client: FormClient) -> None:
    client.upload("needed", b"x" * 40_000)
    answer = client.http.post(
        f"{client.path}/fields/pair/uploads",
        files={"file": ("a.png", b"y" * 40_000, "image/png")},
        headers={"Accept": "text/html"},
    )
    assert answer.status_code == 413
    assert "remove files you no longer need" in answer.text


def test_more_text_than_a_form_may_have_is_refused(api: ApiProcess, client: FormClient) -> None:
    long = {"note": "x" * MAX_TEXT}
    problem(client.http.patch(client.path, json=long), 413, "form-full")
    assert client.read()["data"] == {}
    new = {"type": "acceptance", "data": long}
    problem(httpx.post(f"{api.url}/v1/forms", json=new, trust_env=False), 413, "form-full")


def test_texts_that_are_too_long_together_lose_no_file_beside_them(client: FormClient) -> None:
    answer = client.http.patch(
        client.path,
        data={"note": "x" * MAX_TEXT},
        files={"needed": ("a.png", b"x" * 10, "image/png")},
    )
    assert answer.status_code == 202, answer.text
    assert [(each["field"], each["code"]) for each in answer.json()["problems"]] == [
        ("note", "form-too-long")
    ]
    assert answer.json()["data"] == {}
    assert len(answer.json()["uploads"]["needed"]) == 1


def test_a_credential_that_is_none_of_ours_begins_a_draft_like_anybody(api: ApiProcess) -> None:
    for credential in ("Basic dTpw", "Bearer", "Bearer nobody's", "Digest x=1"):
        headers = {"Authorization": credential}
        new = {"type": "acceptance"}
        answer = httpx.post(f"{api.url}/v1/forms", json=new, headers=headers, trust_env=False)
        assert answer.status_code == 201, credential


def test_a_form_says_when_it_expires_and_each_edit_moves_that(client: FormClient) -> None:
    first = _moment(client.created["expires_at"])
    assert timedelta(hours=23) < first - datetime.now(UTC) < timedelta(hours=25)
    time.sleep(0.02)
    client.http.patch(client.path, json={"note": "an edit"}).raise_for_status()
    second = _moment(client.read()["expires_at"])
    time.sleep(0.02)
    client.upload("needed", b"x" * 10)
    assert first < second < _moment(client.read()["expires_at"])


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[ApiProcess]:
    settings = {"max_drafts_per_hour": MAX_DRAFTS, "api_keys": "app:secret-of-the-application"}
    with ApiProcess(tmp_path, **settings) as running:
        yield running


def test_a_client_that_begins_too_many_drafts_is_told_when_to_come_back(
    strict: ApiProcess,
) -> None:
    new = {"type": "therapist_signup"}
    with httpx.Client(base_url=strict.url, trust_env=False) as http:
        for _ in range(MAX_DRAFTS):
            assert http.post("/v1/forms", json=new).status_code == 201
        refused = http.post("/v1/forms", json=new)
        assert problem(refused, 429, "too-many-forms")["retryable"]
        assert 3300 <= int(refused.headers["retry-after"]) <= 3600
        begun = {"section": "about", "full_name": "Ada"}
        page = http.post("/", data=begun, headers={"Accept": "text/html"})
        assert page.status_code == 429
        assert "Try again in an hour" in page.text
        key = {"Authorization": "Bearer secret-of-the-application"}
        assert http.post("/v1/forms", json=new, headers=key).status_code == 201


def test_behind_a_trusted_proxy_each_client_has_a_quota_of_its_own_by_default(
    tmp_path: Path,
) -> None:
    with (
        ApiProcess(tmp_path, trusted_proxies="127.0.0.1") as api,
        httpx.Client(base_url=api.url, trust_env=False) as http,
    ):

        def begin(forwarded: str) -> int:
            headers = {"X-Forwarded-For": forwarded} if forwarded else {}
            return http.post("/v1/forms", json={"type": "acceptance"}, headers=headers).status_code

        answers = [begin(f"198.51.100.{number}, 203.0.113.9") for number in range(62)]
        assert answers == [201] * 60 + [429] * 2, "whatever the client says of itself"
        assert begin("203.0.113.10") == 201
        assert {begin("") for _ in range(70)} == {201}, "whom the proxy doesn't name"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
