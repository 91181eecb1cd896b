"""An api that is to stop waits for what is under way, and for nothing else."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from api.http.stopping import RefuseWhenStopping, Stopping
from api.telemetry.metrics import Metrics

SCOPE: Scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}


async def _nothing() -> Message:
    raise AssertionError("nobody asks")


async def _sent(_message: Message) -> None:
    pass


@pytest.mark.parametrize("ends", ["answered", "broken"])
async def test_what_is_answered_or_broken_off_holds_up_no_stop(ends: str) -> None:
    stopping, go_on = Stopping(), asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await go_on.wait()
        if ends == "broken":
            raise ConnectionResetError

    guarded = RefuseWhenStopping(app, stopping, Metrics())
    request = asyncio.ensure_future(guarded(SCOPE, _nothing, _sent))
    await asyncio.sleep(0)
    stopping.begin()
    await stopping.finished(0)
    waiting = asyncio.create_task(stopping.finished(60))
    await asyncio.sleep(0)
    assert not waiting.done(), "one is under way"
    go_on.set()
    await asyncio.wait([request])
    async with asyncio.timeout(30):
        await waiting


async def test_what_is_new_to_an_api_that_is_to_stop_is_sent_elsewhere() -> None:
    stopping, answers = Stopping(), list[Message]()

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError("it isn't asked")

    async def send(message: Message) -> None:
        answers.append(message)

    stopping.begin()
    await RefuseWhenStopping(app, stopping, Metrics())(SCOPE, _nothing, send)
    assert answers[0]["status"] == 503
    assert (b"connection", b"close") in answers[0]["headers"]
