"""A form's changes as they happen, for a client that follows them."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.support.client import FormClient, problem
from tests.support.events import Event, following
from tests.support.files import png
from tests.support.stack import Stack

API = Path(__file__).parents[2] / "docs/api.md"
PAGE = {"Sec-Fetch-Site": "same-origin"}


def test_each_step_of_an_upload_is_told_as_its_own_address_answers_it(signup: FormClient) -> None:
    with following(signup.http, signup.path) as stream:
        first = stream.next()
        assert first
        assert first.brief == ("form", "draft")
        assert first.data == {"version": 1, "status": "draft", "complete": False, "edit": 1}
        assert stream.retry_ms
        assert 1000 <= stream.retry_ms <= 3000
        sent = signup.upload("headshot", png(800, 600))
        steps = stream.until("upload", "stored")
    assert {each.data["id"] for each in steps} == {sent["id"]}
    ids = [each.id for each in steps]
    assert ids == sorted(set(ids), key=lambda each: each or 0)
    now = signup.http.get(f"/v1/uploads/{sent['id']}")
    assert steps[-1].data == now.json()
    assert f'"{steps[-1].id}"' == now.headers["etag"]


def test_who_comes_back_is_told_what_changed_meanwhile_and_nothing_else(form: FormClient) -> None:
    one = form.stored("needed", png(60, 60))
    with following(form.http, form.path) as stream:
        known = [stream.next(), stream.next()]
    assert [each and each.brief for each in known] == [("upload", "stored"), ("form", "draft")]
    other = form.stored("pair", png(61, 60))
    form.http.delete(f"/v1/uploads/{one['id']}")
    with following(form.http, form.path, last_id=stream.last_id) as again:
        missed = again.until("form", "draft")
    assert [(each.data.get("id"), each.brief[1]) for each in missed[:-1]] == [
        (other["id"], "stored"),
        (one["id"], "removed"),
    ]


@pytest.mark.parametrize("last", ["99999", "-1", "x", "4.5", "9" * 40])
def test_who_says_what_can_not_be_is_told_all_there_is(form: FormClient, last: str) -> None:
    sent = form.stored("needed", png(60, 60))
    with following(form.http, form.path, last_id=last) as stream:
        first = stream.next()
    assert first
    assert first.data["id"] == sent["id"]


def test_the_form_is_told_when_the_person_edits_it_and_when_it_becomes_complete(
    form: FormClient,
) -> None:
    with following(form.http, form.path) as stream:
        stream.next()
        form.http.patch(form.path, json={"note": "edited"})
        edited = stream.next()
        assert edited == Event(
            "form", 2, {"version": 2, "status": "draft", "complete": False, "edit": 2}
        )
        form.upload("needed", png(60, 60))
        told = stream.until("upload", "stored")
        last = stream.next()
        assert last
        assert (last.name, last.data["complete"], last.id) == ("form", True, told[-1].id)


def test_a_submitted_form_is_followed_until_nothing_is_pending(form: FormClient) -> None:
    form.stored("needed", png(60, 60))
    with following(form.http, form.path) as stream:
        stream.until("form", "draft")
        assert form.http.post(f"{form.path}/submit").status_code == 200
        told = stream.rest()
    assert [each.brief for each in told] == [("form", "submitted"), ("end", "settled")]
    assert told[-1].id is None
    with following(form.http, form.path) as again:
        assert [each.brief for each in again.rest()] == [
            ("upload", "stored"),
            ("form", "submitted"),
            ("end", "settled"),
        ]
    known = {"Last-Event-ID": str(stream.last_id)}
    nothing = form.http.get(f"{form.path}/events", headers=known)
    assert (nothing.status_code, nothing.content) == (204, b"")


def test_a_purge_ends_the_stream_and_says_so(form: FormClient) -> None:
    with following(form.http, form.path) as stream:
        stream.next()
        assert form.http.delete(form.path).status_code == 204
        assert [each.brief for each in stream.rest()] == [("end", "purged")]
    assert form.http.get(f"{form.path}/events").status_code in (401, 404)


def test_only_who_may_read_the_form_may_follow_it(form: FormClient, stack: Stack) -> None:
    nobody = httpx.Client(base_url=stack.url, trust_env=False)
    problem(nobody.get(f"{form.path}/events"), 401, "unauthorized")
    other = FormClient(stack.url, "acceptance")
    problem(other.http.get(f"{form.path}/events"), 404, "not-found")
    nobody.headers["Authorization"] = f"Bearer {stack.info['service_key']}"
    with following(nobody, form.path) as stream:
        assert stream.next()


def test_the_pages_of_our_own_may_follow_by_their_cookie(form: FormClient, stack: Stack) -> None:
    browser = httpx.Client(
        base_url=stack.url, trust_env=False, cookies={"longshore_form": form.token}
    )
    with following(browser, form.path, headers=PAGE) as stream:
        assert stream.next()
    for site in ("same-site", "cross-site"):
        asked = browser.get(f"{form.path}/events", headers={"Sec-Fetch-Site": site})
        problem(asked, 401, "unauthorized")
    other = FormClient(stack.url, "acceptance")
    problem(browser.get(f"{other.path}/events", headers=PAGE), 404, "not-found")


def test_a_head_is_answered_at_once_and_has_the_stream_s_headers(form: FormClient) -> None:
    answer = form.http.head(f"{form.path}/events")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/event-stream", 200),
        ("text/html, */*;q=0.8", 200),
        ("text/*", 200),
        ("application/json", 406),
        ("*/*, text/event-stream;q=0", 406),
    ],
)
def test_who_accepts_no_events_is_told_so(form: FormClient, accept: str, status: int) -> None:
    answer = form.http.head(f"{form.path}/events", headers={"Accept": accept})
    assert answer.status_code == status


def test_another_origin_s_page_may_read_events_with_its_token(form: FormClient) -> None:
    page = {"Origin": "https://shop.example"}
    with following(form.http, form.path, headers=page) as stream:
        assert stream.answer.headers["access-control-allow-origin"] == "*"


def test_the_documents_example_follows_a_form_to_its_end(
    form: FormClient, stack: Stack, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here")
    (example,) = re.findall(r"```js\n(.+?)```", API.read_text("utf-8"), re.DOTALL)
    program = tmp_path / "follow.mjs"
    program.write_text(f"const [api, form, token] = process.argv.slice(2);\n{example}")
    command = [node, str(program), stack.url, form.id, form.token]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as following_form:
        assert following_form.stdout
        assert following_form.stdout.readline() == b"form draft\n"
        form.stored("needed", png(60, 60))
        form.http.delete(form.path)
        told = following_form.stdout.read().splitlines()
        assert following_form.wait(10) == 0
    assert b"upload stored" in told
    assert told[-1] == b"end purged"


def test_curl_shows_events_as_they_come(form: FormClient, stack: Stack) -> None:
    auth = f"Authorization: Bearer {form.token}"
    command = ["curl", "-sN", "-H", auth, f"{stack.url}{form.path}/events"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        assert curl.stdout
        first = [curl.stdout.readline() for _ in range(3)]
        assert first[0].startswith(b"retry: ")
        assert first[2] == b"event: form\n"
        began = time.monotonic()
        form.http.delete(form.path)
        assert b'data: {"reason":"purged"}\n' in curl.stdout.read()
        assert curl.wait(10) == 0
        assert time.monotonic() - began < 5
