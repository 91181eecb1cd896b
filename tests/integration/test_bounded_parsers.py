"""Nothing that one client sends holds the loop for the others: every place that is parsed, filled
with what parsers stumble over, up to the size that is admitted, on both listeners.

What counts is the processor time of the loop's thread, the best of three: a busy machine makes it
wait, but not work more.
"""

import socket
from collections.abc import Iterator
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
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with ApiProcess(tmp_path_factory.mktemp("bounded")) as running:
        yield running


@pytest.fixture(scope="module")
def client(api: ApiProcess) -> FormClient:
    return FormClient(api.url, "acceptance")


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
