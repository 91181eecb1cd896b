"""Forms over HTTP: create, read, save a section, what is discarded, submit, purge."""

import json
import time

import httpx
import pytest

from tests.support.client import FormClient, problem
from tests.support.files import jpeg, pdf, png
from tests.support.stack import Stack


def test_a_form_type_tells_the_browser_what_is_acceptable(stack: Stack) -> None:
    listed = httpx.get(f"{stack.url}/v1/form-types", trust_env=False).json()["form_types"]
    entry = next(each for each in listed if each["type"] == "therapist_signup")
    answer = httpx.get(entry["url"], trust_env=False)
    sections = {section["name"]: section for section in answer.json()["sections"]}
    assert list(sections) == ["about", "credentials", "practice", "documents"]
    headshot = next(each for each in sections["about"]["fields"] if each["name"] == "headshot")
    assert headshot["max_bytes"] == 15_000_000
    assert "image/jpeg" in headshot["accept"]
    assert headshot["image"]["min_width"] == 400
    assert headshot["section"] == "about"
    again = httpx.get(
        entry["url"], headers={"If-None-Match": answer.headers["etag"]}, trust_env=False
    )
    assert again.status_code == 304


def test_a_form_is_created_with_a_token_that_is_shown_once(stack: Stack) -> None:
    client = FormClient(stack.url, full_name="Ann", headshot="https://old.example/me.jpg")
    assert client.created["status"] == "draft"
    assert client.created["data"] == {"full_name": "Ann"}
    assert client.created["ignored"] == [{"field": "headshot", "reason": "not-a-file"}]
    read = client.http.get(client.path)
    assert "token" not in read.json()
    assert client.token not in read.text
    created = client.http.post("/v1/forms", json={"type": "therapist_signup", "reference": "ü 1"})
    assert created.headers["location"] == f"/v1/forms/{created.json()['id']}"
    assert created.json()["reference"] == "ü 1"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"type": "nope"}, "unknown-form-type"),
        ({}, "invalid-request"),
        ({"type": "therapist_signup", "data": []}, "invalid-request"),
        ({"type": "therapist_signup", "data": {"full_name": 5}}, "invalid-request"),
        ({"type": "therapist_signup", "data": {"full_name": "a\u0000b"}}, "invalid-request"),
        ({"type": "therapist_signup", "data": {"nobody": "x"}}, "unknown-field"),
        ({"type": "therapist_signup", "reference": ""}, "invalid-request"),
    ],
)
def test_a_form_that_cant_be_created_says_why(
    stack: Stack, body: dict[str, object], code: str
) -> None:
    problem(httpx.post(f"{stack.url}/v1/forms", json=body, trust_env=False), 422, code)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"a":NaN}', b'{"type":"\\ud800"}', b"[" * 100_000]
)
def test_a_body_that_is_no_json_object_is_a_400(stack: Stack, raw: bytes) -> None:
    answer = httpx.post(
        f"{stack.url}/v1/forms",
        content=raw,
        headers={"Content-Type": "application/json"},
        trust_env=False,
    )
    problem(answer, 400, "malformed-json")


def test_what_is_not_yours_does_not_exist(stack: Stack, signup: FormClient) -> None:
    other = FormClient(stack.url)
    upload = other.upload("resume", pdf(), kind="application/pdf")
    for path in (
        other.path,
        f"/v1/uploads/{upload['id']}",
        f"/v1/uploads/{upload['id']}/content",
        "/v1/forms/frm_nobody",
        "/v1/uploads/upl_nobody",
    ):
        problem(signup.http.get(path), 404, "not-found")
    problem(signup.http.delete(f"/v1/uploads/{upload['id']}"), 404, "not-found")
    problem(signup.http.post(f"{other.path}/submit"), 404, "not-found")
    assert other.final(upload)["status"] == "stored"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer nope", "Basic YTpi", "Bearer ü"])
def test_without_a_known_token_nothing_is_said(signup: FormClient, header: str | None) -> None:
    headers = [] if header is None else [(b"Authorization", header.encode("utf-8"))]
    with httpx.Client(base_url=str(signup.http.base_url), trust_env=False) as anonymous:
        for method, path in (
            ("GET", signup.path),
            ("PATCH", signup.path),
            ("GET", "/v1/uploads/upl_x"),
            ("POST", f"{signup.path}/fields/headshot/uploads"),
        ):
            answer = anonymous.request(method, path, headers=headers)
            problem(answer, 401, "unauthorized")
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_section_keeps_text_and_lists_what_is_wrong_with_it(signup: FormClient) -> None:
    answer = signup.http.patch(
        signup.path,
        json={
            "full_name": "Ann",
            "email": "not an address",
            "licence_state": "ZZ",
            "licence_expires": "2027-02-30",
            "website": "ftp://x",
            "phone": "call me",
            "accepts_insurance": True,
        },
    )
    assert answer.status_code == 200
    read = answer.json()
    assert read["data"]["email"] == "not an address"
    assert read["data"]["accepts_insurance"] is True
    assert {(each["field"], each["code"]) for each in read["problems"]} == {
        ("email", "invalid-email"),
        ("licence_state", "invalid-choice"),
        ("licence_expires", "invalid-date"),
        ("website", "invalid-url"),
        ("phone", "invalid-tel"),
    }
    assert all(each["detail"] for each in read["problems"])
    cleared = signup.http.patch(signup.path, json={"data": {"email": None}}).json()
    assert "email" not in cleared["data"]
    assert cleared["data"]["full_name"] == "Ann"


def test_merge_patch_is_known_by_its_own_media_type(signup: FormClient) -> None:
    answer = signup.http.patch(
        signup.path,
        content=json.dumps({"full_name": "Bo"}),
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert answer.json()["data"]["full_name"] == "Bo"
    wrong = signup.http.patch(signup.path, content="x", headers={"Content-Type": "text/csv"})
    problem(wrong, 415, "unsupported-media-type")


def test_file_attributes_that_hold_no_file_are_discarded_and_named(signup: FormClient) -> None:
    stored = signup.stored("resume", pdf(), kind="application/pdf")
    for body, reason in (
        ({"resume": "https://old.example/cv.pdf"}, "not-a-file"),
        ({"resume": ""}, "empty"),
        ({"resume": 0}, "empty"),
        ({"resume": False}, "empty"),
        ({"resume": []}, "empty"),
        ({"resume": {"url": "x"}}, "not-a-file"),
    ):
        answer = signup.http.patch(signup.path, json=body)
        assert answer.status_code == 200
        assert answer.json()["ignored"] == [{"field": "resume", "reason": reason}], body
        assert answer.json()["data"]["resume"] == stored["public_url"]
    for part, reason in (
        ((None, ""), "empty"),
        ((None, "0"), "empty"),
        ((None, stored["public_url"]), "not-a-file"),
        (("", b"", "application/octet-stream"), "empty"),
        (("cv.pdf", b"", "application/pdf"), "empty"),
    ):
        answer = signup.http.patch(signup.path, files={"resume": part})
        assert answer.status_code == 200
        assert answer.json()["ignored"] == [{"field": "resume", "reason": reason}], part
        assert answer.json()["data"]["resume"] == stored["public_url"]


def test_null_removes_a_fields_uploads(signup: FormClient) -> None:
    stored = signup.stored("resume", pdf(), kind="application/pdf")
    read = signup.http.patch(signup.path, json={"resume": None}).json()
    assert "resume" not in read["data"]
    assert read["uploads"]["resume"] == []
    assert signup.http.get(f"/v1/uploads/{stored['id']}").json()["status"] == "removed"


def test_one_bad_part_of_a_section_loses_nothing_else(form: FormClient) -> None:
    answer = form.http.patch(
        form.path,
        data={"note": "far more than twenty characters"},
        files={
            "tiny": ("big.png", b"x" * 3_000, "image/png"),
            "needed": ("ok.png", png(), "image/png"),
        },
    )
    assert answer.status_code == 202
    assert "retry-after" in answer.headers
    read = answer.json()
    assert read["data"]["note"] == "far more than twenty characters"
    assert [each["code"] for each in read["problems"]] == ["too-long"]
    (tiny,) = read["uploads"]["tiny"]
    assert tiny["status"] == "rejected"
    assert tiny["error"]["code"] == "file-too-large"
    assert tiny["error"]["detail"] == "The selected file must be smaller than 2 KB"
    assert tiny["sha256"] is None
    (needed,) = read["uploads"]["needed"]
    assert form.final(needed)["status"] == "stored"


def test_a_part_for_no_field_is_refused_and_nothing_of_the_request_kept(
    form: FormClient, stack: Stack
) -> None:
    before = stack.staged_files()
    answer = form.http.patch(
        form.path,
        data={"note": "hello"},
        files={"needed": ("ok.png", png(), "image/png"), "nobody": ("x.png", png(), "image/png")},
    )
    body = problem(answer, 422, "unknown-field")
    assert body["field"] == "nobody"
    assert form.read()["data"] == {}
    assert form.read()["uploads"]["needed"] == []
    assert set(stack.staged_files()) <= set(before)


def test_saves_are_protected_by_what_the_person_edited_alone(form: FormClient) -> None:
    first = form.http.get(form.path).headers["etag"]
    form.stored("needed", png())
    saved = form.http.patch(form.path, json={"note": "one"}, headers={"If-Match": first})
    assert saved.status_code == 200, "the worker's changes don't count"
    late = form.http.patch(form.path, json={"note": "two"}, headers={"If-Match": first})
    problem(late, 412, "precondition-failed")
    assert form.read()["data"]["note"] == "one"
    assert form.http.get(form.path, headers={"If-None-Match": first}).status_code == 200
    now = form.http.get(form.path).headers["etag"]
    assert form.http.get(form.path, headers={"If-None-Match": now}).status_code == 304


def test_a_newer_file_replaces_the_older_only_when_it_is_stored(form: FormClient) -> None:
    older = form.stored("needed", png())
    bad = form.final(form.upload("needed", jpeg(), filename="x.png"))
    assert bad["status"] == "rejected"
    assert form.read()["data"]["needed"] == older["public_url"]
    newer = form.stored("needed", png(colour="red"))
    assert form.read()["data"]["needed"] == newer["public_url"]
    assert form.http.get(f"/v1/uploads/{older['id']}").json()["status"] == "replaced"


def test_many_files_append_up_to_the_fields_limit(form: FormClient) -> None:
    urls = [form.stored("pair", png(colour=colour))["public_url"] for colour in ("red", "blue")]
    assert form.read()["data"]["pair"] == urls
    full = form.send("pair", png(colour="green"))
    problem(full, 409, "too-many-files")
    section = form.http.patch(form.path, files={"pair": ("c.png", png(), "image/png")})
    assert section.json()["uploads"]["pair"][-1]["error"]["code"] == "too-many-files"
    first = form.read()["uploads"]["pair"][0]
    assert form.http.delete(f"/v1/uploads/{first['id']}").status_code == 204
    assert form.read()["data"]["pair"] == urls[1:]
    form.stored("pair", png(colour="green"))


def test_submit_waits_for_uploads_and_asks_for_what_is_missing(form: FormClient) -> None:
    missing = problem(form.http.post(f"{form.path}/submit"), 422, "form-incomplete")
    assert [each["pointer"] for each in missing["errors"]] == ["/needed"]
    form.final(form.upload("needed", jpeg()))
    rejected = problem(form.http.post(f"{form.path}/submit"), 422, "form-incomplete")
    assert rejected["errors"][0]["code"] == "upload-rejected"
    form.upload("needed", png())
    # what is conditional is reading: it doesn't end the wait for files
    headers = {"Prefer": "wait=20", "If-None-Match": '"0.0"'}
    submitted = form.http.post(f"{form.path}/submit", headers=headers)
    assert submitted.status_code == 200, submitted.text
    assert submitted.json()["status"] == "submitted"
    assert submitted.json()["complete"] is True
    assert submitted.json()["submitted_at"]


def test_a_pending_upload_holds_a_submit_back(form: FormClient) -> None:
    form.stored("needed", png())
    sent = form.upload("bulk", b"%PDF-1.7" + bytes(40_000_000), kind="application/pdf")
    answer = form.http.post(f"{form.path}/submit")
    body = problem(answer, 409, "uploads-pending")
    assert [each["id"] for each in body["uploads"]] == [sent["id"]]
    assert "retry-after" in answer.headers
    form.final(sent)


def test_after_submit_the_persons_writes_are_refused(form: FormClient) -> None:
    stored = form.stored("needed", png())
    form.stored("needed", png(colour="red"))
    assert form.http.post(f"{form.path}/submit").status_code == 200
    for answer in (
        form.http.patch(form.path, json={"note": "x"}),
        form.send("needed", png()),
        form.put("needed", "k", png()),
        form.http.delete(f"/v1/uploads/{stored['id']}"),
        form.http.post(f"/v1/uploads/{stored['id']}/retry"),
        form.http.post(f"{form.path}/submit"),
        form.http.delete(form.path),
    ):
        problem(answer, 409, "form-submitted")
    assert form.read()["status"] == "submitted"


def test_a_purged_form_is_gone_with_its_bytes_and_objects(form: FormClient) -> None:
    stored = form.stored("needed", png())
    link = form.http.get(
        f"/v1/uploads/{stored['id']}/content", headers={"Accept": "application/json"}
    ).json()["url"]
    assert httpx.get(link, trust_env=False).status_code == 200
    assert form.http.delete(form.path).status_code == 204
    problem(form.http.get(form.path), 404, "not-found")
    problem(form.http.get(f"/v1/uploads/{stored['id']}"), 404, "not-found")
    deadline = time.monotonic() + 90
    while httpx.get(link, trust_env=False).status_code != 404:
        assert time.monotonic() < deadline, "the object is still in the bucket"
        time.sleep(0.5)


def test_a_request_with_very_many_parts_is_refused_and_keeps_nothing(form: FormClient) -> None:
    files = [("pair", (f"{n}.png", b"x", "image/png")) for n in range(200)]
    problem(form.http.patch(form.path, files=files), 400, "bad-request")
    text = [("note", (None, "x" * 200_000)) for _ in range(20)]
    problem(form.http.patch(form.path, files=text), 400, "bad-request")
    assert form.read()["uploads"]["pair"] == []
