"""Small JSON bodies, read whole."""

from typing import Any

from pydantic_core import from_json
from starlette.requests import Request

from api.errors import Problem
from api.receive.body import Body
from api.receive.pace import Pace

MAX_JSON = 1024 * 1024


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


def media_type(request: Request) -> str:
    """The request's own media type, without parameters, in lower case."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()
