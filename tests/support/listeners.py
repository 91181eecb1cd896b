"""Both listeners of the api in this process, without sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from api.app import create_internal_app, create_public_app
from api.services import Services

SECRET = {"Authorization": "Bearer secret"}


@asynccontextmanager
async def public(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_public_app(services), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://public") as client:
        yield client


@asynccontextmanager
async def internal(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_internal_app(services), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://internal") as client:
        yield client


async def new_form(client: httpx.AsyncClient) -> dict[str, Any]:
    """A form of the tests' own type, whose token the client then sends."""
    answer = await client.post("/v1/forms", json={"type": "acceptance", "data": {}})
    assert answer.status_code == 201, answer.text
    form: dict[str, Any] = answer.json()
    client.headers["Authorization"] = f"Bearer {form['token']}"
    return form


async def send(client: httpx.AsyncClient, form: dict[str, Any], content: bytes) -> httpx.Response:
    path = f"/v1/forms/{form['id']}/fields/needed/uploads"
    return await client.post(path, files={"file": ("a.png", content, "image/png")})
