"""Sending a file in chunks as Dropzone and FilePond do, to an application in this process."""

from collections.abc import AsyncIterator
from typing import Any

import httpx

CONTENT = bytes(range(256)) * 1000
SIZE = 100_000
COUNT = 3


def chunk(index: int) -> bytes:
    return CONTENT[index * SIZE : (index + 1) * SIZE]


Said = dict[str, object]
"""Fields that say something else than Dropzone would, None for one that is missing."""


def dropzone_fields(index: int, other: Said | None = None) -> dict[str, str]:
    """What Dropzone says of the chunk of that number."""
    said: dict[str, object] = {
        "dzuuid": "6b1f",
        "dzchunkindex": index,
        "dztotalfilesize": len(CONTENT),
        "dzchunksize": SIZE,
        "dztotalchunkcount": COUNT,
        "dzchunkbyteoffset": index * SIZE,
        **(other or {}),
    }
    return {name: str(value) for name, value in said.items() if value is not None}


async def dropzone(
    client: httpx.AsyncClient,
    form: dict[str, Any],
    index: int,
    content: bytes | None = None,
    *,
    field: str = "bulk",
    headers: dict[str, str] | None = None,
    other: Said | None = None,
) -> httpx.Response:
    """Send one chunk."""
    file = ("licence.pdf", chunk(index) if content is None else content)
    return await client.post(
        f"/v1/forms/{form['id']}/fields/{field}/uploads",
        data=dropzone_fields(index, other),
        files={"file": file},
        headers=headers,
    )


def filepond(form: dict[str, Any], field: str = "bulk") -> str:
    """Where FilePond sends to."""
    return f"/v1/forms/{form['id']}/fields/{field}/filepond"


async def filepond_begin(
    client: httpx.AsyncClient,
    form: dict[str, Any],
    size: int = len(CONTENT),
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    headers = {"Upload-Length": str(size), **(headers or {})}
    return await client.post(filepond(form), files={"bulk": (None, "{}")}, headers=headers)


async def filepond_chunk(
    client: httpx.AsyncClient,
    form: dict[str, Any],
    upload_id: str,
    offset: int,
    content: bytes | AsyncIterator[bytes],
    headers: dict[str, str | bytes] | None = None,
) -> httpx.Response:
    said: dict[str, str | bytes] = {
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": str(offset),
        "Upload-Length": str(len(CONTENT)),
        "Upload-Name": "licence.pdf",
        **(headers or {}),
    }
    encoded = {
        name.encode(): each.encode() if isinstance(each, str) else each
        for name, each in said.items()
    }
    where = filepond(form)
    return await client.patch(where, params={"patch": upload_id}, content=content, headers=encoded)


async def filepond_offset(
    client: httpx.AsyncClient, form: dict[str, Any], upload_id: str
) -> httpx.Response:
    """Ask how far it is, as FilePond does: without a credential."""
    bare = httpx.AsyncClient(transport=client._transport, base_url=client.base_url)
    return await bare.head(filepond(form), params={"patch": upload_id})
