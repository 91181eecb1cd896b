"""What one client may hold, on the real process: its connections, its requests, its waiting."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.api_process import ApiProcess
from tests.support.client import FormClient, problem

SHARE = 3
CROWD = 1500
ONE, OTHER = "203.0.113.1", "203.0.113.2"


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    """An api that takes 127.0.0.1 for its proxy."""
    settings = {
        "trusted_proxies": "127.0.0.1",
        "max_connections_per_client": SHARE,
        "max_waiting_per_client": 0,
    }
    with ApiProcess(tmp_path_factory.mktemp("proxied"), **settings) as running:
        yield running


def waits(api: ApiProcess, form: FormClient, source: str, **headers: str) -> socket.socket:
    """From this address, a request that waits for a change that never comes."""
    connection = socket.create_connection(
        ("127.0.0.1", api.port), timeout=30, source_address=(source, 0)
    )
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    connection.sendall(
        f"GET {form.path} HTTP/1.1\r\nHost: lo\r\nAuthorization: Bearer {form.token}\r\n"
        f'Prefer: wait=20\r\nIf-None-Match: "1.1"\r\n{lines}\r\n'.encode()
    )
    return connection


@contextmanager
def many_waiting(
    api: ApiProcess, form: FormClient, count: int, source: str, **headers: str
) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(waits(api, form, source, **headers)) for _ in range(count)]


def test_one_client_with_all_its_waiting_connections_leaves_the_others_served(
    tmp_path: Path,
) -> None:
    with ApiProcess(tmp_path) as api:
        form = FormClient(api.url, "acceptance")
        with many_waiting(api, form, CROWD, "127.0.0.2") as held:
            refused = held[-1].recv(65536)
            assert refused.startswith(b"HTTP/1.1 503 ")
            counter = 'refused_requests_total{code="unavailable",listener="public"}'
            assert api.metric(counter) == 0  # it would wake somebody for one client
            assert b"retry-after: " in refused
            served = FormClient(api.url, "acceptance")
            assert served.send("tiny", bytes(100)).status_code == 202
            for port in (api.port, api.internal_port):
                times = [_time(port) for _ in range(10)]
                assert sorted(times)[len(times) // 2] < 1, times


def _time(port: int) -> float:
    began = time.monotonic()
    assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
    return time.monotonic() - began


def test_the_internal_listener_has_a_limit_of_its_own(tmp_path: Path) -> None:
    with ApiProcess(tmp_path, max_internal_connections=2) as api, ExitStack() as held:
        for _ in range(2):
            address = ("127.0.0.1", api.internal_port)
            held.enter_context(socket.create_connection(address, timeout=10))
        answer = httpx.get(f"http://127.0.0.1:{api.internal_port}/healthz", trust_env=False)
        assert answer.status_code == 503
        assert httpx.get(f"{api.url}/healthz", trust_env=False).status_code == 200


def test_behind_a_trusted_proxy_each_client_has_a_share_of_its_own(proxied: ApiProcess) -> None:
    form = FormClient(proxied.url, "acceptance")
    with many_waiting(proxied, form, SHARE, "127.0.0.1", X_Forwarded_For=f"{OTHER}, {ONE}"):
        proxied.until_waiting(SHARE)
        for claimed in (ONE, f"{OTHER}, {ONE}", f"{ONE}, 127.0.0.1"):
            answer = form.http.get(form.path, headers={"X-Forwarded-For": claimed})
            refused = problem(answer, 429, "too-many-requests")
            assert refused["retryable"]
            assert int(answer.headers["retry-after"]) > 0
        answer = form.http.get(form.path, headers={"X-Forwarded-For": OTHER})
        assert answer.status_code == 200
        assert form.http.get(form.path).status_code == 200, "the proxy's own"


def test_a_share_of_requests_is_free_again_when_they_are_answered_or_given_up(
    proxied: ApiProcess,
) -> None:
    form = FormClient(proxied.url, "acceptance")
    for _ in range(3):
        with many_waiting(proxied, form, SHARE, "127.0.0.1", X_Forwarded_For=ONE):
            proxied.until_waiting(SHARE)
        until = time.monotonic() + 5
        while True:
            answer = form.http.get(form.path, headers={"X-Forwarded-For": ONE})
            if answer.status_code == 200:
                break
            assert time.monotonic() < until
    for _ in range(2 * SHARE):
        answer = form.http.get(form.path, headers={"X-Forwarded-For": ONE})
        assert answer.status_code == 200


def test_who_is_no_trusted_proxy_gets_no_further_share_by_a_header(proxied: ApiProcess) -> None:
    form = FormClient(proxied.url, "acceptance")
    with ExitStack() as held:
        for number in range(SHARE):
            claimed = f"198.51.100.{number}"
            held.enter_context(waits(proxied, form, "127.0.0.2", X_Forwarded_For=claimed))
        with waits(proxied, form, "127.0.0.2", X_Forwarded_For=OTHER) as beyond:
            assert beyond.recv(65536).startswith(b"HTTP/1.1 503 ")


def test_the_scheme_is_a_trusted_proxy_s_to_say(proxied: ApiProcess) -> None:
    form = FormClient(proxied.url, "acceptance")
    upload = form.upload("tiny", bytes(100))
    headers = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": ONE,
        "Authorization": f"Bearer {form.token}",
    }
    for source, scheme in (("127.0.0.1", "https"), ("127.0.0.2", "http")):
        transport = httpx.HTTPTransport(local_address=source)
        with httpx.Client(base_url=proxied.url, transport=transport, headers=headers) as client:
            answer = client.get(f"/v1/uploads/{upload['id']}").json()
        assert answer["url"].startswith(f"{scheme}://127.0.0.1:")
