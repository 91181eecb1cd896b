"""The edge of one connection, request by request: what is bounded, and how a refusal ends."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from api.http.connections import Connections
from api.http.protocol import (
    LINGER_SECONDS,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    BoundedHead,
    bounded,
)

HOST = b"Host: lo\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
GET = b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"
MALFORMED = b"GET /b HTTP/1.1\r\nno header\r\n\r\n"


class Edge:
    """A listener with the protocol, and an application that keeps what it is asked. It answers
    when it may: at once, unless `hold` was called."""

    def __init__(self, **limits: Any) -> None:
        self.connections: Connections = limits.setdefault("connections", Connections())
        self.heard: list[tuple[str, str, list[tuple[bytes, bytes]], bytes]] = []
        self.refused: list[Any] = []
        self.lost: asyncio.Queue[BoundedHead] = asyncio.Queue()
        self._made: asyncio.Queue[BoundedHead] = asyncio.Queue()
        self._connected: list[asyncio.Transport] = []
        self._clients: list[asyncio.StreamWriter] = []  # one that nobody holds is closed
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.left = asyncio.Event()
        self.starts_first = False
        self._protocol = bounded(**{"head_seconds": 15, "send_seconds": 30} | limits)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.refused.append(scope.get("refused"))
        start = {"type": "http.response.start", "status": 200, "headers": []}
        if self.starts_first:
            await send(start)
            await send({"type": "http.response.body", "body": b"be", "more_body": True})
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left.set()
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await self.go_on.wait()
        self.heard.append((scope["method"], scope["path"], scope["headers"], body))
        if not self.starts_first:
            await send(start)
        await send({"type": "http.response.body", "body": b"gun" if self.starts_first else b""})

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[Self]:
        config = uvicorn.Config(
            self.app,
            interface="asgi3",
            proxy_headers=False,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
        )
        config.load()
        state = ServerState()

        outer = self

        class Told(self._protocol):  # type: ignore[misc,name-defined] # a class with these limits
            """Says when its connection is made, and when it is lost."""

            def connection_made(self, transport: asyncio.Transport) -> None:
                super().connection_made(transport)
                outer._made.put_nowait(self)

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                outer.lost.put_nowait(self)

        def made() -> BoundedHead:
            return Told(config, server_state=state, app_state={})

        server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            yield self
            for transport in self._connected:
                transport.abort()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, BoundedHead]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._clients.append(writer)
        protocol = await asyncio.wait_for(self._made.get(), 20)
        self._connected.append(protocol.transport)
        return reader, writer, protocol

    async def answers(self, *pieces: bytes) -> list[tuple[int, dict[str, str], Any]]:
        """To what comes in these pieces, each taken at once; all that is answered until the
        connection ends, which the last of them has to see to."""
        reader, writer, protocol = await self.connect()
        for each in pieces:
            protocol.data_received(each)
            await asyncio.sleep(0)
        found = _read(await asyncio.wait_for(reader.read(), 20))
        writer.close()
        return found


def _read(said: bytes) -> list[tuple[int, dict[str, str], Any]]:
    found = []
    for each in re.split(rb"(?=HTTP/1\.1 \d{3} )", said)[1:]:
        head, _, body = each.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
        problem = json.loads(body) if "problem" in headers.get("content-type", "") else body
        found.append((int(first.split()[1]), headers, problem))
    return found


def _codes(found: list[tuple[int, dict[str, str], Any]]) -> list[Any]:
    return [body["code"] if isinstance(body, dict) else status for status, _, body in found]


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with Edge().listen() as listening:
        yield listening


def _closing(*headers: bytes, method: bytes = b"GET", path: bytes = b"/a") -> bytes:
    lines = [b"Host: lo", b"Connection: close", *headers]
    return method + b" " + path + b" HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"


@pytest.mark.parametrize(("more", "code"), [(0, 200), (1, "bad-request")])
async def test_a_head_has_so_many_headers_and_not_one_more(
    edge: Edge, more: int, code: int | str
) -> None:
    headers = [b"X-%d: x" % number for number in range(MAX_HEADERS - 2 + more)]
    assert _codes(await edge.answers(_closing(*headers))) == [code]
    assert len(edge.heard) == (0 if more else 1)


@pytest.mark.parametrize(("more", "code"), [(0, 200), (1, "bad-request")])
@pytest.mark.parametrize("where", ["in its target", "in a header", "in both"])
async def test_a_head_has_so_many_bytes_and_not_one_more(
    edge: Edge, where: str, more: int, code: int | str
) -> None:
    others = len(b"/Hostlo" + b"Connectionclose" + b"X-A")
    room = MAX_HEAD_BYTES - others + more
    in_target = {"in its target": room, "in a header": 0, "in both": room // 2}[where]
    head = _closing(b"X-A: " + b"x" * (room - in_target), path=b"/" + b"a" * in_target)
    found = await edge.answers(head)
    assert _codes(found) == [code]
    if more:
        assert "65536 bytes, or 100 headers" in found[0][2]["detail"]


async def test_a_target_that_alone_is_too_large_is_refused_before_the_headers(edge: Edge) -> None:
    found = await edge.answers(b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n")
    assert _codes(found) == ["bad-request"]


async def test_a_header_that_never_ends_is_refused_once_it_is_too_large(edge: Edge) -> None:
    beginning = b"GET /a HTTP/1.1\r\nX-A: "
    rest = MAX_HEAD_BYTES - len(beginning)
    reader, _, protocol = await edge.connect()
    protocol.data_received(beginning)
    protocol.data_received(b"x" * rest)
    assert not protocol.transport.is_closing()
    assert not protocol._refused, "it may still end"
    protocol.data_received(b"x")
    assert _codes(_read(await asyncio.wait_for(reader.read(), 20))) == ["bad-request"]


async def test_the_next_head_of_a_connection_is_counted_from_nothing(edge: Edge) -> None:
    headers = [b"X-%d: %s" % (number, b"x" * 600) for number in range(MAX_HEADERS - 2)]
    kept = _closing(*headers).replace(b"close", b"keep-alive")
    found = await edge.answers(kept[:50_000], kept[50_000:], kept, _closing(*headers))
    assert _codes(found) == [200, 200, 200]


@pytest.mark.parametrize("framing", [b"Content-Length: 2", b"Transfer-Encoding: chunked"])
async def test_an_upgrade_that_is_not_taken_leaves_a_head_as_it_was(
    edge: Edge, framing: bytes
) -> None:
    more = [b"X-%d: x" % number for number in range(MAX_HEADERS - 4)]
    head = b"\r\n".join([b"POST /a HTTP/1.1", HOST.strip(), UPGRADE.strip(), *more, framing])
    body = b"ok" if b"Length" in framing else b"2\r\nok\r\n0\r\n\r\n"
    found = await edge.answers(head + b"\r\n\r\n" + body + _closing(path=b"/b"))
    assert _codes(found) == [200, 200]
    (first, second) = edge.heard
    assert (first[0], first[1], first[3]) == ("POST", "/a", b"ok")
    assert len(first[2]) == MAX_HEADERS
    assert [name for name, _ in first[2]].count(framing.split(b":")[0].lower()) == 1
    assert second[1] == "/b"


async def test_a_body_behind_an_upgrade_that_is_not_taken_may_be_larger_than_a_head(
    edge: Edge,
) -> None:
    body = b"x" * 2 * MAX_HEAD_BYTES
    head = _closing(UPGRADE.strip(), b"Content-Length: %d" % len(body), method=b"PUT")
    assert _codes(await edge.answers(head, body[:-1], body[-1:])) == [200]
    assert edge.heard[0][3] == body


async def test_a_request_whose_client_leaves_is_told_so(edge: Edge) -> None:
    _, writer, protocol = await edge.connect()
    protocol.data_received(b"PUT /a HTTP/1.1\r\nHost: lo\r\nContent-Length: 2\r\n\r\no")
    writer.close()
    await asyncio.wait_for(edge.left.wait(), 20)
    assert edge.heard == []


async def test_a_trailer_is_counted_and_is_no_header(edge: Edge) -> None:
    head = _closing(b"Transfer-Encoding: chunked", method=b"POST")
    assert _codes(await edge.answers(head + b"2\r\nok\r\n0\r\nX-Late: x\r\n\r\n")) == [200]
    assert [name for name, _ in edge.heard[0][2]] == [b"host", b"connection", b"transfer-encoding"]
    trailers = b"".join(b"X-%d: x\r\n" % number for number in range(MAX_HEADERS))
    assert _codes(await edge.answers(head + b"0\r\n" + trailers + b"\r\n")) == ["bad-request"]


@pytest.mark.parametrize("more", [b"", b"x" * 2 * MAX_HEAD_BYTES], ids=["alone", "with more"])
async def test_what_is_refused_is_answered_once_whatever_came_with_it(
    edge: Edge, more: bytes
) -> None:
    found = await edge.answers(MALFORMED + more, GET, MALFORMED)
    assert _codes(found) == ["bad-request"]
    assert found[0][2]["detail"] == "Invalid HTTP request received."
    assert edge.heard == []


@pytest.mark.parametrize(
    ("sent", "code", "status"),
    [
        (MALFORMED, "bad-request", 400),
        (b"GET / HTTP/2.0\r\nHost: lo\r\n\r\n", "http-version-not-supported", 505),
        (b"GET / HTTP/9\r\n\r\n", "bad-request", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http-version-not-supported", 505),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "method-not-implemented", 501),
        (_closing(b"Transfer-Encoding: chunked, gzip"), "unsupported-transfer-coding", 501),
        (_closing(b"Transfer-Encoding: gzip"), "unsupported-transfer-coding", 501),
    ],
)
async def test_what_cant_be_read_is_a_problem_that_any_page_may_read_and_ends_the_connection(
    edge: Edge, sent: bytes, code: str, status: int
) -> None:
    ((found, headers, problem),) = await edge.answers(sent)
    assert (found, problem["code"], problem["status"]) == (status, code, status)
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert headers["cache-control"] == "no-store"
    assert headers["access-control-allow-origin"] == "*"
    assert re.fullmatch(r"req_[a-z2-7]{26}", headers["x-request-id"])
    assert int(headers["content-length"]) == len(json.dumps(problem).encode())
    assert "retry-after" not in headers
    assert edge.heard == []


async def test_what_the_server_below_refuses_is_the_same_kind_of_problem(edge: Edge) -> None:
    reader, _, protocol = await edge.connect()
    protocol.send_400_response("Invalid HTTP request received.")
    ((status, _, problem),) = _read(await asyncio.wait_for(reader.read(), 20))
    assert (status, problem["code"]) == (400, "bad-request")
    assert problem["detail"] == "Invalid HTTP request received."


async def test_what_is_wrong_besides_is_the_applications_to_answer(edge: Edge) -> None:
    preflight = b"Access-Control-Request-Method: PUT"
    target = b"/" + b"a" * 9000
    await edge.answers(_closing(b"Cookie: " + b"x" * 20_000, preflight))
    await edge.answers(_closing(preflight, path=target))
    await edge.answers(_closing(preflight))
    codes = [problem and problem.code for problem in edge.refused]
    assert codes == ["header-too-large", "uri-too-long", None]
    names = [[name for name, _ in headers] for _, _, headers, _ in edge.heard]
    kept = [b"host", b"connection"]
    assert names == [kept, kept, [*kept, b"access-control-request-method"]]
    assert [path for _, path, _, _ in edge.heard] == ["/a", "/", "/a"]


async def test_only_http_1_1_is_told_to_go_on(edge: Edge) -> None:
    head = b"POST /a HTTP/1.%d\r\nHost: lo\r\nConnection: close\r\nExpect: 100-continue\r\n"
    rest = b"Content-Length: 2\r\n\r\nok"
    assert _codes(await edge.answers(head % 1 + rest)) == [100, 200]
    assert _codes(await edge.answers(head % 0 + rest)) == [200]


@pytest.mark.parametrize("before", [1, 2, 3])
async def test_a_refusal_waits_for_the_answers_to_all_that_came_before(
    edge: Edge, before: int
) -> None:
    edge.go_on.clear()
    reader, _, protocol = await edge.connect()
    protocol.data_received(GET * before + MALFORMED + GET)
    edge.go_on.set()
    found = _read(await asyncio.wait_for(reader.read(), 20))
    assert _codes(found) == [200] * before + ["bad-request"]
    assert found[-1][1]["connection"] == "close"
    assert len(edge.heard) == before


async def test_a_body_that_is_broken_is_refused_in_the_turn_of_its_request(edge: Edge) -> None:
    edge.go_on.clear()
    reader, _, protocol = await edge.connect()
    chunked = b"POST /b HTTP/1.1\r\nHost: lo\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    protocol.data_received(GET + GET + chunked)
    edge.go_on.set()
    found = _read(await asyncio.wait_for(reader.read(), 20))
    assert _codes(found) == [200, 200, "bad-request"]
    assert [path for _, path, _, _ in edge.heard] == ["/a", "/a"]


@pytest.mark.parametrize("started", [False, True])
async def test_a_body_that_is_broken_under_way_is_refused_unless_its_answer_has_begun(
    edge: Edge, *, started: bool
) -> None:
    edge.starts_first = started
    reader, _, protocol = await edge.connect()
    protocol.data_received(b"POST /b HTTP/1.1\r\nHost: lo\r\nTransfer-Encoding: chunked\r\n\r\n")
    if started:
        await asyncio.wait_for(reader.readuntil(b"be"), 20)
    protocol.data_received(b"zz\r\n")
    found = await asyncio.wait_for(reader.read(), 20)
    assert _codes(_read(found)) == ([] if started else ["bad-request"])
    assert edge.heard == []


async def test_one_connection_too_many_is_told_when_to_come_again_and_closed_at_once() -> None:
    async with Edge(connections=Connections(1)).listen() as edge:
        _, first, _ = await edge.connect()
        reader, _, protocol = await edge.connect()
        assert protocol.transport.is_closing(), "nobody who was not let in keeps a connection"
        ((status, headers, problem),) = _read(await asyncio.wait_for(reader.read(), 20))
        assert (status, headers["retry-after"], problem["code"]) == (503, "5", "unavailable")
        assert problem["detail"] == "There are too many connections."
        reader, _, _ = await edge.connect()
        assert _codes(_read(await asyncio.wait_for(reader.read(), 20))) == ["unavailable"]
        for _ in range(2):
            await asyncio.wait_for(edge.lost.get(), 20)
        first.close()
        await asyncio.wait_for(edge.lost.get(), 20)
        assert _codes(await edge.answers(_closing())) == [200]


async def test_who_is_refused_may_send_on_for_two_seconds_and_is_closed_then(edge: Edge) -> None:
    reader, _, protocol = await edge.connect()
    now = asyncio.get_running_loop().time()
    protocol.data_received(MALFORMED)
    await asyncio.wait_for(reader.read(), 20)
    assert not protocol.transport.is_closing()
    assert protocol._lingering
    assert LINGER_SECONDS == 2
    assert protocol._lingering.when() >= now + LINGER_SECONDS
    protocol._lingering._run()  # its time has come
    assert protocol.transport.is_closing()


async def test_a_connection_that_ends_leaves_no_timer_behind(edge: Edge) -> None:
    _, writer, waiting = await edge.connect()
    timer = waiting._head_timer
    assert timer
    _, other, lingering = await edge.connect()
    lingering.data_received(MALFORMED)
    for each in (writer, other):
        each.close()
        await asyncio.wait_for(edge.lost.get(), 20)
    assert lingering._lingering
    assert timer.cancelled()
    assert lingering._lingering.cancelled()


async def test_a_head_has_its_time_from_its_first_byte_and_so_has_the_next() -> None:
    async with Edge(head_seconds=0.1).listen() as edge:
        reader, writer, _ = await edge.connect()
        assert await asyncio.wait_for(reader.read(), 20) == b"", "opened in advance: no answer"
        writer.close()
        found = await edge.answers(b"GET /a HTTP/1.1\r\n")
        assert _codes(found) == ["request-timeout"]
        assert found[0][2]["detail"] == "The head of the request took too long."
        found = await edge.answers(GET, b"GET /b HT")
        assert _codes(found) == [200, "request-timeout"]
        assert [path for _, path, _, _ in edge.heard] == ["/a"]


async def test_while_an_answer_is_under_way_no_head_is_late() -> None:
    async with Edge(head_seconds=0.2).listen() as edge:
        edge.go_on.clear()
        reader, _, protocol = await edge.connect()
        protocol.data_received(GET + b"GET /b HT")
        late = protocol._head_timer
        assert late
        late._run()  # its time has come
        assert protocol._head_timer not in (None, late)
        assert not protocol._refused
        edge.go_on.set()
        found = _read(await asyncio.wait_for(reader.read(), 20))
        assert _codes(found) == [200, "request-timeout"]


async def test_the_body_of_a_request_is_not_held_to_the_time_of_its_head() -> None:
    async with Edge(head_seconds=0.05).listen() as edge:
        reader, _, protocol = await edge.connect()
        protocol.data_received(_closing(b"Content-Length: 2", method=b"POST"))
        assert protocol._head_timer is None
        protocol.data_received(b"ok")
        assert _codes(_read(await asyncio.wait_for(reader.read(), 20))) == [200]


async def test_a_client_that_takes_nothing_is_let_go_by_the_kernel_after_its_time() -> None:
    async with Edge(send_seconds=12.5).listen() as edge:
        _, _, protocol = await edge.connect()
        connection = protocol.transport.get_extra_info("socket")
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 12_500


async def test_reading_is_timed_as_what_may_hold_up_everybody() -> None:
    steps: list[str] = []

    class Watching:
        @contextmanager
        def step(self, name: Callable[[], str]) -> Iterator[None]:
            steps.append(name())
            yield

    async with Edge(watchdog=Watching()).listen() as edge:
        assert _codes(await edge.answers(_closing())) == [200]
    assert steps == ["reading a request"]


async def test_a_problem_at_the_edge_leads_to_its_entry_below_the_public_path() -> None:
    async with Edge(root="/below").listen() as edge:
        ((_, _, problem),) = await edge.answers(MALFORMED)
        assert problem["type"].startswith("/below/")
        edge.go_on.clear()
        reader, _, protocol = await edge.connect()
        protocol.data_received(GET + MALFORMED)
        edge.go_on.set()
        *_, (_, _, problem) = _read(await asyncio.wait_for(reader.read(), 20))
        assert problem["type"].startswith("/below/")
