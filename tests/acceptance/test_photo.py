"""The main job: a photo goes through api, volume, queue, worker and bucket into the record."""

import hashlib
import io
import json
import time
from urllib.parse import urlsplit

import httpx
from PIL import Image

from tests.support.client import FormClient
from tests.support.files import pdf, photo
from tests.support.stack import Stack

START_OF_SCAN = b"\xff\xda"
"""Of a JPEG: what is told of the image stands before it."""


def test_a_phones_photo_is_stored_upright_and_says_nothing_of_where_it_was_taken(
    signup: FormClient,
) -> None:
    sent = photo()
    acknowledged = signup.upload("headshot", sent, filename="IMG_0001.JPG", kind="image/jpeg")
    assert acknowledged["status"] == "staged"
    assert acknowledged["sha256"] == hashlib.sha256(sent).hexdigest()
    assert acknowledged["size"] == len(sent)

    stored = signup.final(acknowledged)
    assert stored["status"] == "stored", stored
    assert stored["sha256"] == acknowledged["sha256"]
    assert stored["detected_type"] == "image/jpeg"
    assert signup.read()["data"]["headshot"] == stored["public_url"]

    wanted = {None: 4000, "large": 1600, "medium": 800, "thumb": 200}
    assert set(stored["derivatives"]) == {"large", "medium", "thumb"}
    for name, longer_side in wanted.items():
        said = stored["object"] if name is None else stored["derivatives"][name]
        got = _fetch(signup, stored["id"], name)
        assert hashlib.sha256(got).hexdigest() == said["sha256"]
        assert len(got) == said["size"]
        with Image.open(io.BytesIO(got)) as image:
            assert image.format == "JPEG"
            assert image.size == (said["width"], said["height"])
            assert image.height == longer_side, "upright: higher than wide"
            assert not dict(image.getexif())
            assert "exif" not in image.info
            assert "xmp" not in image.info
            top = image.convert("RGB").getpixel((image.width // 2, image.height // 10))
            assert isinstance(top, tuple)
            assert top[0] > top[2] + 40, "red is on top"
        head = got[: got.index(START_OF_SCAN)]  # three bytes of the noise behind it may be anything
        for trace in (b"Exif", b"LongshoreCam", b"GPS"):
            assert trace not in head


def test_the_object_is_private_but_for_its_presigned_link(signup: FormClient, stack: Stack) -> None:
    stored = signup.stored("resume", pdf(), filename="cv.pdf", kind="application/pdf")
    anonymous = httpx.get(stored["public_url"], trust_env=False)
    assert anonymous.status_code == 403

    answer = signup.http.get(f"/v1/uploads/{stored['id']}/content")
    assert answer.status_code == 307
    fetched = httpx.get(answer.headers["location"], trust_env=False)
    assert fetched.status_code == 200
    assert fetched.content == pdf()
    assert fetched.headers["content-disposition"].startswith('attachment; filename="cv.pdf"')

    listed = signup.http.get(
        f"/v1/uploads/{stored['id']}/content", headers={"Accept": "application/json"}
    )
    assert set(listed.json()) == {"url", "expires_at"}
    forged = listed.json()["url"].replace("cv.pdf", "other.pdf")
    assert httpx.get(forged, trust_env=False).status_code == 403
    assert urlsplit(stored["public_url"]).query == ""
    assert stored["public_url"].startswith(stack.info["s3"]["endpoint_url"])


def test_only_images_that_we_made_are_ever_shown_inline(signup: FormClient) -> None:
    image = signup.stored("headshot", photo(), filename="me.jpg", kind="image/jpeg")
    document = signup.stored("resume", pdf(), filename="cv.pdf", kind="application/pdf")
    for upload, disposition in ((image, "inline"), (document, "attachment")):
        answer = signup.http.get(f"/v1/uploads/{upload['id']}/content?inline")
        fetched = httpx.get(answer.headers["location"], trust_env=False)
        assert fetched.headers["content-disposition"].startswith(disposition)


def test_the_staged_file_goes_once_the_record_is_patched(signup: FormClient, stack: Stack) -> None:
    stored = signup.stored("resume", pdf(pages=2), filename="cv.pdf", kind="application/pdf")
    deadline = time.monotonic() + 15
    while stored["id"] in stack.staged_files():
        assert time.monotonic() < deadline, "still on the volume"
        time.sleep(0.2)


def test_logs_follow_an_upload_by_its_request_and_hold_nothing_personal(
    stack: Stack,
) -> None:
    client = FormClient(stack.url, full_name="Ottilie Unmistakable", email="ottilie@example.org")
    answer = client.http.post(
        f"{client.path}/fields/resume/uploads",
        files={"file": ("ottilie-cv.pdf", pdf(pages=3), "application/pdf")},
        headers={"X-Request-ID": "browser-4711"},
    )
    assert answer.headers["x-request-id"] == "browser-4711"
    client.final(answer.json())
    api, worker = stack.logs("api"), stack.logs("worker")
    lines = [json.loads(line) for line in api.splitlines() if line.startswith("{")]
    moves = [
        (line["from"], line["to"])
        for line in lines
        if line["event"] == "upload_transition" and line["upload_id"] == answer.json()["id"]
    ]
    assert moves == [(None, "staged"), ("staged", "processing"), ("processing", "stored")]
    assert all(
        line["request_id"] == "browser-4711" and line["form_id"] == client.id
        for line in lines
        if line["event"] == "upload_transition" and line["upload_id"] == answer.json()["id"]
    )
    assert "browser-4711" in worker
    everything = api + worker + stack.said()
    for secret in ("Ottilie", "ottilie", client.token):
        assert secret not in everything


def _fetch(client: FormClient, upload_id: str, derivative: str | None) -> bytes:
    path = f"/v1/uploads/{upload_id}/content" + (f"/{derivative}" if derivative else "")
    answer = client.http.get(path)
    assert answer.status_code == 307, answer.text
    fetched = httpx.get(answer.headers["location"], trust_env=False)
    assert fetched.status_code == 200, fetched.text
    return fetched.content
