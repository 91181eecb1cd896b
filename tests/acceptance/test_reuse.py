"""A file that the form has, for another of its fields, without being sent again."""

import base64
import hashlib

import httpx
import pytest

from tests.support.client import FormClient, problem
from tests.support.faulty_stack import until
from tests.support.files import pdf, png
from tests.support.stack import Stack

pytestmark = pytest.mark.parametrize(
    "stack", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)


@pytest.fixture
def form(stack: Stack) -> FormClient:
    return FormClient(stack.url, "acceptance")


def _reuse(form: FormClient, field: str, from_id: object, **headers: str) -> httpx.Response:
    path = f"{form.path}/fields/{field}/uploads"
    return form.http.post(path, json={"from": from_id}, headers=headers)


def test_a_stored_file_is_stored_again_for_another_field_and_outlives_the_first(
    form: FormClient, stack: Stack
) -> None:
    content = pdf()
    first = form.stored("tiny", content, filename="licence.pdf", kind="application/pdf")
    answer = _reuse(form, "needed", first["id"], **{"Idempotency-Key": "once"})
    assert answer.status_code == 202, answer.text
    second = answer.json()
    assert answer.headers["location"] == f"/v1/uploads/{second['id']}"
    assert form.http.delete(f"/v1/uploads/{first['id']}").status_code == 204
    assert (
        _reuse(form, "needed", first["id"], **{"Idempotency-Key": "once"}).json()["id"]
        == (second["id"])
    )
    read = form.final(second)
    assert (read["status"], read["field"], read["filename"]) == ("stored", "needed", "licence.pdf")
    assert read["sha256"] == hashlib.sha256(content).hexdigest()
    link = form.http.get(f"/v1/uploads/{second['id']}/content").headers["location"]
    assert httpx.get(link).content == content
    assert list(form.read()["data"]) == ["needed"]
    assert second["id"] not in " ".join(stack.staged_files())


def test_a_file_in_the_wrong_field_is_moved_to_the_right_one(form: FormClient) -> None:
    rejected = form.final(form.upload("pair", pdf(), kind="application/pdf"))
    assert rejected["error"]["code"] == "file-invalid-type"
    moved = _reuse(form, "needed", rejected["id"]).json()
    assert form.final(moved)["status"] == "stored"


def test_a_digest_beside_the_name_is_held_against_the_file(form: FormClient) -> None:
    first = form.stored("tiny", pdf(), filename="licence.pdf", kind="application/pdf")

    def digest(content: bytes) -> str:
        return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"

    other = _reuse(form, "needed", first["id"], **{"Repr-Digest": digest(b"other bytes")})
    problem(other, 422, "digest-mismatch")
    assert not form.read()["uploads"]["needed"]
    assert _reuse(form, "needed", first["id"], **{"Repr-Digest": digest(pdf())}).status_code == 202


def test_the_policy_of_the_other_field_is_asked_anew(form: FormClient) -> None:
    first = form.stored("needed", pdf(), kind="application/pdf")
    read = form.final(_reuse(form, "pair", first["id"]).json())
    assert (read["status"], read["error"]["code"]) == ("rejected", "file-invalid-type")
    problem(_reuse(form, "tiny", form.stored("needed", png(900, 900))["id"]), 413, "file-too-large")


def test_what_was_made_of_a_file_is_what_is_used_again_once_it_is_stored(stack: Stack) -> None:
    form = FormClient(stack.url)
    first = form.stored("headshot", png(500, 500), filename="me.png")
    again = form.final(_reuse(form, "licence", first["id"]).json())
    assert again["status"] == "stored"
    assert (again["filename"], again["detected_type"]) == ("me.png", "image/jpeg")
    assert again["sha256"] == first["object"]["sha256"] != first["sha256"]


def test_what_cant_be_used_again_is_told_apart(form: FormClient, stack: Stack) -> None:
    other = FormClient(stack.url, "acceptance")
    theirs = other.upload("needed", png())
    problem(_reuse(form, "needed", theirs["id"]), 404, "not-found")
    problem(_reuse(form, "needed", f"upl_{'a' * 26}"), 404, "not-found")
    problem(_reuse(form, "note", theirs["id"]), 404, "not-found")
    for wrong in (None, "", 7, ["upl_a"]):
        problem(_reuse(form, "needed", wrong), 422, "invalid-request")
    path = f"{form.path}/fields/needed/uploads"
    json = {"Content-Type": "application/json"}
    problem(form.http.post(path, content=b"[]", headers=json), 400, "malformed-json")
    damaged = form.final(form.upload("needed", png()[:60]))
    assert damaged["status"] == "rejected"
    found = problem(_reuse(form, "pair", damaged["id"]), 409, "upload-not-reusable")
    assert found["params"]["reason"] == "damaged"
    mine = form.upload("needed", png())
    form.http.delete(f"/v1/uploads/{mine['id']}")
    found = problem(_reuse(form, "pair", mine["id"]), 409, "upload-not-reusable")
    assert found["params"]["reason"] == "gone"
    bare = httpx.post(stack.url + path, json={"from": mine["id"]})
    problem(bare, 401, "unauthorized")


def test_nothing_is_left_of_it_after_a_purge(form: FormClient, stack: Stack) -> None:
    first = form.stored("needed", png())
    second = _reuse(form, "pair", first["id"]).json()
    assert form.http.delete(form.path).status_code == 204
    until(
        lambda: not [name for name in stack.staged_files() if name in (first["id"], second["id"])],
        "bytes are left on the volume",
    )
