"""A file that its field keeps and flags, from the person's click to the back end's decision."""

import hashlib
from collections.abc import Iterator

import httpx
import pytest

from dev.soak.records import Bucket
from tests.support.client import FormClient, problem
from tests.support.faulty_stack import until
from tests.support.files import png
from tests.support.images import encrypted_pdf
from tests.support.stack import Stack

SMALL = png(30, 30)


@pytest.fixture
def form(stack: Stack) -> FormClient:
    return FormClient(stack.url, "flagging")


@pytest.fixture
def back_end(stack: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack.info['service_key']}"}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def _keys(stack: Stack, upload_id: str) -> list[str]:
    found = Bucket(stack.info).listed().items()
    return [key for folder, keys in found if upload_id in folder for key in keys]


def test_a_flagged_file_waits_for_the_back_end_and_is_then_the_fields(
    form: FormClient, back_end: httpx.Client, stack: Stack
) -> None:
    kept = form.stored("needed", SMALL, filename="little one.png")
    address = f"/v1/uploads/{kept['id']}"
    assert (kept["public_url"], kept["error"], kept["released_at"]) == (None, None, None)
    (flag,) = kept["flags"]
    assert (flag["code"], flag["detail"]) == ("image-too-small", "Please send a larger one")
    assert flag["params"]["width"] == 30
    assert "needed" not in form.read()["data"]
    (key,) = _keys(stack, kept["id"])
    assert key.startswith(f"flagged/flagging/{form.id}/needed/{kept['id']}.")

    problem(form.http.get(f"{address}/content"), 409, "not-released")
    content = httpx.get(back_end.get(f"{address}/content?inline").headers["location"])
    assert content.content == SMALL, "as it came"
    assert content.headers["content-disposition"].startswith(
        'attachment; filename="little one.png"'
    )

    problem(form.http.post(f"{address}/release"), 401, "unauthorized")
    problem(FormClient(stack.url).http.post(f"{address}/release"), 401, "unauthorized")
    assert form.http.post(f"{form.path}/submit").json()["complete"] is False
    released = back_end.post(f"{address}/release")
    assert released.status_code == 200, released.text
    assert back_end.post(f"{address}/release").json() == released.json()
    record = form.read()
    assert record["complete"]
    assert record["data"]["needed"] == released.json()["public_url"]
    assert record["data"]["needed"].endswith(key)
    assert released.json()["released_at"]
    content = httpx.get(form.http.get(f"{address}/content?inline").headers["location"])
    assert content.headers["content-disposition"].startswith("attachment")


def test_nothing_is_left_of_flagged_files_that_were_removed_replaced_or_purged(
    form: FormClient, back_end: httpx.Client, stack: Stack
) -> None:
    removed, purged = form.stored("pair", SMALL), form.stored("pair", png(31, 31))
    replaced = form.stored("needed", encrypted_pdf(to_open="secret"), kind="application/pdf")
    assert [flag["code"] for flag in replaced["flags"]] == ["file-encrypted"]
    assert replaced["object"]["content_type"] == "application/pdf"
    assert replaced["object"]["sha256"] == replaced["sha256"]
    good = form.stored("needed", png(50, 50))
    assert form.read()["data"]["needed"] == good["public_url"]
    assert back_end.get(f"/v1/uploads/{replaced['id']}").json()["status"] == "replaced"
    assert form.http.delete(f"/v1/uploads/{removed['id']}").status_code == 204
    assert _keys(stack, purged["id"])
    assert form.http.delete(form.path).status_code == 204
    until(
        lambda: not any(_keys(stack, each["id"]) for each in (removed, purged, replaced, good)),
        "objects are left",
        seconds=60,
    )


def test_what_is_not_flagged_cant_be_released(form: FormClient, back_end: httpx.Client) -> None:
    good = form.stored("needed", png(50, 50))
    problem(back_end.post(f"/v1/uploads/{good['id']}/release"), 409, "not-flagged")
    problem(back_end.post(f"/v1/uploads/upl_{'a' * 26}/release"), 404, "not-found")


def test_a_large_flagged_file_goes_up_in_parts_as_it_came(form: FormClient) -> None:
    locked = encrypted_pdf(to_open="secret")
    large = locked + b"\n%" + b"x" * 6_000_000
    kept = form.stored("needed", large, kind="application/pdf")
    assert kept["flags"]
    assert kept["object"]["sha256"] == hashlib.sha256(large).hexdigest()


def test_objects_say_in_the_bucket_what_they_are(form: FormClient, stack: Stack) -> None:
    kept = form.stored("needed", png(50, 50), filename="Zoë's “licence” №1.png")
    (key,) = _keys(stack, kept["id"])
    said = Bucket(stack.info).metadata(key)
    assert said["upload-id"] == kept["id"]
    assert said["detected-type"] == "image/png"
    assert said["filename"].startswith("=?UTF-8?B?")
