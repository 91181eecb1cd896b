"""Speaking tus to an application in this process."""

from collections.abc import AsyncIterator
from typing import Any

import httpx

from tests.support.listeners import new_form

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


async def stands(client: httpx.AsyncClient, url: str) -> httpx.Response:
    return await client.head(url, headers=TUS)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def pieces(*contents: bytes) -> AsyncIterator[bytes]:
    for each in contents:
        yield each
