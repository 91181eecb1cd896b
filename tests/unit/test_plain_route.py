"""Routes that FastAPI describes and does nothing for."""

from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Path, Query, Request
from starlette.responses import PlainTextResponse, Response

from api.routes import plain

Name = Annotated[str, Path(description="whom to greet", max_length=3)]


async def test_a_plain_route_is_described_and_its_parameters_are_not_validated() -> None:
    app, router = FastAPI(), APIRouter(prefix="/v1")

    @plain.route(router, "GET", "/greetings/{name}")
    async def greet(request: Request, name: Name) -> Response:
        return PlainTextResponse(f"{request.method} {name}")

    app.router.routes += router.routes
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://plain") as client:
        assert (await client.get("/v1/greetings/Charles")).text == "GET Charles"
        assert (await client.post("/v1/greetings/Ada")).status_code == 405
    (parameter,) = app.openapi()["paths"]["/v1/greetings/{name}"]["get"]["parameters"]
    assert (parameter["in"], parameter["description"]) == ("path", "whom to greet")


def test_a_plain_route_that_asks_for_more_than_parts_of_the_path_is_refused() -> None:
    async def greet(request: Request, name: Name, tone: Annotated[str, Query()]) -> Response:
        return PlainTextResponse(f"{request.method} {name} {tone}")

    with pytest.raises(TypeError, match="tone"):
        plain.route(APIRouter(), "GET", "/greetings/{name}")(greet)
