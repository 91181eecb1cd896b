"""The worker goes on with another address of the api when one is silent."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from shared.status import Stage
from tests.unit.test_records_client import ORDER
from worker.records_client import RecordsClient
from worker.replicas import Replicas

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HUNG, LIVE, SICK, GONE = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"


class Name:
    """Stands where the name service is."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: list[str] | None = list(addresses)

    async def __call__(self, host: str, port: int) -> list[str]:
        assert (host, port) == ("internal", self.port)
        if self.addresses is None:
            raise OSError("no such name")
        return list(self.addresses)

    port = 0


@asynccontextmanager
async def replicas(name: Name) -> AsyncIterator[tuple[RecordsClient, list[tuple[str, str]]]]:
    """One that accepts and never answers, one that lives, and one that is ill, on one port."""
    heard: list[tuple[str, str]] = []

    def server(address: str, answer: bytes | None) -> Serve:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            host = next(each for each in head.split(b"\r\n") if each.lower().startswith(b"host:"))
            heard.append((address, host.split(b": ")[1].decode()))
            if answer is None:
                await reader.read()  # until the client has had enough
            else:
                writer.write(answer)
            writer.close()

        return serve

    async with AsyncExitStack() as stack:
        port = 0
        for address, answer in (
            (HUNG, None),
            (LIVE, b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
            (SICK, b"HTTP/1.1 503 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        ):
            opened = await asyncio.start_server(server(address, answer), address, port)
            stack.callback(opened.close)
            port = opened.sockets[0].getsockname()[1]
        name.port = port
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        url = httpx.URL(f"http://internal:{port}")
        yield RecordsClient(http, Replicas([url], resolve=name)), heard


SHORT = ORDER.model_copy(update={"lease_seconds": 2})


@pytest.mark.parametrize("first", [HUNG, GONE, SICK])
async def test_a_heartbeat_reaches_a_living_replica_within_half_a_lease_and_stays_with_it(
    first: str,
) -> None:
    async with replicas(Name(first, LIVE)) as (records, heard):
        began = time.monotonic()
        assert await records.heartbeat(SHORT, Stage.STORING)
        assert time.monotonic() - began < SHORT.lease_seconds
        assert heard[-1][0] == LIVE
        del heard[:]
        assert await records.heartbeat(SHORT, Stage.STORING)
        assert [address for address, _ in heard] == [LIVE]


async def test_the_host_that_is_named_stays_the_names() -> None:
    name = Name(LIVE)
    async with replicas(name) as (records, heard):
        await records.heartbeat(SHORT, Stage.STORING)
        assert heard == [(LIVE, f"internal:{name.port}")]


async def test_replicas_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.replicas.RESOLVE_EVERY", 0)
    name = Name(GONE)
    async with replicas(name) as (records, heard):
        await records.heartbeat(SHORT, Stage.STORING)
        name.addresses = [LIVE]
        await records.heartbeat(SHORT, Stage.STORING)
        name.addresses = None  # a name server that is away forgets nobody
        await records.heartbeat(SHORT, Stage.STORING)
        assert [address for address, _ in heard] == [LIVE, LIVE]


async def test_several_urls_are_replicas_too() -> None:
    name = Name()

    async def as_it_is(host: str, _port: int) -> list[str]:
        return [host]

    async with replicas(name) as (_, heard), httpx.AsyncClient(trust_env=False) as http:
        urls = [httpx.URL(f"http://{each}:{name.port}") for each in (GONE, LIVE)]
        records = RecordsClient(http, Replicas(urls, resolve=as_it_is))
        assert await records.heartbeat(SHORT, Stage.STORING)
        assert heard[0][0] == LIVE


async def test_a_name_that_never_had_an_address_is_a_call_without_an_answer() -> None:
    name = Name()
    name.addresses = None
    async with replicas(name) as (records, _):
        with pytest.raises(httpx.ConnectError):
            await records.knock()
