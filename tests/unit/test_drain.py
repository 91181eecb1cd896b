"""A request that is answered before its body was read: a client that is still sending must see the
answer, and not a reset."""

import asyncio
from collections.abc import Iterator

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from api.http import middleware
from api.http.middleware import DrainUnread

MORE: Message = {"type": "http.request", "body": b"12345", "more_body": True}
LAST: Message = {"type": "http.request", "body": b"", "more_body": False}


CHUNKED, SIZED = (b"transfer-encoding", b"chunked"), (b"content-length", b"15")


async def told(messages: Iterator[Message], framing: tuple[bytes, bytes] = CHUNKED) -> list[str]:
    """What passes the edge in its order, where the body is refused at once. A body without a last
    message is one that never comes to its end."""
    order: list[str] = []

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("no", 413)(scope, receive, send)

    async def receive() -> Message:
        message = next(messages, None)
        if message is None:
            await asyncio.Event().wait()
            raise AssertionError
        order.append("more" if message["more_body"] else "its end")
        return message

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            order.append("answered" if message.get("more_body") else "closed")
            assert message["body"] == (b"no" if message.get("more_body") else b"")
        else:
            assert (b"connection", b"close") in message["headers"]

    async with asyncio.timeout(30):
        await DrainUnread(refuse)({"type": "http", "headers": [framing]}, receive, send)
    return order


@pytest.mark.parametrize("framing", [CHUNKED, SIZED])
async def test_the_answer_comes_first_and_then_the_rest_of_the_body_is_read(
    framing: tuple[bytes, bytes],
) -> None:
    order = await told(iter([MORE, MORE, LAST]), framing)
    assert order == ["answered", "more", "more", "its end", "closed"]


async def test_so_many_bytes_are_read_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "DRAIN_BYTES", 11)
    assert await told(iter([MORE] * 100)) == ["answered", "more", "more", "more", "closed"]


async def test_who_stops_sending_is_waited_for_no_longer_than_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(middleware, "DRAIN_SECONDS", 0.05)
    assert await told(iter([MORE])) == ["answered", "more", "closed"]
