"""Sending files: what is acknowledged, what is refused, and with which words."""

import hashlib
import socket
import struct
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest

from tests.support.client import FormClient, exchange, problem
from tests.support.faulty_stack import until
from tests.support.files import jpeg, pdf, png
from tests.support.stack import Stack


def test_a_raw_put_is_idempotent_by_its_key(form: FormClient) -> None:
    first = form.put("needed", "a-1", png(), **{"Content-Type": "image/png"})
    assert first.status_code == 202
    assert first.headers["location"] == f"/v1/uploads/{first.json()['id']}"
    assert int(first.headers["retry-after"]) >= 1
    again = form.put("needed", "a-1", png())
    assert again.json()["id"] == first.json()["id"]
    other = form.put("needed", "a-1", png(colour="red"))
    problem(other, 422, "key-reused")
    assert form.final(first.json())["status"] == "stored"
    assert len(form.read()["uploads"]["needed"]) == 1


def test_a_repeated_key_is_answered_even_when_its_field_is_full(form: FormClient) -> None:
    for key in ("a", "b"):
        assert form.put("pair", key, png(colour="red")).status_code == 202
    again = form.put("pair", "b", png(colour="red"))
    assert again.status_code == 202, again.text
    problem(form.put("pair", "c", png()), 409, "too-many-files")


def test_a_raw_puts_disposition_names_the_file(form: FormClient) -> None:
    answer = form.put(
        "needed", "n", png(), **{"Content-Disposition": 'attachment; filename="me and you.png"'}
    )
    assert answer.json()["filename"] == "me and you.png"
    assert form.put("needed", "plain.png", png()).json()["filename"] == "plain.png"
    starred = {"Content-Disposition": "attachment; filename=\"x\"; filename*=UTF-8''na%C3%AFve.png"}
    assert form.put("needed", "s", png(), **starred).json()["filename"] == "naïve.png"


def test_the_first_part_with_a_filename_is_the_file_whatever_its_name(form: FormClient) -> None:
    boundary = "x-y-z"
    body = (
        (
            f'--{boundary}\r\nContent-Disposition: form-data; name="meta"\r\n\r\nignored\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="anything"; filename="a.png"\r\n'
            "Content-Type: image/png\r\n\r\n"
        ).encode()
        + png()
        + f"\r\n--{boundary}--\r\n".encode()
    )
    answer = _post(form, body, boundary)
    assert answer.status_code == 202, answer.text
    assert answer.json()["sha256"] == hashlib.sha256(png()).hexdigest()


def test_a_second_file_is_refused(form: FormClient, stack: Stack) -> None:
    before = stack.staged_files()
    answer = form.http.post(
        f"{form.path}/fields/needed/uploads",
        files=[("file", ("a.png", png(), "image/png")), ("file", ("b.png", png(), "image/png"))],
    )
    problem(answer, 422, "too-many-files")
    assert form.read()["uploads"]["needed"] == []
    assert set(stack.staged_files()) <= set(before)


def test_an_empty_file_is_named_so(form: FormClient) -> None:
    problem(form.send("needed", b"", "empty.png"), 422, "file-empty")
    problem(form.put("needed", "k", b""), 422, "file-empty")
    nothing = form.http.post(f"{form.path}/fields/needed/uploads", files={"t": (None, b"text")})
    problem(nothing, 422, "file-missing")


HOSTILE = [
    ("../../../../etc/passwd", "passwd", "passwd"),
    ("C:\\Users\\me\\photo.png", "photo.png", "photo"),
    ("photo\u202egnp.exe", "photognp.exe", "photognp"),
    ("x" * 400 + ".png", "x" * 251 + ".png", "x" * 251),
    (".htaccess", ".htaccess", ".htaccess"),
    ("naïve 写真.png", "naïve 写真.png", "naïve 写真"),
    ('quo"te.png', 'quo"te.png', 'quo"te'),
]
"""As it was sent, as it is shown, and what a download of it is called but for `.png`."""


@pytest.mark.parametrize(("sent", "shown", "downloaded"), HOSTILE)
def test_hostile_file_names_stay_inert(
    form: FormClient, sent: str, shown: str, downloaded: str
) -> None:
    stored = form.stored("needed", png(), filename=sent)
    assert stored["filename"] == shown
    assert stored["public_url"].endswith(f"/{stored['id']}.1/needed.png")
    answer = form.http.get(f"/v1/uploads/{stored['id']}/content", follow_redirects=True)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    kind, plain, exact = answer.headers["content-disposition"].split("; ")
    assert kind == "attachment", "nobody's page is shown as ours"
    assert unquote(exact.removeprefix("filename*=UTF-8''")) == f"{downloaded}.png"
    assert plain.startswith('filename="')
    assert plain.count('"') == 2


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"a%0D%0ASet-Cookie: x=1.png", "a Set-Cookie: x=1.png"),
        (b"a\x00b.png", "ab.png"),
        (b"\xff\xfe.png", "ÿþ.png"),
    ],
)
def test_bytes_that_are_no_text_in_a_file_name_do_no_harm(
    form: FormClient, sent: bytes, shown: str
) -> None:
    disposition = b'Content-Disposition: form-data; name="f"; filename="' + sent + b'"'
    body = b"--b\r\n" + disposition + b"\r\n\r\n" + png() + b"\r\n--b--\r\n"
    answer = _post(form, body, "b")
    assert answer.status_code == 202, answer.text
    assert answer.json()["filename"] == shown


def test_a_declared_length_over_the_limit_is_refused_before_the_body(form: FormClient) -> None:
    for path, kind in (
        (f"{form.path}/fields/tiny/uploads", "multipart/form-data; boundary=b"),
        (f"{form.path}/fields/tiny/uploads/k", "image/png"),
    ):
        method = "PUT" if path.endswith("/k") else "POST"
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {form.token}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: 90000000\r\nExpect: 100-continue\r\n\r\n"
        )
        answer = exchange(str(form.http.base_url), head.encode())
        assert answer.startswith(b"HTTP/1.1 413"), answer
        assert b"100 Continue" not in answer
        assert b"file-too-large" in answer
        assert b"connection: close" in answer.lower()


def test_a_chunked_body_over_the_limit_is_cut_off_and_answered(
    form: FormClient, stack: Stack
) -> None:
    before = stack.staged_files()

    def endless() -> object:
        for _ in range(400):
            yield b"x" * 65536

    answer = form.http.put(f"{form.path}/fields/tiny/uploads/k", content=endless())  # type: ignore[arg-type] # a stream
    problem(answer, 413, "file-too-large")
    assert set(stack.staged_files()) <= set(before)


def test_an_early_refusal_reaches_a_client_that_is_still_sending(form: FormClient) -> None:
    answer = form.http.post(
        f"{form.path}/fields/nosuch/uploads",
        files={"file": ("a.bin", b"x" * 30_000_000, "application/octet-stream")},
    )
    problem(answer, 404, "not-found")
    wrong = form.http.post(
        f"{form.path}/fields/needed/uploads",
        content=b"x" * 30_000_000,
        headers={"Content-Type": "application/octet-stream"},
    )
    problem(wrong, 415, "unsupported-media-type")


def test_who_was_refused_may_send_on_for_a_while(form: FormClient) -> None:
    """Of a connection that is closed with bytes unread, other systems drop the answer too."""
    head = (
        f"POST {form.path}/fields/nosuch/uploads HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {form.token}\r\nContent-Length: 1000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    url = form.http.base_url
    with socket.create_connection((url.host, url.port), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = b""
        while b"not-found" not in answer:
            answer += connection.recv(65536)
        for _ in range(20):
            connection.sendall(b"x" * 50_000)  # raises when it was reset
        assert not connection.recv(65536), "closed in order, when all was read"
    assert answer.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "body",
    [
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\nabc',
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\nabc\r\n--b',
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\nabc\r\n--b\r\n',
        b"",
        b"no boundary at all",
        b"--b\r\nContent-Disposition: attachment\r\n\r\nabc\r\n--b--\r\n",
        b"--b\r\n"
        + b'Content-Disposition: form-data; name="f"; filename="a"\r\n' * 2
        + b"\r\nabc\r\n--b--\r\n",
        b"--b\r\n" + b"X-Header: " + b"y" * 100_000 + b"\r\n\r\nabc\r\n--b--\r\n",
        b"".join(
            b'--b\r\nContent-Disposition: form-data; name="t"\r\n\r\nx\r\n' for _ in range(1001)
        )
        + b"--b--\r\n",
    ],
)
def test_a_broken_multipart_body_is_a_400_and_stores_nothing(
    form: FormClient, stack: Stack, body: bytes
) -> None:
    before = stack.staged_files()
    problem(_post(form, body, "b"), 400, "malformed-multipart")
    section = form.http.patch(
        form.path, content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert section.status_code in (400, 422)
    assert form.read()["uploads"]["needed"] == []
    assert set(stack.staged_files()) <= set(before)


WHOLE = 5_000_000


@pytest.mark.parametrize("way", ["reset", "closed"])
@pytest.mark.parametrize(
    "rest",
    [
        *(
            b"Content-Length: %d\r\n\r\n" % WHOLE + bytes(WHOLE * each // 100)
            for each in (10, 50, 99)
        ),
        b"Transfer-Encoding: chunked\r\n\r\n493e0\r\n" + bytes(300_000) + b"\r\n",
    ],
    ids=["at 10 %", "at 50 %", "at 99 %", "chunked"],
)
def test_a_body_that_breaks_off_stores_nothing(
    form: FormClient, stack: Stack, rest: bytes, way: str
) -> None:
    before = stack.staged_files()
    head = (
        f"PUT {form.path}/fields/bulk/uploads/k HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {form.token}\r\n"
    )

    def arriving() -> list[str]:
        return [path.name for path in (Path(stack.info["staging_dir"]) / "incoming").iterdir()]

    url = form.http.base_url
    with socket.create_connection((url.host, url.port), timeout=10) as connection:
        connection.sendall(head.encode() + rest)
        until(arriving, "nothing arrives")
        if way == "reset":
            at_once = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        else:
            connection.shutdown(socket.SHUT_WR)
            assert not connection.recv(65536).startswith(b"HTTP/1.1 2")
    until(
        lambda: not arriving(), "it is still waited for"
    )  # the connection ends before the request
    assert set(stack.staged_files()) <= set(before)
    assert form.read()["uploads"]["bulk"] == []


def test_a_wrong_type_is_found_in_the_bytes_and_explained(form: FormClient) -> None:
    spoofed = form.final(form.upload("needed", jpeg(), filename="photo.png"))
    assert spoofed["status"] == "rejected"
    assert spoofed["detected_type"] == "image/jpeg"
    assert spoofed["error"] == {
        "code": "file-invalid-type",
        "detail": "The selected file must be a PNG or PDF",
        "params": {"detected_type": "image/jpeg"},
        "retryable": False,
    }
    assert spoofed["public_url"] is None
    html = form.final(form.upload("needed", b"<html><script>x()</script></html>" * 10))
    assert html["error"]["code"] == "file-invalid-type"
    own = form.final(form.upload("tiny", b"GIF89a" + bytes(300), filename="a.png"))
    assert own["error"]["detail"] == "Only a PDF or a PNG, please"


def test_an_innocently_misnamed_file_is_accepted_as_what_it_is(form: FormClient) -> None:
    stored = form.stored("needed", pdf(), filename="scan.png", kind="image/png")
    assert stored["detected_type"] == "application/pdf"
    assert stored["object"]["pages"] == 1


@pytest.mark.parametrize(
    ("content", "field", "code"),
    [
        (png(399, 800), "headshot", "image-too-small"),
        (jpeg(500, 500)[:-20_000], "headshot", "file-corrupt"),
        (pdf(password="secret"), "licence", "file-encrypted"),
        (b"%PDF-1.7\n" + b"x" * 500, "licence", "file-corrupt"),
    ],
)
def test_a_file_that_breaks_its_fields_policy_is_rejected_with_a_reason(
    signup: FormClient, content: bytes, field: str, code: str
) -> None:
    rejected = signup.final(signup.upload(field, content))
    assert rejected["status"] == "rejected"
    assert rejected["error"]["code"] == code
    assert rejected["error"]["detail"]
    assert rejected["poll_after_ms"] is None


def test_a_file_below_its_fields_least_size_is_rejected(form: FormClient) -> None:
    rejected = form.final(form.upload("tiny", b"%PDF-1.4 too small"))
    assert rejected["error"]["code"] == "file-too-small"
    assert rejected["error"]["detail"] == "The selected file must be at least 50 bytes"


def test_only_a_failed_upload_can_be_retried(form: FormClient) -> None:
    stored = form.stored("needed", png())
    problem(form.http.post(f"/v1/uploads/{stored['id']}/retry"), 409, "not-failed")
    rejected = form.final(form.upload("needed", jpeg()))
    problem(form.http.post(f"/v1/uploads/{rejected['id']}/retry"), 409, "not-failed")
    problem(form.http.get(f"/v1/uploads/{rejected['id']}/content"), 409, "not-stored")
    none = problem(form.http.get(f"/v1/uploads/{stored['id']}/content/nosuch"), 404, "not-found")
    assert none["detail"] == "This file has no such derivative."


def test_a_file_that_dropzone_sends_in_chunks_is_stored(form: FormClient) -> None:
    content, size = png(colour="red"), 60
    count = -(-len(content) // size)

    def sent(index: int, **other: object) -> httpx.Response:
        fields = {
            "dzuuid": "6b1f",
            "dzchunkindex": index,
            "dztotalfilesize": len(content),
            "dzchunksize": size,
            "dztotalchunkcount": count,
            "dzchunkbyteoffset": index * size,
            **other,
        }
        chunk = content[index * size : (index + 1) * size]
        return form.http.post(
            f"{form.path}/fields/pair/uploads",
            data={name: str(value) for name, value in fields.items()},
            files={"file": ("a.png", chunk)},
        )

    form.stored("pair", png())
    statuses = [sent(index).status_code for index in reversed(range(count))]
    assert statuses == [*[200] * (count - 1), 202]
    again = sent(0)
    assert again.status_code == 202, "though its field is full by now"
    problem(sent(0, dzuuid="other"), 409, "too-many-files")
    problem(sent(0, dzchunkindex=count), 422, "piece-mismatch")
    problem(sent(0, dztotalfilesize=len(content) - 1), 422, "key-reused")
    assert form.final(again.json())["sha256"] == hashlib.sha256(content).hexdigest()


def test_removing_an_upload_takes_its_value_only_if_it_held_it(form: FormClient) -> None:
    older = form.stored("needed", png())
    newer = form.stored("needed", png(colour="red"))
    assert form.http.delete(f"/v1/uploads/{older['id']}").status_code == 204
    assert form.read()["data"]["needed"] == newer["public_url"]
    assert form.http.delete(f"/v1/uploads/{newer['id']}").status_code == 204
    assert form.http.delete(f"/v1/uploads/{newer['id']}").status_code == 204
    assert "needed" not in form.read()["data"]
    assert form.http.get(f"/v1/uploads/{newer['id']}").json()["status"] == "removed"


def _post(form: FormClient, body: bytes, boundary: str) -> httpx.Response:
    return form.http.post(
        f"{form.path}/fields/needed/uploads",
        content=body,
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
