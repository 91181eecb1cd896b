"""Every way in which a client sends a file, as a request whose body comes in two halves: what
happens between them happens while the body is under way."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import httpx

Midway = Callable[[], Awaitable[object]]


class Way(NamedTuple):
    method: str
    path: str
    """Below the form."""
    part: str | None
    """The name of the file's part; None where the whole body is the file."""


WAYS = {
    "raw": Way("PUT", "/fields/{field}/uploads/key", None),
    "multipart": Way("POST", "/fields/{field}/uploads", "file"),
    "FilePond": Way("POST", "/fields/{field}/filepond", "{field}"),
    "section": Way("PATCH", "", "{field}"),
    "HTML form": Way("POST", "", "{field}"),
}
ALONE = ("raw", "multipart", "FilePond")
"""Those that send one file and nothing else."""


async def send(
    client: httpx.AsyncClient,
    form: Mapping[str, Any],
    way: str,
    content: bytes,
    *,
    field: str = "pair",
    midway: Midway | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """The answer to a file that is sent to the form in this way, with the token that the client
    has."""
    method, path, part = WAYS[way]
    kind, body = _encoded(part.format(field=field), content) if part else ("image/png", content)

    async def halves() -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]
        if midway:
            await midway()
        yield body[len(body) // 2 :]

    return await client.request(
        method,
        f"/v1/forms/{form['id']}{path.format(field=field)}",
        content=halves(),
        headers={"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})},
    )


def _encoded(part: str, content: bytes) -> tuple[str, bytes]:
    files = {part: ("a.png", content, "image/png")}
    request = httpx.Request("POST", "http://public", files=files)
    return request.headers["content-type"], request.read()
