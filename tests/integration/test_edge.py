"""The edge of the real process: slow and many clients, and a stop in good order."""

import json
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from api.http.connections import Connections
from tests.support.api_process import ApiProcess
from tests.support.client import FormClient

HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nHost: lo"
HEAD_SECONDS = 1.5
MANY = 500


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    """Impatient: what takes a minute elsewhere takes two seconds here."""
    settings = {
        "receive_head_seconds": HEAD_SECONDS,
        "receive_idle_seconds": 5,
        "receive_rate_seconds": 2,
        "receive_min_bytes_per_second": 1000,
    }
    with ApiProcess(tmp_path_factory.mktemp("edge"), **settings) as running:
        yield running


def test_five_hundred_half_heads_are_cut_and_disturb_nobody(api: ApiProcess) -> None:
    connections = [_connected(api) for _ in range(MANY)]
    began = time.monotonic()
    for connection in connections:
        connection.sendall(HALF_A_HEAD)
    client = FormClient(api.url, "acceptance")
    assert client.send("needed", b"content").status_code == 202
    answers = [_rest(connection) for connection in connections]
    assert time.monotonic() - began < 60
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
    head, _, body = answers[0].partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert json.loads(body)["code"] == "request-timeout"


def test_a_connection_that_says_nothing_is_closed_without_an_answer(api: ApiProcess) -> None:
    assert _rest(_connected(api)) == b""


def test_what_came_of_a_resumable_upload_before_its_connection_broke_is_kept(
    api: ApiProcess,
) -> None:
    """Also where that is before anybody read it: on a line that breaks again and again an upload
    would go nowhere."""
    form = FormClient(api.url, "acceptance")
    tus = {"Tus-Resumable": "1.0.0"}
    begun = form.http.post(
        f"{form.path}/fields/bulk/tus", headers={**tus, "Upload-Length": "100000"}
    )
    url = begun.headers["location"]
    at = connections = 0
    while at < 50_000:
        connections += 1
        assert connections < 50, at
        head = (
            f"PATCH {url} HTTP/1.1\r\nHost: lo\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {at}\r\n"
            "Content-Type: application/offset+octet-stream\r\n"
            f"Content-Length: {100_000 - at}\r\n\r\n"
        )
        with _connected(api) as connection:
            connection.sendall(head.encode() + bytes(10_000))
        told = form.http.head(url, headers=tus)  # 423 while it is being kept
        at = int(told.headers.get("upload-offset", at))


def test_half_a_second_head_is_cut_too(api: ApiProcess) -> None:
    for beginning in (HALF_A_HEAD, b"\r\n"):
        connection = _connected(api)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: lo\r\n\r\n")
        answer = b""
        while not answer.endswith(b'"}'):
            answer += connection.recv(65536)
        connection.sendall(beginning)
        assert _rest(connection, seconds=HEAD_SECONDS + 10).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_trickles_is_cut_off_and_leaves_nothing(api: ApiProcess) -> None:
    client = FormClient(api.url, "acceptance")
    connection = _connected(api)
    connection.sendall(_head(client, 1_000_000))
    answer = _trickle(connection, 10, every=0.05)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"request-timeout"' in answer
    assert client.read()["uploads"].get("bulk", []) == []
    assert not [name for name in api.files() if (api.folder / "volume/incoming" / name).exists()]


def test_a_body_that_is_slow_and_fast_enough_is_taken(api: ApiProcess) -> None:
    client = FormClient(api.url, "acceptance")
    connection = _connected(api)
    connection.sendall(_head(client, 10_000))
    answer = _trickle(connection, 125, every=0.05, total=10_000)  # 2500 B/s, for four seconds
    assert answer.startswith(b"HTTP/1.1 202 ")


def test_a_connection_too_many_is_told_so_until_another_is_closed(tmp_path: Path) -> None:
    with ApiProcess(tmp_path, max_connections_per_client=3) as api:
        _until(lambda: _status(api) == 200)
        held = [_connected(api) for _ in range(3)]
        for connection in held:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: lo\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        for _ in range(2):  # who is refused makes no room for the next
            refused = _rest(_connected(api))
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: " in refused
        held.pop().close()
        _until(lambda: _status(api) == 200)


def test_connections_are_bounded_in_all_and_for_each_address() -> None:
    both = Connections(in_all=3, per_client=2)
    assert [both.admit(client) for client in "aaabb"] == [True, True, False, True, False]
    both.gone("a")
    assert both.admit("b")
    assert not both.admit("c")
    assert all(Connections().admit("a") for _ in range(10_000)), "0 is no limit"


def test_sigterm_lets_a_body_finish_and_sends_new_requests_elsewhere(tmp_path: Path) -> None:
    with ApiProcess(tmp_path, shutdown_seconds=20) as api:
        client = FormClient(api.url, "acceptance")
        connection = _connected(api)
        connection.sendall(_head(client, 600_000) + bytes(500_000))
        _until(lambda: len(api.files()) == 1)
        with httpx.Client(base_url=api.url, trust_env=False) as kept:
            assert kept.get("/readyz").status_code == 200
            api.terminate()
            _until(lambda: _is_closed(api))
            _until(lambda: "api_stopping" in api.log.read_text())
            refused = kept.get("/readyz")
        assert refused.json()["code"] == "unavailable"
        assert refused.headers["connection"] == "close"
        assert int(refused.headers["retry-after"]) > 0
        internal = f"http://127.0.0.1:{api.internal_port}/healthz"
        assert httpx.get(internal, trust_env=False).status_code == 200, "workers still report"
        connection.sendall(bytes(100_000))
        assert _rest(connection).startswith(b"HTTP/1.1 202 ")
        assert api.ended(30) == 0
        assert len(api.files()) == 1


def test_what_outlasts_the_grace_is_broken_off_and_leaves_nothing(tmp_path: Path) -> None:
    with ApiProcess(tmp_path, shutdown_seconds=1) as api:
        client = FormClient(api.url, "acceptance")
        connection = _connected(api)
        connection.sendall(_head(client, 1_000_000) + bytes(400_000))
        _until(lambda: len(api.files()) == 1)
        api.terminate()
        assert api.ended(30) == 0
        answer = _rest(connection)
        assert answer.startswith(b"HTTP/1.1 503 "), answer
        assert b'"code":"unavailable"' in answer
        assert api.files() == []


def test_the_key_of_a_body_in_which_an_api_died_is_free_once_it_is_back(tmp_path: Path) -> None:
    dying = ApiProcess(tmp_path)
    with dying:
        client = FormClient(dying.url, "acceptance")
        connection = _connected(dying)
        connection.sendall(_head(client, 1_000_000, "k") + bytes(400_000))
        _until(lambda: _marks(tmp_path) == 1)
    assert _marks(tmp_path) == 1, "it was killed"
    shutil.rmtree(tmp_path / "forms")
    with ApiProcess(tmp_path) as back:
        client.http.base_url = httpx.URL(back.url)
        assert client.put("bulk", "k", b"content").status_code == 202


def _marks(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "records.db")) as records:
        (found,) = records.execute("SELECT count(*) FROM running_keys").fetchone()
    return int(found)


def test_who_was_let_in_before_the_door_was_closed_is_answered(tmp_path: Path) -> None:
    with ApiProcess(tmp_path) as api, _connected(api) as early:
        _until(lambda: _status(api) == 200)  # and so the one before it is accepted
        api.terminate()
        _until(lambda: _is_closed(api))
        early.sendall(b"GET /healthz HTTP/1.1\r\nHost: lo\r\nConnection: close\r\n\r\n")
        assert _rest(early).startswith(b"HTTP/1.1 200 ")


def _is_closed(api: ApiProcess) -> bool:
    """Whether nobody can connect any more: a proxy goes on to the next replica then."""
    try:
        _connected(api).close()
    except ConnectionResetError:  # it was closed under the one that was connecting
        return False
    except ConnectionRefusedError:
        return True
    return False


def _connected(api: ApiProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", api.port), timeout=15)


def _head(client: FormClient, length: int, key: str = "") -> bytes:
    return (
        f"PUT {client.path}/fields/bulk/uploads/{key or time.monotonic_ns()} HTTP/1.1\r\nHost: lo\r\n"
        f"Authorization: Bearer {client.token}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def _trickle(
    connection: socket.socket, piece: int, *, every: float, total: int = 1_000_000
) -> bytes:
    """Send a piece at a time until there is an answer, and return it whole."""
    connection.settimeout(every)
    for _ in range(total // piece):
        connection.sendall(bytes(piece))
        try:
            return connection.recv(65536) + _rest(connection)
        except TimeoutError:
            continue
    return _rest(connection)


def _rest(connection: socket.socket, seconds: float = 15) -> bytes:
    """All that comes until the other side closes, or until a whole answer was read."""
    connection.settimeout(seconds)
    answer = b""
    with connection:
        try:
            while chunk := connection.recv(65536):
                answer += chunk
                if answer.startswith(b"HTTP/1.1 202 ") and answer.endswith(b"}"):
                    break
        except ConnectionResetError:
            pass
    return answer


def _status(api: ApiProcess) -> int:
    try:
        return httpx.get(f"{api.url}/healthz", trust_env=False).status_code
    except httpx.TransportError:  # refused at the door, before the request was read
        return 0


def _until(holds: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
