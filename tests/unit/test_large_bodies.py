"""A large body past the parser: nothing of it is lost or mixed up, and what follows is a request."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from starlette.types import Receive, Scope, Send

from api.http.large_bodies import LEAST, MOST, SIZE, SMALL, Buffers
from tests.unit.test_protocol import GET, HOST, UPGRADE, Edge

BODY = os.urandom(3 * SIZE + 7)


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with Edge().listen() as listening:
        yield listening


def _put(body: bytes, *headers: bytes) -> bytes:
    lines = [HOST, *headers, b"Content-Length: %d\r\n" % len(body)]
    return b"PUT /large HTTP/1.1\r\n" + b"".join(lines) + b"\r\n" + body


async def _heard(edge: Edge, sent: bytes, *, count: int, pieces: int) -> list[tuple[str, bytes]]:
    """What the application was asked, once that was answered `count` times."""
    reader, writer, _ = await edge.connect()
    for at in range(0, len(sent), pieces):
        writer.write(sent[at : at + pieces])
        await writer.drain()
    came = b""
    async with asyncio.timeout(30):
        while came.count(b"HTTP/1.1 200 ") < count:
            came += await reader.read(4096)
    return [(method, body) for method, _, _, body in edge.heard]


@pytest.mark.parametrize("pieces", [100_000, 1 << 30], ids=["in pieces", "at once"])
@pytest.mark.parametrize("size", [LEAST - 1, LEAST, SIZE, len(BODY)])
async def test_what_follows_a_body_is_the_next_request(edge: Edge, size: int, pieces: int) -> None:
    body = BODY[:size]
    sent = _put(body) + _put(body[::-1]) + GET + _put(body) + GET
    heard = await _heard(edge, sent, count=5, pieces=pieces)
    large = ("PUT", body)
    assert heard == [large, ("PUT", body[::-1]), ("GET", b""), large, ("GET", b"")]


@pytest.mark.parametrize(
    "header", [UPGRADE, b"Expect: 100-continue\r\n"], ids=["upgrade", "expect"]
)
async def test_it_is_taken_whatever_else_its_head_asks_for(edge: Edge, header: bytes) -> None:
    heard = await _heard(edge, _put(BODY, header) + GET, count=2, pieces=100_000)
    assert heard == [("PUT", BODY), ("GET", b"")]


async def test_one_that_waits_for_the_answer_before_it_is_taken_too(edge: Edge) -> None:
    edge.go_on.clear()
    asking = asyncio.create_task(_heard(edge, GET + _put(BODY), count=2, pieces=100_000))
    await asyncio.sleep(0.1)  # in which it would be read
    edge.go_on.set()
    assert await asking == [("GET", b""), ("PUT", BODY)]


async def test_who_says_that_nothing_follows_it_is_answered(edge: Edge) -> None:
    edge.go_on.clear()
    reader, writer, _ = await edge.connect()
    writer.write(_put(BODY))
    writer.write_eof()
    asyncio.get_running_loop().call_later(0.2, edge.go_on.set)
    answer = await asyncio.wait_for(reader.read(), 30)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in answer


class Waiting(Edge):
    """Its application reads nothing of a body before it may, and then all that comes."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.may_read = asyncio.Event()
        self.came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def app(self, _: Scope, receive: Receive, __: Send) -> None:
        self.asked.set()
        await self.may_read.wait()
        body = b""
        while (message := await receive())["type"] != "http.disconnect":
            body += message["body"]
            await asyncio.sleep(0.01)  # more comes while that is written
        self.came.set_result(body)


async def test_no_more_is_read_of_it_than_a_buffer_takes_until_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Waiting().listen() as edge:
        _, writer, protocol = await edge.connect()
        head, paused = _put(BODY)[: -len(BODY)], asyncio.Event()
        writer.write(head)
        await asyncio.wait_for(edge.asked.wait(), 30)
        pause = protocol.flow.pause_reading

        def spy() -> None:
            pause()
            paused.set()

        monkeypatch.setattr(protocol.flow, "pause_reading", spy)
        writer.write(BODY[:-1])
        await asyncio.wait_for(paused.wait(), 30)
        assert protocol.cycle.large
        assert len(protocol.cycle.large.taken()) == SIZE


@pytest.mark.parametrize("begins", [0, 1000, 300_000])
async def test_it_is_whole_where_a_buffer_is_full_before_its_beginning_is_asked_for(
    begins: int,
) -> None:
    """What the parser had of it, and a buffer, which is read into again at once."""
    async with Waiting().listen() as edge:
        _, writer, _ = await edge.connect()
        sent = _put(BODY)
        head = len(sent) - len(BODY)
        writer.write(sent[: head + begins])
        await writer.drain()
        await asyncio.wait_for(edge.asked.wait(), 30)
        writer.write(sent[head + begins : -1])
        await asyncio.sleep(0.2)  # as much of it comes as is taken
        edge.may_read.set()
        writer.write_eof()
        assert await asyncio.wait_for(edge.came, 30) == BODY[:-1]


@pytest.mark.parametrize(
    "sent",
    [
        _put(BODY[: LEAST - 1]),
        b"PUT /a HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n",
    ],
    ids=["not large", "of unknown length"],
)
async def test_any_other_body_passes_the_parser(sent: bytes) -> None:
    async with Waiting().listen() as edge:
        _, writer, protocol = await edge.connect()
        writer.write(sent)
        await asyncio.wait_for(edge.asked.wait(), 30)
        assert protocol.cycle.large is None


async def test_what_came_before_the_client_went_away_is_told_first() -> None:
    async with Waiting().listen() as edge:
        _, writer, _ = await edge.connect()
        writer.write(_put(BODY)[:-1])
        writer.close()
        edge.may_read.set()
        assert await asyncio.wait_for(edge.came, 30) == BODY[:-1]


class Early(Edge):
    """Its application answers a PUT once it has read so much of it."""

    least = 0

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0
        while scope["method"] == "PUT" and read < self.least:
            read += len((await receive())["body"])
        self.heard.append((scope["method"], scope["path"], [], b""))
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("least", [0, SIZE + 1], ids=["at once", "in the middle"])
async def test_what_comes_of_it_after_its_answer_is_dropped_up_to_the_next_request(
    least: int,
) -> None:
    async with Early().listen() as edge:
        edge.least = least
        heard = await _heard(edge, _put(BODY) + GET, count=2, pieces=100_000)
    assert heard == [("PUT", b""), ("GET", b"")]


def test_a_buffer_is_given_to_one_at_a_time_and_again_when_nobody_sees_it() -> None:
    buffers = Buffers()
    first, second = buffers.take(), buffers.take()
    assert first.obj is not second.obj
    part, seen = first[:5], first.obj
    first.release()
    assert buffers.take().obj is not seen, "somebody has a part of it"
    part.release()
    assert buffers.take().obj is seen


def test_who_comes_when_all_are_in_use_is_given_a_small_one() -> None:
    buffers = Buffers()
    held = [buffers.take() for _ in range(MOST + 2)]
    assert [len(each) for each in held] == [SIZE] * MOST + [SMALL] * 2
