"""Nothing that one client sends holds the loop for the others: every place that is parsed, filled
with what parsers stumble over, up to the size that is admitted, on both listeners.

What counts is the processor time of the loop's thread, the best of three: a busy machine makes it
wait, but not work more.
"""

import socket
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from api.http.head import MAX_HEADER, MAX_TARGET
from tests.support.api_process import ApiProcess
from tests.support.client import FormClient

STUFFING = ['"', "\\", ";", ",", "=", "%", "(", ")", "<", ">", " ", "\t", '\\"', "a=", ',"', ";a="]
MOST_SECONDS = 0.05
HEADERS = {
    "cookie": 'x="{}"; longshore_form="{}',
    "content-disposition": 'attachment; filename="{}',
    "content-type": "multipart/form-data; boundary={}",
    "accept": "text/html;q={}",
    "prefer": "wait{}",
    "if-match": '"{}',
    "repr-digest": "sha-256=:{}",
    "authorization": "Bearer {}",
    "referer": "http://[{}",
    "origin": "http://[{}",
    "x-request-id": "{}",
    "accept-language": "en;q={}",
    "chunk-metadata": '{"a":{}',
    "last-event-id": "{}",
    "traceparent": "00-{}",
    "upload-name": "{}",
    "x-chunk-index": "{}",
    "x-http-method-override": "{}",
}
OF_RESUMABLE = {
    "upload-metadata": "filename {}",
    "upload-checksum": "sha1 {}",
    "upload-length": "{}",
    "upload-offset": "{}",
    "upload-complete": "?1;{}",
    "upload-incomplete": "?0;{}",
    "upload-concat": "final;{}",
    "upload-defer-length": "{}",
    "upload-draft-interop-version": "{}",
    "tus-resumable": "{}",
    "content-disposition": "attachment; filename*={}",
    "content-digest": "sha-256=:{}",
    "repr-digest": "sha-256=:{}",
    "upload-name": "{}",
    "x-http-method-override": "{}",
}
"""Headers of requests that bring a file in pieces."""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with ApiProcess(tmp_path_factory.mktemp("bounded")) as running:
        yield running


@pytest.fixture(scope="module")
def client(api: ApiProcess) -> FormClient:
    return FormClient(api.url, "acceptance")


@pytest.fixture(scope="module")
def upload(client: FormClient) -> str:
    """The address of one that is being received."""
    begins = {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    answer = client.http.post(f"{client.path}/fields/bulk/tus", headers=begins)
    return str(answer.headers["location"])


@pytest.mark.parametrize("stuffing", STUFFING)
@pytest.mark.parametrize("listener", ["public", "internal"])
@pytest.mark.parametrize("header", sorted({*HEADERS, *(n.decode() for n in MAX_HEADER)}))
def test_no_header_holds_the_loop(
    api: ApiProcess, client: FormClient, header: str, listener: str, stuffing: str
) -> None:
    port = api.port if listener == "public" else api.internal_port
    path = "/v1/forms" if listener == "public" else "/internal/cleanings/claim"
    pattern = HEADERS.get(header, "{}")
    for size in (MAX_HEADER.get(header.encode(), 60_000), 60_000):
        value = _filled(pattern, stuffing, size)
        for method, target in (
            ("POST", path),
            ("GET", "/"),
            ("PUT", f"{client.path}/fields/bulk/uploads/k"),
        ):
            own = "" if header == "authorization" else f"Authorization: Bearer {client.token}\r\n"
            head = f"{method} {target} HTTP/1.1\r\nHost: lo\r\n{own}{header}: {value}\r\n"
            _cheap(api, port, f"{head}Connection: close\r\n\r\n".encode())


@pytest.mark.parametrize("header", list(OF_RESUMABLE))
def test_no_header_of_an_upload_in_pieces_holds_the_loop(
    api: ApiProcess, client: FormClient, upload: str, header: str
) -> None:
    field = f"{client.path}/fields/bulk"
    tus = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Upload-Length": "5"}
    ietf = {"Upload-Complete": "?1", "Upload-Offset": "0", "Upload-Length": "5"}
    chunk = {"Upload-Offset": "0", "Upload-Length": "5"}
    for method, target, others in (
        ("POST", f"{field}/tus", tus),
        ("POST", f"{field}/tus", ietf),
        ("PATCH", upload, tus),
        ("PATCH", upload, ietf),
        ("HEAD", upload, tus),
        ("PATCH", f"{field}/filepond?patch={upload[-30:]}", chunk),
        ("POST", f"{field}/filepond", chunk),
    ):
        sent = {**others, "Authorization": f"Bearer {client.token}", "Connection": "close"}
        sent["Content-Type"] = "application/offset+octet-stream" if method == "PATCH" else "a/b"
        lines = [f"{name}: {each}" for name, each in sent.items() if name.lower() != header]
        for stuffing, size in product(STUFFING, (MAX_HEADER.get(header.encode(), 8000), 60_000)):
            value = _filled(OF_RESUMABLE[header], stuffing, size)
            head = [f"{method} {target} HTTP/1.1", "Host: lo", *lines, f"{header}: {value}"]
            _cheap(api, api.port, ("\r\n".join(head) + "\r\n\r\n").encode())


@pytest.mark.parametrize("stuffing", STUFFING)
@pytest.mark.parametrize("listener", ["public", "internal"])
def test_no_address_holds_the_loop(
    api: ApiProcess, client: FormClient, listener: str, stuffing: str
) -> None:
    port = api.port if listener == "public" else api.internal_port
    written = "".join(f"%{ord(char):02X}" for char in stuffing)
    for start in (
        "/v1/forms?after=",
        "/?",
        "/signup/about?missing=",
        f"{client.path}/fields/bulk/uploads/",
    ):
        for piece in (written, stuffing.replace(" ", "+").replace("\t", "%09")):
            for size in (MAX_TARGET, 60_000):
                target = start + piece * ((size - len(start)) // len(piece))
                head = f"GET {target} HTTP/1.1\r\nHost: lo\r\nConnection: close\r\n"
                head += f"Authorization: Bearer {client.token}\r\n\r\n"
                _cheap(api, port, head.encode())


def _filled(pattern: str, stuffing: str, size: int) -> str:
    room = (size - len(pattern)) // max(1, pattern.count("{}"))
    return pattern.replace("{}", stuffing * (room // len(stuffing)))


def _cheap(api: ApiProcess, port: int, raw: bytes) -> None:
    spent = []
    for _ in range(3):
        before = _busy(api)
        _ask(port, raw)
        spent.append(_busy(api) - before)
        if spent[-1] < MOST_SECONDS:
            return
    raise AssertionError(f"{min(spent):.3f} s for {raw[:200]!r}")


def _busy(api: ApiProcess) -> float:
    """Seconds of processor time that the loop's thread has had."""
    assert api.process
    pid = api.process.pid
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def _ask(port: int, raw: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        answer = b""
        try:
            connection.sendall(raw)
            while chunk := connection.recv(65536):
                answer += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
    return answer
