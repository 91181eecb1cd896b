"""tus on the real application: what it answers, and what becomes of the bytes."""

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.services import Services
from shared.volume import STAGED
from tests.support.listeners import new_form, public

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
CONTENT = b"some batches of bytes" * 20_000


async def begun(client: httpx.AsyncClient, field: str = "bulk", **headers: str) -> str:
    form = await new_form(client)
    answer = await client.post(
        f"/v1/forms/{form['id']}/fields/{field}/tus",
        headers={**TUS, "Upload-Length": str(len(CONTENT)), **headers},
    )
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


async def send(
    client: httpx.AsyncClient, url: str, offset: int, content: Any, **headers: str
) -> httpx.Response:
    return await client.patch(
        url, content=content, headers={**BYTES, "Upload-Offset": str(offset), **headers}
    )


async def test_bytes_that_come_in_several_requests_are_one_staged_file(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        for at in range(0, len(CONTENT), 100_000):
            answer = await send(client, url, at, CONTENT[at : at + 100_000])
            assert answer.status_code == 204, answer.text
        found = (await client.get(url)).json()
    assert answer.headers["upload-offset"] == str(len(CONTENT))
    assert found["status"] == "staged"
    assert found["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert (services.settings.staging_dir / STAGED / found["id"]).read_bytes() == CONTENT
