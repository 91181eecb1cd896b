"""Sending twice is safe, and what arrives is what was sent."""

import base64
import hashlib
import socket
import time
from urllib.parse import urlsplit

import httpx

from tests.support.client import FormClient, exchange, problem
from tests.support.files import png


def _keyed(form: FormClient, key: str, content: bytes, **headers: str) -> httpx.Response:
    return form.http.post(
        f"{form.path}/fields/needed/uploads",
        files={"file": ("a.png", content, "image/png")},
        headers={"Idempotency-Key": key, **headers},
    )


def _digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def test_the_same_key_returns_the_first_upload_as_it_is_now(form: FormClient) -> None:
    first = _keyed(form, "k", png()).json()
    assert form.final(first)["status"] == "stored"
    again = _keyed(form, "k", png())
    assert again.status_code == 202
    assert again.json()["id"] == first["id"]
    assert again.json()["status"] == "stored"
    problem(_keyed(form, "k", png(colour="red")), 422, "key-reused")
    assert len(form.read()["uploads"]["needed"]) == 1
    assert _keyed(form, "other", png(colour="red")).json()["id"] != first["id"]


def test_while_the_first_is_still_running_the_second_is_told_to_wait(form: FormClient) -> None:
    parts = urlsplit(str(form.http.base_url))
    head = (
        f"PUT {form.path}/fields/needed/uploads/slow HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {form.token}\r\nContent-Length: {len(png())}\r\n"
        "Expect: 100-continue\r\n\r\n"
    ).encode()
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as slow:
        slow.sendall(head)
        assert slow.recv(4096).startswith(b"HTTP/1.1 100 "), "it has begun"
        slow.sendall(png()[:20])
        answer = form.put("needed", "slow", png())
        body = problem(answer, 409, "upload-running")
        assert body["retryable"] is True
        assert int(answer.headers["retry-after"]) >= 1
        slow.sendall(png()[20:])
        assert b" 202 " in slow.recv(4096)
    assert form.put("needed", "slow", png()).status_code == 202
    assert len(form.read()["uploads"]["needed"]) == 1


def test_a_request_that_failed_frees_its_key(form: FormClient) -> None:
    problem(_keyed(form, "k", b""), 422, "file-empty")
    head = (
        f"PUT {form.path}/fields/needed/uploads/k HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {form.token}\r\nContent-Length: 100\r\n\r\nabc"
    ).encode()
    exchange(str(form.http.base_url), head, half_close=True)
    deadline = time.monotonic() + 5
    while (answer := _keyed(form, "k", png())).status_code != 202:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)


def test_a_key_belongs_to_its_field(form: FormClient) -> None:
    one = form.put("needed", "same", png()).json()
    two = form.put("pair", "same", png()).json()
    assert one["id"] != two["id"]


def test_the_clients_digest_is_checked(form: FormClient) -> None:
    good = form.put("needed", "a", png(), **{"Repr-Digest": _digest(png())})
    assert good.status_code == 202
    bad = form.put("needed", "b", png(), **{"Repr-Digest": _digest(b"other")})
    problem(bad, 422, "digest-mismatch")
    of_file = _keyed(form, "c", png(), **{"Repr-Digest": f"sha-512=:AA==:, {_digest(png())}"})
    assert of_file.status_code == 202
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nx\r\n--b--\r\n'
    of_body = form.http.post(
        f"{form.path}/fields/needed/uploads",
        content=body,
        headers={"Content-Type": "multipart/form-data; boundary=b", "Repr-Digest": _digest(body)},
    )
    assert of_body.status_code == 202
    whole = _digest(png())
    for garbled in ("sha-256=:AAAA:", whole.removesuffix(":"), whole.replace(":", '"')):
        odd = form.put("needed", "d", png(), **{"Repr-Digest": garbled})
        problem(odd, 400, "bad-request")
    assert len(form.read()["uploads"]["needed"]) == 3
