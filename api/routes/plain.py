"""A route that costs little, for what clients ask again and again."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class PlainRoute(APIRoute):
    """Calls its function with the request and the parts of the path, and sends what that returns.

    FastAPI describes it like any other, and does nothing for a request: it resolves no dependency
    and validates no parameter. So besides the request the function takes only parts of the path,
    which are strings.
    """

    def __init__(
        self, path: str, endpoint: Callable[..., Awaitable[Response]], **described: Any
    ) -> None:
        super().__init__(path, endpoint, **described)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            answer = await endpoint(Request(scope, receive, send), **scope["path_params"])
            await answer(scope, receive, send)

        self.app = app
