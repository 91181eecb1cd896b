"""The proxy's own configuration, with other addresses, in front of two apis."""

import base64
import contextlib
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from api.http.head import MAX_HEADER
from dev.ports import free_port
from tests.support.api_process import ApiProcess
from tests.support.client import FormClient, problem
from tests.support.compose import CHECKOUT, program, with_programs
from tests.support.events import following
from tests.support.examples import example
from tests.support.faulty_stack import until
from tests.support.files import png
from tests.support.proxy import CONFIG, FIRST, SECOND, SECONDS, Names, Proxy, run_nginx, run_proxy
from tests.support.stack import Stack

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-ID: req_of_the_api\r\n\r\nok"


@dataclass
class Replica:
    """An api that keeps what reaches it, as it comes."""

    address: str
    port: int
    requests: list[bytearray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = socket.create_server((self.address, self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._take, args=[connection], daemon=True).start()

    def _take(self, connection: socket.socket) -> None:
        seen = bytearray()
        self.requests.append(seen)
        with connection:
            while not _whole(seen):
                data = connection.recv(65536)
                if not data:
                    return
                seen += data
            connection.sendall(ANSWER)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # the thread that accepts holds it open
        self._server.close()


def _whole(request: bytearray) -> bool:
    """Whether the request ended, told by its length; a chunked one by its last chunk."""
    head, found, body = bytes(request).partition(b"\r\n\r\n")
    if not found:
        return False
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    if b"transfer-encoding: chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    return not lengths or len(body) >= int(lengths[0].split(b":")[1])


def _pair() -> tuple[Replica, Replica]:
    """On one port, which others may use on one of the addresses."""
    for _ in range(9):
        first = Replica(FIRST, free_port())
        try:
            return first, Replica(SECOND, first.port)
        except OSError:
            first.stop()
    raise OSError("no port is free on both")


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    first, second = _pair()
    yield [first, second]
    for replica in (first, second):
        replica.stop()


@pytest.fixture
def proxy(tmp_path: Path, replicas: list[Replica]) -> Iterator[Proxy]:
    names = Names(FIRST, SECOND)
    with run_proxy(tmp_path, names, replicas[0].port) as running:
        yield running
    names.close()


@pytest.fixture
def to_the_stack(tmp_path: Path, stack: Stack) -> Iterator[Proxy]:
    """The proxy in front of a real api."""
    names = Names(FIRST)
    with run_proxy(tmp_path, names, stack.port) as running:
        yield running
    names.close()


def seen_by(replicas: list[Replica]) -> list[bytes]:
    return [bytes(request) for replica in replicas for request in replica.requests]


def wait_until_seen(replicas: list[Replica], wanted: bytes) -> bytes:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for request in seen_by(replicas):
            if wanted in request:
                return request
        time.sleep(0.02)
    raise AssertionError(f"{wanted!r} never came: {seen_by(replicas)}")


@pytest.mark.parametrize(
    ("framing", "first", "last"),
    [
        ("Content-Length: 10", b"first", b"-last"),
        ("Transfer-Encoding: chunked", b"5\r\nfirst\r\n", b"5\r\n-last\r\n0\r\n\r\n"),
    ],
)
def test_the_api_sees_the_first_bytes_before_the_client_sent_the_last(
    proxy: Proxy, replicas: list[Replica], framing: str, first: bytes, last: bytes
) -> None:
    with proxy.open(f"POST /v1/x HTTP/1.1\nHost: h\n{framing}\n\n") as connection:
        connection.sendall(first)
        early = wait_until_seen(replicas, b"first")
        assert b"last" not in early
        connection.sendall(last)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    wait_until_seen(replicas, b"-last")


def test_both_replicas_serve(proxy: Proxy, replicas: list[Replica]) -> None:
    for _ in range(12):
        assert proxy.get("/v1/x").status == 200
    assert all(replica.requests for replica in replicas)


def test_a_replica_that_is_gone_is_passed_over(proxy: Proxy, replicas: list[Replica]) -> None:
    replicas[0].stop()
    assert [proxy.get("/v1/x").status for _ in range(8)] == [200] * 8
    assert len(replicas[1].requests) == 8


def test_without_an_api_it_answers_as_the_api_would(proxy: Proxy, replicas: list[Replica]) -> None:
    for each in replicas:
        each.stop()
    answer = httpx.get(
        f"{proxy.url}/v1/x?a=secret", headers={"X-Request-ID": "mine"}, trust_env=False
    )
    assert problem(answer, 503, "unavailable")["request_id"] == "mine"
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["x-request-id"] == "mine"
    (line,) = proxy.logged()
    assert (line["path"], line["status"], line["request_id"]) == ("/v1/x", 503, "mine")


WHERE_IT_STANDS = [{"Tus-Resumable": "1.0.0"}, {"Upload-Draft-Interop-Version": "6"}]


@pytest.mark.parametrize("spoken", WHERE_IT_STANDS)
def test_without_an_api_a_client_that_asks_where_its_upload_stands_is_to_ask_again(
    proxy: Proxy, replicas: list[Replica], spoken: dict[str, str]
) -> None:
    for each in replicas:
        each.stop()
    with httpx.Client(base_url=proxy.url, trust_env=False) as http:
        for path in ("/v1/uploads/upl_x", "/apply/v1/uploads/upl_x"):
            answer = http.head(path, headers=spoken)
            assert (answer.status_code, answer.headers["retry-after"]) == (423, "5"), path
        for method, path, headers in (
            ("HEAD", "/v1/uploads/upl_x", {}),
            ("PATCH", "/v1/uploads/upl_x", spoken),
            ("HEAD", "/v1/uploads/upl_x/content", spoken),
        ):
            answer = http.request(method, path, headers=headers)
            assert answer.status_code == 503, (method, path)


@pytest.fixture
def later(tmp_path: Path) -> Iterator[httpx.Client]:
    """What may stand in for the apis behind another controller, as docs/kubernetes.md has it."""
    port = free_port()
    rules = example(CHECKOUT / "docs/kubernetes.md", "later.conf")
    assert rules.count("listen 8080;") == 1
    rules = rules.replace("listen 8080;", f"listen {FIRST}:{port};")
    config = f"pid {tmp_path}/nginx.pid; events {{}} http {{ access_log off; {rules} }}"
    with (
        run_nginx(tmp_path, config, port),
        httpx.Client(base_url=f"http://{FIRST}:{port}", trust_env=False) as http,
    ):
        yield http


@pytest.mark.parametrize("spoken", WHERE_IT_STANDS)
@pytest.mark.parametrize("asked_an_api", [False, True])
def test_in_place_of_the_apis_of_an_ingress_the_same_is_told(
    later: httpx.Client, spoken: dict[str, str], *, asked_an_api: bool
) -> None:
    def ask(method: str, path: str, headers: dict[str, str]) -> httpx.Response:
        if not asked_an_api:
            return later.request(method, path, headers=headers)
        return later.request(method, "/", headers={**headers, "X-Original-URI": path})

    for path in ("/v1/uploads/upl_x", "/apply/v1/uploads/upl_x?a=b"):
        answer = ask("HEAD", path, spoken)
        assert (answer.status_code, answer.headers["retry-after"]) == (423, "5")
    assert ask("HEAD", "/v1/uploads/upl_x", {}).status_code == 503
    assert ask("HEAD", "/v1/uploads/upl_x/content", spoken).status_code == 503
    problem(ask("PATCH", "/v1/uploads/upl_x", spoken), 503, "unavailable")


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        ("GET /internal/x", 404, "not-found"),
        (f"GET /{'a' * 20_000}", 414, "uri-too-long"),
        ("GET / HTTP/1.1\nHost", 400, "bad-request"),
    ],
)
def test_what_it_refuses_itself_is_a_problem(
    proxy: Proxy, request_line: str, status: int, code: str
) -> None:
    line = request_line if "HTTP" in request_line else f"{request_line} HTTP/1.1\nHost: h"
    with proxy.open(f"{line}\nConnection: close\n\n") as connection:
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert b"Content-Type: application/problem+json" in answer
    assert f'"code":"{code}"'.encode() in answer


def test_its_error_log_is_json_without_the_request(tmp_path: Path) -> None:
    nginx = 'echo \'2026/11/27 18:40:56 [error] 7#7: *3 connect() "failed" \\x (111), client: 192.0.2.1, server: , request: "GET /v1?a=secret HTTP/1.1", host: "h"\' >&2\n'
    program(tmp_path / "bin", "nginx", nginx)
    script = (CHECKOUT / "deploy/proxy/start.sh").read_text("utf-8")
    (tmp_path / "start.sh").write_text(script.replace("/tmp/errors", f"{tmp_path}/errors"))
    said = subprocess.run(
        ["sh", tmp_path / "start.sh"],
        env=with_programs(tmp_path / "bin", {}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(said.stdout) == {
        "service": "proxy",
        "time": "2026-11-27T18:40:56Z",
        "level": "error",
        "event": "proxy_error",
        "message": "7#7: *3 connect() 'failed' /x (111), client: 192.0.2.1, server: ",
    }


def test_replicas_that_come_and_go_are_noticed(tmp_path: Path, replicas: list[Replica]) -> None:
    names = Names(FIRST)
    with run_proxy(tmp_path, names, replicas[0].port) as proxy:
        assert proxy.get("/v1/x").status == 200
        assert not replicas[1].requests
        names.addresses = (SECOND,)
        deadline = time.monotonic() + SECONDS
        while not replicas[1].requests:
            assert time.monotonic() < deadline
            assert proxy.get("/v1/x").status == 200
            time.sleep(0.2)
    names.close()


@pytest.mark.parametrize(
    "path",
    [
        "/internal",
        "/internal/uploads/x/claim",
        "//internal/x",
        "/%69nternal/x",
        "/v1/../internal/x",
    ],
)
def test_nothing_internal_goes_through(proxy: Proxy, replicas: list[Replica], path: str) -> None:
    assert proxy.get(path).status == 404
    assert not seen_by(replicas)


def test_the_request_id_the_host_and_the_token_pass(proxy: Proxy, replicas: list[Replica]) -> None:
    headers = {"X-Request-ID": "mine", "Host": "up.example:8443", "Authorization": "Bearer t"}
    answer = proxy.get("/v1/x?filename=secret", **headers)
    (request,) = seen_by(replicas)
    assert request.startswith(b"GET /v1/x?filename=secret HTTP/1.1\r\n")
    assert b"\r\nX-Request-ID: mine\r\n" in request
    assert b"\r\nHost: up.example:8443\r\n" in request
    assert b"\r\nAuthorization: Bearer t\r\n" in request
    assert b"\r\nX-Forwarded-For: 127.0.0.1\r\n" in request
    assert answer.headers["X-Request-ID"] == "req_of_the_api"


def test_a_load_balancer_that_knows_no_host_is_answered(
    proxy: Proxy, replicas: list[Replica]
) -> None:
    with proxy.open("GET /healthz HTTP/1.0\n\n") as connection:
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nHost: localhost\r\n" in seen_by(replicas)[0]


def test_the_log_names_the_request_and_holds_no_query(proxy: Proxy) -> None:
    proxy.get("/v1/x?filename=secret")
    (line,) = proxy.logged()
    assert line["request_id"] == "req_of_the_api"
    assert (line["path"], line["status"]) == ("/v1/x", 200)
    assert "secret" not in proxy.log.read_text()


def test_half_a_header_is_cut_off(tmp_path: Path, replicas: list[Replica]) -> None:
    config = CONFIG.read_text("utf-8")
    assert "client_header_timeout 10s;" in config
    names = Names(FIRST)
    with (
        run_proxy(tmp_path, names, replicas[0].port) as proxy,
        proxy.open("GET / HTTP/1.1\nHo") as connection,
    ):
        connection.settimeout(15)
        began = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        assert 8 < time.monotonic() - began < 13
    names.close()


# --- in front of a real api


def test_a_file_goes_through_and_is_stored(to_the_stack: Proxy) -> None:
    FormClient(to_the_stack.url).stored("headshot", png(800, 600))


def test_what_is_said_of_a_file_comes_back_however_long_it_is(to_the_stack: Proxy) -> None:
    """An upload whose state the proxy can't pass on could never be gone on with."""
    form = FormClient(to_the_stack.url, "acceptance")
    said = f"filename {base64.b64encode(b'x' * 3060).decode()}"
    assert 0 <= MAX_HEADER[b"upload-metadata"] - len(said) < 9, "as long as it may be"
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    path, begin = f"{form.path}/fields/needed/tus", {**headers, "Upload-Metadata": said}
    url = form.http.post(path, headers=begin).headers["location"]
    told = form.http.head(url, headers={**headers, "Origin": "https://front.example"})
    assert (told.status_code, told.headers["upload-metadata"]) == (200, said)


@pytest.mark.parametrize("framing", ["declared", "chunked"])
def test_the_refusal_of_a_large_file_reaches_a_client_that_is_still_sending(
    to_the_stack: Proxy, framing: str
) -> None:
    form = FormClient(to_the_stack.url, "acceptance")
    megabytes = 40

    def body() -> Iterator[bytes]:
        for _ in range(megabytes):
            yield bytes(1024 * 1024)

    length = {"Content-Length": str(megabytes * 1024 * 1024)} if framing == "declared" else {}
    answer = form.http.put(f"{form.path}/fields/tiny/uploads/k", content=body(), headers=length)
    problem(answer, 413, "file-too-large")


def test_no_token_that_goes_through_is_in_its_log(to_the_stack: Proxy) -> None:
    form = FormClient(to_the_stack.url, "acceptance")
    form.http.post(form.path, data={"token": form.token, "note": "typed"})
    form.http.headers["Authorization"] = ""
    form.http.post(form.path, data={"token": form.token}, files={"needed": ("a.png", png())})
    until(lambda: len(to_the_stack.logged()) >= 3, "it logs when it has answered")
    assert form.token not in to_the_stack.log.read_text()


def test_a_patient_request_is_not_cut_off(to_the_stack: Proxy) -> None:
    form = FormClient(to_the_stack.url)
    answer = form.http.get(form.path, headers={"Prefer": "wait=2"})
    assert answer.status_code == 200


def test_events_come_through_one_by_one_as_they_happen(to_the_stack: Proxy) -> None:
    form = FormClient(to_the_stack.url)
    with following(form.http, form.path) as stream:
        assert stream.next()
        form.upload("headshot", png(800, 600))
        assert stream.until("upload", "stored")
        form.http.delete(form.path)
        assert [each.brief for each in stream.rest()] == [("end", "purged")]


@pytest.mark.slow
def test_heartbeats_keep_a_stream_open_for_longer_than_the_proxy_waits(
    to_the_stack: Proxy,
) -> None:
    (patience,) = re.findall(r"proxy_read_timeout (\d+)s;", CONFIG.read_text("utf-8"))
    form = FormClient(to_the_stack.url)
    with following(form.http, form.path) as stream:
        assert stream.next()
        time.sleep(int(patience) + 5)
        form.http.patch(form.path, json={"full_name": "Ada"})
        assert stream.next()
    assert stream.heartbeats >= 3


def test_clients_of_the_proxy_have_a_share_each_and_none_gets_another_by_what_it_says(
    tmp_path: Path,
) -> None:
    names = Names(FIRST)
    with (
        ApiProcess(
            tmp_path,
            trusted_proxies=FIRST,
            max_connections_per_client=3,
            max_waiting_per_client=0,  # all of it may wait
        ) as api,
        run_proxy(tmp_path, names, api.port) as proxy,
        contextlib.ExitStack() as held,
    ):
        form = FormClient(api.url, "acceptance")
        for number in range(3):
            waiting = held.enter_context(_asks(proxy, SECOND, form, f"198.51.100.{number}"))
            waiting.settimeout(0.5)
            with pytest.raises(TimeoutError):
                waiting.recv(1)
        with _asks(proxy, SECOND, form, "198.51.100.9") as beyond:
            answer = b""
            while not answer.endswith(b"}"):
                answer += beyond.recv(65536)
            assert answer.startswith(b"HTTP/1.1 429 "), answer
            assert b"too-many-requests" in answer
        with _asks(proxy, "127.0.0.3", form, SECOND, seconds=1) as another:
            assert another.recv(65536).startswith(b"HTTP/1.1 304 ")
    names.close()


def _asks(
    proxy: Proxy, source: str, form: FormClient, claimed: str, seconds: int = 15
) -> socket.socket:
    """From this address, with another one in the header, a request that waits."""
    connection = socket.create_connection(
        (FIRST, proxy.port), timeout=SECONDS, source_address=(source, 0)
    )
    head = (
        f"GET {form.path} HTTP/1.1\nHost: lo\nAuthorization: Bearer {form.token}\n"
        f'Prefer: wait={seconds}\nIf-None-Match: "1.1"\nX-Forwarded-For: {claimed}\n'
        f"Forwarded: for={claimed}\n\n"
    )
    connection.sendall(head.replace("\n", "\r\n").encode())
    return connection
