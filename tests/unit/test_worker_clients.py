"""Whom the worker talks to, whatever the machine's environment says of proxies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.unit.test_promoter import settings
from worker.records_client import open_records

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@asynccontextmanager
async def listening(heard: list[bytes]) -> AsyncIterator[int]:
    """The port of one who refuses everybody, and keeps the heads of what it is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 401 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_the_secret_goes_to_the_api_and_to_no_proxy_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, proxy = list[bytes](), list[bytes]()
    async with listening(api) as port, listening(proxy) as other_port:
        for name in PROXIES:
            for each in (name, name.lower()):
                monkeypatch.setenv(each, f"http://127.0.0.1:{other_port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        url = {"internal_url": f"http://127.0.0.1:{port}"}
        async with open_records(settings(tmp_path).model_copy(update=url)) as records:
            assert await records.knock() == 401
    assert proxy == []
    (head,) = api
    assert b"Authorization: Bearer change-me\r\n" in head
