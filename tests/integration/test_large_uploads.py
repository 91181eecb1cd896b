"""Large files at the real process: what is on the volume is what was sent, whoever sends beside."""

import hashlib
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.http.large_bodies import SIZE
from tests.support.api_process import ApiProcess
from tests.support.client import FormClient
from tests.support.tus import BYTES, TUS

MANY = 24
CONTENT = os.urandom(4 * SIZE + 7)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with ApiProcess(tmp_path_factory.mktemp("large")) as running:
        yield running


def _on_volume(api: ApiProcess, upload_id: str) -> bytes:
    return (api.folder / "volume/staged" / upload_id).read_bytes()


@pytest.mark.parametrize("way", ["put", "post", "chunked"])
def test_many_at_once_are_not_mixed_up(api: ApiProcess, way: str) -> None:
    """More than there are buffers, which they take turns with."""

    def send(number: int) -> None:
        content = bytes([number]) + CONTENT[number:]
        form = FormClient(api.url, "acceptance")
        if way == "post":
            answer = form.send("bulk", content)
        else:
            answer = form.put("bulk", "key", [content] if way == "chunked" else content)
        assert answer.status_code == 202, answer.text
        upload = answer.json()
        assert upload["sha256"] == hashlib.sha256(content).hexdigest()
        assert _on_volume(api, upload["id"]) == content

    with ThreadPoolExecutor(MANY) as threads:
        list(threads.map(send, range(MANY)))


def test_a_resumable_one_whose_connections_break_is_whole_in_the_end(api: ApiProcess) -> None:
    form = FormClient(api.url, "acceptance")
    length = {"Upload-Length": str(len(CONTENT))}
    begun = form.http.post(f"{form.path}/fields/bulk/tus", headers={**TUS, **length})
    url = begun.headers["location"]
    at = connections = 0
    while at < 2 * SIZE:
        connections += 1
        assert connections < 50, at
        head = (
            f"PATCH {url} HTTP/1.1\r\nHost: lo\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {at}\r\n"
            "Content-Type: application/offset+octet-stream\r\n"
            f"Content-Length: {len(CONTENT) - at}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", api.port), timeout=15) as connection:
            connection.sendall(head.encode() + CONTENT[at : at + SIZE + 100_000])
        told = form.http.head(url, headers=TUS)  # 423 while it is being kept
        at = int(told.headers.get("upload-offset", at))
    sent = form.http.patch(url, content=CONTENT[at:], headers={**BYTES, "Upload-Offset": str(at)})
    assert sent.status_code == 204, sent.text
    upload = form.http.get(url).json()
    assert upload["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert _on_volume(api, upload["id"]) == CONTENT


def test_who_says_that_nothing_follows_it_is_answered(api: ApiProcess) -> None:
    form = FormClient(api.url, "acceptance")
    head = (
        f"PUT {form.path}/fields/bulk/uploads/key HTTP/1.1\r\nHost: lo\r\n"
        f"Authorization: Bearer {form.token}\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as connection:
        connection.sendall(head.encode() + CONTENT)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000).startswith(b"HTTP/1.1 202 ")


def test_one_that_is_refused_in_its_middle_is_told_why(api: ApiProcess) -> None:
    form = FormClient(api.url, "acceptance")
    files = [("file", (name, CONTENT, "application/pdf")) for name in "ab"]
    answer = form.http.post(f"{form.path}/fields/bulk/uploads", files=files)
    assert (answer.status_code, answer.json()["code"]) == (422, "too-many-files")
