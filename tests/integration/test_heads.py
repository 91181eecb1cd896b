"""Heads of requests, odd but legal or neither, on the real process and both of its listeners."""

import json
import re
import select
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from api.http.head import origin_form
from api.http.protocol import MAX_HEADERS
from tests.support.api_process import ApiProcess
from tests.support.client import FormClient

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
WEBSOCKET = (
    b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
BODY = b'{"type": "acceptance", "data": {}}'
NEXT = b"GET /healthz HTTP/1.1\r\nHost: lo\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with ApiProcess(tmp_path_factory.mktemp("heads"), cors_headers="X-Our-Trace") as running:
        yield running


@pytest.fixture(params=["public", "internal"])
def port(request: pytest.FixtureRequest, api: ApiProcess) -> int:
    return api.port if request.param == "public" else api.internal_port


@pytest.mark.parametrize("upgrade", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("piece", [1, 37, 100_000])
def test_an_upgrade_that_is_not_taken_leaves_the_request_as_it_is(
    api: ApiProcess, upgrade: bytes, *, chunked: bool, piece: int
) -> None:
    one = _post(BODY, upgrade, chunked=chunked)
    answers = _exchange(api.port, one + one + NEXT, piece)
    assert _statuses(answers) == [201, 201, 200], answers


def test_a_file_sent_with_an_upgrade_is_received_whole(api: ApiProcess) -> None:
    client = FormClient(api.url, "acceptance")
    head = (
        f"PUT {client.path}/fields/bulk/uploads/k HTTP/1.1\r\nHost: lo\r\n"
        f"Authorization: Bearer {client.token}\r\nContent-Length: 300000\r\n"
    ).encode()
    answers = _exchange(api.port, head + H2C + b"\r\n" + bytes(300_000) + NEXT)
    assert _statuses(answers) == [202, 200]
    assert client.read()["uploads"]["bulk"][0]["size"] == 300_000


def test_an_upgrade_without_a_body_is_followed_by_the_next_request(port: int) -> None:
    get = b"GET /healthz HTTP/1.1\r\nHost: lo\r\n" + WEBSOCKET + b"\r\n"
    assert _statuses(_exchange(port, get * 50 + NEXT)) == [200] * 51


@pytest.mark.parametrize(
    ("request_head", "status", "code"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http-version-not-supported"),
        (b"GET / HTTP/2.0\r\nHost: lo\r\n\r\n", 505, "http-version-not-supported"),
        (b"GET / HTTP/1.2\r\nHost: lo\r\n\r\n", 505, "http-version-not-supported"),
        (b"GET / HTTP/3.0\r\nHost: lo\r\n\r\n", 505, "http-version-not-supported"),
        (b"GET / HTTP/0.9\r\n\r\n", 505, "http-version-not-supported"),
        (b"GET /\r\n\r\n", 505, "http-version-not-supported"),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501, "method-not-implemented"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.0\r\nHost: a,b\r\n\r\n", 400, "bad-request"),
        (b"GET http://u@h/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"),
        (b"GET /?" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri-too-long"),
    ],
)
def test_what_no_request_may_be_is_refused_with_a_code(
    port: int, request_head: bytes, status: int, code: str
) -> None:
    _refused(_exchange(port, request_head), status, code)


def test_what_is_refused_before_it_is_a_request_is_counted(port: int, api: ApiProcess) -> None:
    listener = "public" if port == api.port else "internal"
    counter = f'refused_requests_total{{code="http-version-not-supported",listener="{listener}"}}'
    before = api.metric(counter)
    behind = b"GET /healthz HTTP/1.1\r\nHost: lo\r\n\r\n"
    for first in (b"", behind):
        _exchange(port, first + b"GET / HTTP/2.0\r\nHost: lo\r\n\r\n")
    assert api.metric(counter) == before + 2


@pytest.mark.parametrize(
    ("framing", "status", "code"),
    [
        (b"Transfer-Encoding: identity\r\n", 501, "unsupported-transfer-coding"),
        (b"Transfer-Encoding: gzip\r\n", 501, "unsupported-transfer-coding"),
        (b"Transfer-Encoding: gzip, chunked\r\n", 501, "unsupported-transfer-coding"),
        (b"Transfer-Encoding: chunked, gzip\r\n", 501, "unsupported-transfer-coding"),
        (b"Transfer-Encoding: xchunked\r\n", 501, "unsupported-transfer-coding"),
        (
            b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            501,
            "unsupported-transfer-coding",
        ),
        (b"Transfer-Encoding: \r\n", 400, "bad-request"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400, "bad-request"),
        (b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400, "bad-request"),
        (b"Content-Length: 3\r\nContent-Length: 3\r\n", 400, "bad-request"),
        (b"Content-Length: 3, 3\r\n", 400, "bad-request"),
        (b"Content-Length: +3\r\n", 400, "bad-request"),
        (b"Content-Length: -3\r\n", 400, "bad-request"),
        (b"Content-Length: 0x3\r\n", 400, "bad-request"),
        (b"Content-Length:\r\n", 400, "bad-request"),
    ],
)
def test_a_body_whose_end_is_in_doubt_is_refused_and_nothing_after_it_served(
    port: int, framing: bytes, status: int, code: str
) -> None:
    head = b"POST /v1/forms HTTP/1.1\r\nHost: lo\r\n" + framing + b"\r\n"
    answer = _exchange(port, head + b"0\r\n\r\n" + NEXT)
    _refused(answer, status, code)
    assert _statuses(answer) == [status]


def test_an_upgrade_that_is_not_taken_leaves_room_for_as_many_headers_as_ever(port: int) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: lo\r\n" + H2C
    more = b"".join(b"X-%d: x\r\n" % n for n in range(MAX_HEADERS - head.count(b": ")))
    assert _statuses(_exchange(port, head + more + b"\r\n" + NEXT)) == [200, 200]
    _refused(_exchange(port, head + more + b"X-More: x\r\n\r\n"), 400, "bad-request")


def test_a_chunk_without_a_size_is_refused_with_a_code(port: int) -> None:
    head = b"POST /v1/forms HTTP/1.1\r\nHost: lo\r\nTransfer-Encoding: chunked\r\n\r\n"
    _refused(_exchange(port, head + b"zz\r\n"), 400, "bad-request")


@pytest.mark.parametrize("upgrade", [b"", H2C])
@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: " + b"0" * 80 + b"38", b"Transfer-Encoding: " + b"," * 1100 + b"chunked"],
)
def test_a_framing_header_over_its_bound_hides_no_request_in_the_body(
    port: int, framing: bytes, upgrade: bytes
) -> None:
    head = b"POST /v1/forms HTTP/1.1\r\nHost: lo\r\n" + upgrade + framing + b"\r\n\r\n"
    answers = _exchange(port, head + NEXT)
    assert _statuses(answers) == [431], answers
    assert not _kept_open(answers)


def test_a_preflight_of_a_head_that_is_refused_is_refused(api: ApiProcess) -> None:
    head = b"OPTIONS /v1/forms HTTP/1.1\r\nOrigin: https://a.example\r\n"
    head += b"Access-Control-Request-Method: POST\r\nConnection: close\r\n\r\n"
    answers = _exchange(api.port, head)
    assert _statuses(answers) == [400], "it names no host"
    assert b"access-control-allow-origin: *" in answers.lower()


def test_who_is_refused_within_the_head_reads_the_answer_though_the_rest_comes_later(
    port: int,
) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
        connection.sendall(b"GET / HTTP/3.0\r\n")
        assert select.select([connection], [], [], 15)[0], "it is answered"
        for rest in (b"Host: a\r\n", b"\r\n"):  # a closed one would be reset by the first of them
            connection.sendall(rest)
            time.sleep(0.05)
        answer = b""
        while more := connection.recv(65536):
            answer += more
    _refused(answer, 505, "http-version-not-supported")


def test_a_refusal_comes_after_the_answers_before_it(port: int) -> None:
    get = b"GET /readyz HTTP/1.1\r\nHost: lo\r\n\r\n"
    answer = _exchange(port, get + get + b"GET / HTTP/2.0\r\nHost: lo\r\n\r\n" + get)
    assert _statuses(answer)[2:] == [505]
    assert len(_statuses(answer)) == 3


@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"HEAD", b"OPTIONS"])
def test_a_body_nobody_asked_for_is_never_the_next_request(port: int, method: bytes) -> None:
    hidden = b"GET /hidden HTTP/1.1\r\nHost: lo\r\n\r\n"
    head = method + b" /healthz HTTP/1.1\r\nHost: lo\r\nContent-Length: %d\r\n\r\n" % len(hidden)
    assert len(_statuses(_exchange(port, head + hidden + NEXT))) <= 2
    assert b"404 " not in _exchange(port, head + hidden + NEXT)


def test_a_trailer_is_no_header(api: ApiProcess) -> None:
    client = FormClient(api.url, "acceptance")
    answer = _exchange(
        api.port,
        f"PATCH {client.path} HTTP/1.1\r\nHost: lo\r\nTransfer-Encoding: chunked\r\n"
        f"Content-Type: application/json\r\n\r\n2\r\n{{}}\r\n0\r\n"
        f"Authorization: Bearer {client.token}\r\n\r\n".encode(),
    )
    assert _statuses(answer) == [401]


def test_transfer_encoding_in_http_1_0_is_refused(port: int) -> None:
    head = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    _refused(_exchange(port, head), 400, "bad-request")


def test_http_1_0_needs_no_host_and_gets_no_100_continue(api: ApiProcess) -> None:
    head = b"POST /v1/forms HTTP/1.0\r\nExpect: 100-continue\r\nContent-Type: application/json\r\n"
    answer = _exchange(api.port, head + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
    assert _statuses(answer) == [201]


@pytest.mark.parametrize("host", [b"a.example", b"127.0.0.1:80", b"[::1]:8000", b"a_b", b"a:"])
def test_every_legal_host_is_served(port: int, host: bytes) -> None:
    head = b"GET /healthz HTTP/1.1\r\nConnection: close\r\nHost: " + host + b"\r\n\r\n"
    assert _statuses(_exchange(port, head)) == [200]


def test_the_host_of_an_absolute_target_counts(api: ApiProcess) -> None:
    head = b"POST http://b.example:81/v1/forms HTTP/1.1\r\nHost: a.example\r\n"
    typed = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    answer = _exchange(api.port, head + typed + BODY + NEXT)
    assert _statuses(answer) == [201, 200]
    headers = [(b"host", b"a.example")]
    assert origin_form(b"http://b.example?x", headers) == (b"/?x", [(b"host", b"b.example")])
    bare = b"GET http://b.example HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert _statuses(_exchange(api.port, bare)) == [200]


@pytest.mark.parametrize(
    ("coding", "refused"),
    [
        (["gzip"], True),
        (["br"], True),
        (["identity, gzip"], True),
        (["identity", "deflate"], True),
        (["aws-chunked"], True),
        (["identity;q=1"], True),
        (["identity"], False),
        (["IDENTITY, identity"], False),
        ([""], False),
        ([","], False),
    ],
)
def test_an_encoded_body_is_refused_before_it_is_read(
    api: ApiProcess, coding: list[str], *, refused: bool
) -> None:
    headers = [("Content-Encoding", each) for each in coding]
    answer = httpx.post(
        f"{api.url}/v1/forms",
        content=BODY,
        headers=[*headers, ("Content-Type", "application/json"), ("Origin", "https://a.example")],
        trust_env=False,
    )
    assert answer.status_code == (415 if refused else 201)
    if refused:
        assert answer.json()["code"] == "unsupported-content-encoding"
        assert answer.headers["accept-encoding"] == "identity"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["x-request-id"]


def test_a_header_over_its_bound_is_named(port: int) -> None:
    head = (
        b"GET /healthz HTTP/1.1\r\nHost: lo\r\nConnection: close\r\nOrigin: https://a.example\r\n"
    )
    answer = _exchange(port, head + b"Cookie: " + b"x" * 20_000 + b"\r\n\r\n")
    _refused(answer, 431, "header-too-large")
    assert "Cookie" in json.loads(answer.rpartition(b"\r\n")[2])["detail"]


@pytest.mark.parametrize(
    "given",
    [
        "lst_" + "a" * 26,
        "x" * 65,
        'a","level":"error',
        "two words",
        "a;b",
        "\x1b[31mred",
        "naïve",
        "../../etc",
        "",
    ],
)
def test_an_id_that_no_log_should_hold_is_replaced(port: int, api: ApiProcess, given: str) -> None:
    head = (
        f"GET /nowhere HTTP/1.1\r\nHost: lo\r\nConnection: close\r\nX-Request-ID: {given}\r\n\r\n"
    )
    answer = _exchange(port, head.encode())
    (used,) = re.findall(rb"(?i)\r\nx-request-id: (.*)\r\n", answer)
    assert re.fullmatch(rb"req_[a-z2-7]{26}", used)
    if len(given) > 4:
        assert given not in api.log.read_text()


@pytest.mark.parametrize("given", ["x", "x" * 64, "4711.a-B_c"])
def test_an_id_that_a_log_can_hold_is_kept(port: int, given: str) -> None:
    url = f"http://127.0.0.1:{port}/nowhere"
    answer = httpx.get(url, headers={"X-Request-ID": given}, trust_env=False)
    assert answer.headers["x-request-id"] == given


def test_tracing_headers_and_those_of_the_setting_may_be_sent(api: ApiProcess) -> None:
    def preflight(names: str) -> int:
        headers = {
            "Origin": "https://a.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": names,
        }
        return httpx.options(f"{api.url}/v1/forms", headers=headers, trust_env=False).status_code

    assert preflight("authorization,traceparent,tracestate,baggage,sentry-trace") == 200
    assert preflight("x-our-trace") == 200
    assert preflight("x-their-trace") == 400
    assert preflight("upload-offset,tus-resumable,upload-metadata") == 200


def _post(body: bytes, more: bytes, *, chunked: bool = False) -> bytes:
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    head = b"POST /v1/forms HTTP/1.1\r\nHost: lo\r\nContent-Type: application/json\r\n"
    return head + more + framing + b"\r\n\r\n" + sent


def _exchange(port: int, raw: bytes, piece: int = 1_000_000) -> bytes:
    """Send it in pieces and return all that comes, until the other side closes or is done."""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = b""
        try:
            for start in range(0, len(raw), piece):
                connection.sendall(raw[start : start + piece])
            while chunk := connection.recv(65536):
                answer += chunk
                if _kept_open(answer):
                    break
        except (ConnectionResetError, BrokenPipeError):
            pass
    return answer


def _kept_open(answers: bytes) -> bool:
    """Whether the one answer there is came whole, on a connection that goes on."""
    head, _, body = answers.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    close = b"connection: close" in head.lower()
    return (
        not close and length is not None and len(body) == int(length[1]) and b"HTTP/1.1 4" in head
    )


def _statuses(answers: bytes) -> list[int]:
    return [int(each) for each in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]


def _refused(answer: bytes, status: int, code: str) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert json.loads(body)["code"] == code
    assert b"x-request-id: " in head.lower()
