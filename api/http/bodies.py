"""Small JSON bodies, read whole."""

from collections.abc import Callable
from typing import Any

from pydantic_core import from_json
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import problems
from api.receive.body import Body, ClientGone
from api.settings.pace import Pace
from api.texts.errors import Problem

MAX_JSON = 320 * 1024
"""Bytes: one value at its longest fits, in UTF-8. More of them, as nothing but lists, would hold
the event loop for longer than anybody should."""
MAX_REPORT = 256 * 1024
"""Bytes of what a worker sends: an outcome at its longest has half of that."""


async def read_json(
    request: Request, *, pace: Pace, types: tuple[str, ...] = ("application/json",)
) -> dict[str, Any]:
    """The body as a JSON object.

    Raises `Problem` unsupported-media-type before the body is read, request-too-large, and
    malformed-json; lone surrogates, NaN and endless nesting are malformed too.
    """
    if media_type(request) not in types:
        raise Problem("unsupported-media-type", params={"expected": " or ".join(types)})
    raw = await Body(request, limit=MAX_JSON, pace=pace).read()
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise Problem("malformed-json") from error
    if not isinstance(value, dict):
        raise Problem("malformed-json")
    return value


class ReadWhole:
    """Reads each body before the app does, bounded: FastAPI would take one of any size, at any
    pace, before it looks who sends it."""

    def __init__(self, app: ASGIApp, pace: Pace, refused: Callable[[str], None]) -> None:
        self._app = app
        self._pace = pace
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            raw = await Body(request, limit=MAX_REPORT, pace=self._pace).read()
        except Problem as problem:
            self._refused(problem.code)
            await problems.answer(request, problem)(scope, receive, send)
            return
        except ClientGone:
            return  # nobody waits for an answer
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": raw, "more_body": False}

        await self._app(scope, replay, send)


def media_type(request: Request) -> str:
    """The request's own media type, without parameters, in lower case."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()
