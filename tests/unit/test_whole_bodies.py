"""What the internal listener reads of a body before the app sees the request."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from api.http.bodies import MAX_REPORT, ReadWhole
from api.settings.pace import Pace

GONE: Message = {"type": "http.disconnect"}


def chunk(content: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": content, "more_body": more}


class Read:
    """One request through `ReadWhole`: what the app was given, what was answered and counted."""

    def __init__(
        self, comes: Iterable[Message], *, length: int | None = None, idle_seconds: float = 30
    ) -> None:
        self.given: list[Message] = []
        self.answered: list[Message] = []
        self.refused: list[str] = []
        self._comes = list(comes)
        reader = ReadWhole(self._app, Pace(idle_seconds), self.refused.append)
        headers = [] if length is None else [(b"content-length", b"%d" % length)]
        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b""}
        asyncio.run(reader(scope | {"headers": headers}, self._receive, self._send))

    @property
    def problem(self) -> Any:
        return json.loads(self.answered[1]["body"])

    async def _app(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        self.given = [await receive(), await receive()]

    async def _receive(self) -> Message:
        if not self._comes:
            await asyncio.Event().wait()
        return self._comes.pop(0)

    async def _send(self, message: Message) -> None:
        self.answered.append(message)


def test_a_body_is_given_to_the_app_in_one_piece_and_then_what_comes_after_it() -> None:
    read = Read([chunk(b"{", more=True), chunk(b"}"), GONE])

    assert read.given == [chunk(b"{}"), GONE]
    assert not read.answered


def test_a_chunked_body_over_the_bound_is_answered_and_never_reaches_the_app() -> None:
    read = Read([chunk(b"x" * MAX_REPORT, more=True), chunk(b"x", more=True)])

    assert (read.answered[0]["status"], read.problem["code"]) == (413, "request-too-large")
    assert read.refused == ["request-too-large"]
    assert not read.given


def test_a_declared_length_over_the_bound_is_answered_before_the_body() -> None:
    read = Read([], length=MAX_REPORT + 1)

    assert (read.answered[0]["status"], read.problem["code"]) == (413, "request-too-large")


def test_a_body_as_long_as_the_bound_is_read() -> None:
    longest = chunk(b"x" * MAX_REPORT)

    assert Read([longest, GONE], length=MAX_REPORT).given == [longest, GONE]


def test_a_silent_body_is_answered_and_never_reaches_the_app() -> None:
    read = Read([chunk(b"x", more=True)], idle_seconds=0.01)

    assert (read.answered[0]["status"], read.problem["code"]) == (408, "request-timeout")
    assert not read.given


def test_who_went_away_within_a_body_is_not_answered() -> None:
    read = Read([chunk(b"x", more=True), GONE])

    assert not read.answered
    assert not read.given
