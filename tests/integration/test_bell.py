"""The api rings for workers that listen, on a real Redis."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.outside.queue import Queue
from shared.jobs import BELL, QUEUE_NAME
from tests.support.compose import run_redis
from worker.listening import listen

PATIENCE = 20.0


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[tuple[str, Redis]]:
    """Its URL, and a client."""
    with run_redis(tmp_path) as (env, _, port):
        url = f"redis://:{env['REDISCLI_AUTH']}@127.0.0.1:{port}/0"
        async with Redis.from_url(url) as client:
            await _until(lambda: _lives(client))
            yield url, client


@pytest.fixture
async def rung(redis: tuple[str, Redis]) -> AsyncIterator[asyncio.Event]:
    """Set when a worker that listens hears the bell."""
    rung = asyncio.Event()
    listening = asyncio.create_task(listen(redis[0], rung.set))
    yield rung
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening


async def test_a_worker_hears_of_what_is_enqueued(
    redis: tuple[str, Redis], rung: asyncio.Event
) -> None:
    url, client = redis
    await _until(lambda: _listeners(client))
    queue = Queue(url)
    assert await queue.wake([("upl_a", 1)])
    async with asyncio.timeout(PATIENCE):
        await rung.wait()
    await queue.close()


async def test_a_worker_whose_connection_breaks_listens_again(
    redis: tuple[str, Redis], rung: asyncio.Event
) -> None:
    _, client = redis
    await _until(lambda: _listeners(client))
    await client.client_kill_filter(_type="pubsub")

    async def heard() -> bool:
        await client.publish(BELL, b"")
        return rung.is_set()

    await _until(heard)


async def test_a_redis_that_lets_nobody_publish_takes_jobs_all_the_same(
    redis: tuple[str, Redis],
) -> None:
    url, client = redis
    await client.acl_setuser(
        "api", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-publish"]
    )
    queue = Queue(f"redis://api:pw@{url.rpartition('@')[2]}")
    assert await queue.wake([("upl_a", 1)])
    assert await client.zcard(QUEUE_NAME) == 1
    await queue.close()


async def _lives(client: Redis) -> bool:
    with contextlib.suppress(RedisError):
        return bool(await client.ping())
    return False


async def _listeners(client: Redis) -> bool:
    [(_, listeners)] = await client.pubsub_numsub(BELL)
    return bool(listeners)


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110 - Redis sets no event
            await asyncio.sleep(0.05)
