"""What an error tells who meets it: which field, what there is instead, and all of it at once."""

from typing import Any

import httpx
import pytest

from tests.support.client import FormClient
from tests.support.files import pdf
from tests.support.stack import Stack

pytestmark = pytest.mark.parametrize("stack", ["sqlite"], indirect=True)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    read: dict[str, Any] = answer.json()
    assert read["code"] == code
    return read


def test_a_mistyped_field_in_a_path_is_named_beside_those_that_take_files(form: FormClient) -> None:
    told = problem(form.send("tinny", pdf()), 404, "not-found")
    assert told["field"] == "tinny"
    assert told["detail"].startswith("'tinny' is no field of this form. Files go to bulk, tiny, ")
    assert "tiny" in told["params"]["fields"].split(", ")
    assert "note" not in told["params"]["fields"].split(", ")
    text = problem(form.send("note", pdf()), 404, "not-found")
    assert text["detail"].startswith("'note' takes no files. Files go to ")


def test_an_unknown_form_type_is_answered_with_the_types_that_there_are(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url, trust_env=False) as http:
        types = [each["type"] for each in http.get("/v1/form-types").json()["form_types"]]
        created = problem(http.post("/v1/forms", json={"type": "signup"}), 422, "unknown-form-type")
        read = problem(http.get("/v1/form-types/signup"), 404, "not-found")
    for told in (created, read):
        assert told["params"]["types"].split(", ") == types
        assert told["detail"] == f"There is no form type 'signup'. There is {', '.join(types)}."


@pytest.mark.parametrize(("shape", "below"), [("flat", ""), ("data", "/data"), ("new", "/data")])
def test_everything_that_is_wrong_with_values_is_told_at_once(
    signup: FormClient, shape: str, below: str
) -> None:
    values = {"email": 7, "full_name": "Ada", "accepts_insurance": "yes", "phone": "\0"}
    told = problem(_sent(signup, shape, values), 422, "invalid-request")
    assert told["field"] == "email"
    assert [(each["pointer"], each["field"], each["detail"]) for each in told["errors"]] == [
        (f"{below}/email", "email", "Email address must be a string"),
        (
            f"{below}/accepts_insurance",
            "accepts_insurance",
            "“I accept insurance” must be true or false",
        ),
        (f"{below}/phone", "phone", "Phone number has characters that are no text"),
    ]
    assert "full_name" not in signup.read()["data"], "a section that is refused saves nothing"


@pytest.mark.parametrize(("shape", "below"), [("flat", ""), ("data", "/data"), ("new", "/data")])
def test_an_unknown_name_is_told_beside_the_other_mistakes_and_the_names_that_there_are(
    signup: FormClient, shape: str, below: str
) -> None:
    values = {"email": 7, "head~/shot": None, "other": 1}
    told = problem(_sent(signup, shape, values), 422, "unknown-field")
    assert told["field"] == "head~/shot"
    assert [(each["pointer"], each["code"]) for each in told["errors"]] == [
        (f"{below}/email", "invalid-value"),
        (f"{below}/head~0~1shot", "unknown-field"),
        (f"{below}/other", "unknown-field"),
    ]
    assert told["params"]["fields"].startswith("full_name, email, ")
    assert told["detail"].startswith("This form has no field 'head~/shot'. It has full_name, ")


def _sent(signup: FormClient, shape: str, values: dict[str, Any]) -> httpx.Response:
    if shape == "new":
        return signup.http.post("/v1/forms", json={"type": "therapist_signup", "data": values})
    return signup.http.patch(signup.path, json={"data": values} if shape == "data" else values)


@pytest.mark.parametrize(
    ("member", "body"),
    [
        ("type", {"type": 1}),
        ("data", {"type": "acceptance", "data": []}),
        ("reference", {"type": "acceptance", "reference": ""}),
    ],
)
def test_a_member_of_a_new_form_that_cannot_be_used_is_the_field_of_its_problem(
    form: FormClient, member: str, body: dict[str, Any]
) -> None:
    told = problem(form.http.post("/v1/forms", json=body), 422, "invalid-request")
    assert told["field"] == member
    assert [each["field"] for each in told["errors"]] == [member]


def test_a_refused_upload_names_its_field_whatever_it_is_refused_for(form: FormClient) -> None:
    path = f"{form.path}/fields/tiny/uploads"
    one, two = ("a.pdf", b"%PDF", "application/pdf"), ("b.pdf", b"%PDF", "application/pdf")
    refusals = [
        (form.send("tiny", b""), 422, "file-empty"),
        (form.http.post(path, files={"text": (None, "x")}), 422, "file-missing"),
        (form.send("tiny", b"x" * 70_000), 413, "file-too-large"),
        (form.http.post(path, files=[("file", one), ("file", two)]), 422, "too-many-files"),
        (form.http.post(path, content=b"x"), 415, "unsupported-media-type"),
        (form.http.post(path, json={"from": 1}), 422, "invalid-request"),
        (form.http.post(path, json={"from": "upl_none"}), 404, "not-found"),
        (form.put("tiny", "", b"x"), 400, "bad-request"),
        (form.put("tiny", "k", b"x", **{"Content-Range": "bytes 0-0/2"}), 400, FRAGMENT),
        (form.put("tiny", "k", b"x", **{"Repr-Digest": OTHER}), 422, "digest-mismatch"),
    ]
    for answer, status, code in refusals:
        assert problem(answer, status, code)["field"] == "tiny", code


FRAGMENT = "fragment-not-supported"
OTHER = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
"""Of no bytes."""


def test_a_second_file_of_a_request_is_refused_as_that_and_not_as_a_full_field(
    form: FormClient,
) -> None:
    one, two = ("a.pdf", b"%PDF", "application/pdf"), ("b.pdf", b"%PDF", "application/pdf")
    answer = form.http.post(f"{form.path}/fields/pair/uploads", files=[("f", one), ("g", two)])
    told = problem(answer, 422, "too-many-files")
    assert told["detail"] == "This request has two files. Send one file a request."


def test_what_is_asked_of_an_upload_and_refused_names_the_field_of_the_upload(
    form: FormClient,
) -> None:
    upload = form.upload("tiny", b"x" * 60)
    form.final(upload)
    at = f"/v1/uploads/{upload['id']}"
    assert problem(form.http.get(f"{at}/content"), 409, "not-stored")["field"] == "tiny"
    assert problem(form.http.post(f"{at}/retry"), 409, "not-failed")["field"] == "tiny"


@pytest.mark.parametrize(
    "header",
    [
        "sha-256",
        "sha-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha-256=:47DE:",
        "sha-256=:4:",
        "sha-512=:47DE:, sha-256",
        "278a7df13e0b8c2c95f8a9a1b6f7c5d4e3f2a1b0c9d8e7f60514233241506978",
    ],
)
def test_a_digest_that_cannot_be_read_is_refused_and_not_left_out(
    form: FormClient, header: str
) -> None:
    told = problem(form.put("tiny", "key", pdf(), **{"Repr-Digest": header}), 400, "bad-request")
    assert told["detail"] == "Repr-Digest can't be read: send sha-256=:<base64>:"
    assert form.read()["uploads"]["tiny"] == []


def test_a_digest_of_another_algorithm_is_left_out(form: FormClient) -> None:
    answer = form.put("tiny", "key", pdf(), **{"Repr-Digest": "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"})
    assert answer.status_code == 202
