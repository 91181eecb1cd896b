"""Whom the worker talks to, whatever the machine's environment says of proxies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.unit.test_promoter import settings
from worker.object_store import StoreSettings, open_object_store
from worker.records_client import open_records


@asynccontextmanager
async def listening(heard: list[bytes]) -> AsyncIterator[int]:
    """The port of one who refuses everybody, and keeps the heads of what it is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 401 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def heard_by_proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[bytes]]:
    """What a proxy was asked that the environment names for everything."""
    heard: list[bytes] = []
    async with listening(heard) as port:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            for each in (name, name.lower()):
                monkeypatch.setenv(each, f"http://127.0.0.1:{port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield heard


async def test_the_secret_goes_to_the_api_and_to_no_proxy_of_the_environment(
    tmp_path: Path, heard_by_proxy: list[bytes]
) -> None:
    heard: list[bytes] = []
    async with listening(heard) as port:
        url = {"internal_url": f"http://127.0.0.1:{port}"}
        async with open_records(settings(tmp_path).model_copy(update=url)) as records:
            assert await records.knock() == 401
    assert heard_by_proxy == []
    (head,) = heard
    assert b"Authorization: Bearer change-me\r\n" in head


async def test_files_go_to_a_store_without_tls_and_to_no_proxy_of_the_environment(
    heard_by_proxy: list[bytes],
) -> None:
    heard: list[bytes] = []
    async with listening(heard) as port:
        where = StoreSettings(
            bucket="bucket",
            region="us-east-1",
            access_key_id="key",
            secret_access_key="secret",
            endpoint_url=f"http://127.0.0.1:{port}",
        )
        async with open_object_store(where) as store:
            assert await store.knock(10) is None, "it answered"
    assert heard_by_proxy == []
    assert heard


async def test_a_store_with_tls_is_reached_by_the_proxy_that_the_environment_names(
    heard_by_proxy: list[bytes],
) -> None:
    where = StoreSettings(
        bucket="bucket", region="us-east-1", access_key_id="key", secret_access_key="secret"
    )
    async with open_object_store(where) as store:
        assert await store.knock(10), "the proxy refuses"
    assert heard_by_proxy[0].startswith(b"CONNECT bucket.s3.")
