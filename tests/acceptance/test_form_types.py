"""A form type that uses every key: what browsers read of it, and what the service makes of it."""

import subprocess
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.client import FormClient, problem
from tests.support.files import jpeg, pdf, png
from tests.support.stack import CHECKOUT, Stack

# What is read and refused is the same on both; PostgreSQL is the stricter with what it is given.
pytestmark = pytest.mark.parametrize(
    "stack",
    ["postgresql", pytest.param("sqlite", marks=pytest.mark.slow)],
    indirect=True,
    scope="session",
)


@pytest.fixture
def form(stack: Stack) -> FormClient:
    return FormClient(stack.url, "every_key", reference="Spring 26")


def rejected(form: FormClient, field: str, content: bytes) -> dict[str, Any]:
    read = form.final(form.upload(field, content))
    assert read["status"] == "rejected", read
    return dict(read["error"])


def test_browsers_read_formats_and_texts_of_a_field(stack: Stack) -> None:
    address = f"{stack.url}/v1/form-types/every_key"
    answer = httpx.get(address, trust_env=False)
    fields = {f["name"]: f for section in answer.json()["sections"] for f in section["fields"]}
    portrait = fields["portrait"]
    assert [each["name"] for each in portrait["formats"]] == ["PNG", "GIF", "HEIC", "TIFF"]
    (signature,) = portrait["formats"][0]["signatures"]
    assert png().startswith(bytes.fromhex(signature[0]["bytes"]))
    assert portrait["texts"]["file-too-large"] == "The selected file must be smaller than 200 KB"
    assert portrait["texts"]["image-too-small"] == (
        "At least 40 × 30, please: this is {width} × {height}"
    )
    assert fields["size"]["choices"] == ["S", "M", "L"]
    assert "formats" not in fields["size"]
    etag = answer.headers["etag"]
    again = httpx.get(address, headers={"If-None-Match": etag}, trust_env=False)
    assert again.status_code == 304


def test_an_image_is_stored_as_its_field_says(form: FormClient, stack: Stack) -> None:
    sent = png(120, 90)
    stored = form.stored("portrait", sent, filename="me.png")
    assert stored["object"]["content_type"] == "image/webp"
    square, card = (stored["derivatives"][name] for name in ("square", "card"))
    assert (square["content_type"], square["width"], square["height"]) == ("image/png", 32, 32)
    assert (card["content_type"], card["width"], card["height"]) == ("image/webp", 60, 45)
    path = urlsplit(stored["public_url"]).path
    year = datetime.now(UTC).year
    folders = f"workshops/{year}/every_key/Spring-26/portrait/{stored['id']}.1/portrait.webp"
    assert path.endswith(folders)
    command = ["./longshore", "objects", "--state-dir", str(stack.state_dir)]
    listed = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    (original,) = [line for line in listed.splitlines() if f"{stored['id']}.1/original.png" in line]
    assert f"{len(sent):,}" in original


def test_a_field_holds_as_many_files_as_it_says(form: FormClient) -> None:
    for width in (120, 121):
        form.stored("portrait", png(width, 90))
    assert len(form.read()["data"]["portrait"]) == 2
    refused = problem(form.send("portrait", png(122, 90)), 409, "too-many-files")
    assert refused["params"] == {"max_files": 2}


@pytest.mark.parametrize(
    ("field", "content", "code", "said"),
    [
        ("portrait", b"\x89PNG\r\n\x1a\n", "file-too-small", "That can't be a photo"),
        (
            "portrait",
            png(39, 90),
            "image-too-small",
            "At least 40 × 30, please: this is 39 × 90",
        ),
        ("portrait", png(90, 2_001), "image-too-large", "too many pixels (90 × 2001)"),
        ("portrait", jpeg(), "file-invalid-type", "must be a PNG, GIF, HEIC or TIFF"),
        ("papers", pdf(pages=5), "file-too-many-pages", "At most 4 pages, please: this has 5"),
        ("papers", png(), "file-invalid-type", "must be a PDF or DOCX"),
    ],
)
def test_what_a_field_refuses_is_told_in_its_words(
    form: FormClient, field: str, content: bytes, code: str, said: str
) -> None:
    error = rejected(form, field, content)
    assert error["code"] == code
    assert said in error["detail"]


def test_a_password_is_accepted_where_the_field_says_so(form: FormClient) -> None:
    stored = form.stored("papers", pdf(password="x"), filename="secret.pdf")
    assert [each["code"] for each in stored["notices"]] == ["pages-not-checked"]


def test_an_image_with_fewer_pixels_than_recommended_is_stored_with_a_notice(
    form: FormClient,
) -> None:
    stored = form.stored("portrait", png(60, 50))
    notices = {each["code"]: each["detail"] for each in stored["notices"]}
    assert notices["low-resolution"] == "Only 60 × 50, but it will do"


def test_a_document_that_is_longer_than_recommended_is_stored_with_a_notice(
    form: FormClient,
) -> None:
    stored = form.stored("papers", pdf(pages=3))
    notices = {each["code"]: each["detail"] for each in stored["notices"]}
    assert notices["many-pages"] == "The document is longer than we recommend: it has 3 pages"


def test_a_choice_is_one_of_those_there_are(form: FormClient) -> None:
    answer = form.http.patch(form.path, json={"size": "XXL", "vegetarian": True}).json()
    assert answer["data"]["size"] == "XXL"
    assert [(each["field"], each["code"]) for each in answer["problems"]] == [
        ("size", "invalid-choice")
    ]
