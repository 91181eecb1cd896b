"""A route that costs little, for what clients ask again and again."""

from collections.abc import Awaitable, Callable
from inspect import signature
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Endpoint = Callable[..., Awaitable[Response]]


class PlainRoute(APIRoute):
    """Calls its function with the request and the parts of the path, and sends what that returns.

    FastAPI describes it like any other, and does nothing for a request: it resolves no dependency
    and validates no parameter. So the function takes the parts of the path, as strings, and nothing
    else; raises `TypeError` for one that does.
    """

    def __init__(self, path: str, endpoint: Endpoint, **described: Any) -> None:
        super().__init__(path, endpoint, **described)
        takes, given = set(signature(endpoint).parameters), {"request", *self.param_convertors}
        if takes != given:
            wrong = ", ".join(sorted(takes ^ given))
            raise TypeError(f"{path}: a plain route takes request and parts of the path ({wrong})")
        self.app = self._serve

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        answer: Response = await self.endpoint(request, **request.path_params)
        await answer(scope, receive, send)


def route(
    router: APIRouter, method: str, path: str, **described: Any
) -> Callable[[Endpoint], Endpoint]:
    """Decorate a function to be a plain route: `@plain.route(router, "GET", "/forms/{form_id}")`,
    with what a decorator of the router takes besides."""

    def added(endpoint: Endpoint) -> Endpoint:
        router.add_api_route(
            path, endpoint, methods=[method], route_class_override=PlainRoute, **described
        )
        return endpoint

    return added
