"""Hear from Redis that something was enqueued, rather than find it at the next look."""

import asyncio
import contextlib
from collections.abc import Callable

from redis.asyncio import Redis

from shared.jobs import BELL
from worker.redis_watch import ANSWER_SECONDS, LOST

AGAIN_SECONDS = 2.0
"""Between two tries to listen. Meanwhile the queue is looked at every `POLL_SECONDS`, no less."""
QUIET_SECONDS = 10.0
"""After so long without a word the connection is tried: one whose other end is gone is silent."""


async def listen(url: str, rung: Callable[[], None]) -> None:
    """Call `rung` whenever the api has enqueued something; for the life of the worker.

    Nothing depends on it: a Redis that is away, or lets us not subscribe, only costs the time until
    the next look at the queue.
    """
    while True:
        with contextlib.suppress(*LOST):
            await _listen_once(url, rung)
        await asyncio.sleep(AGAIN_SECONDS)


async def _listen_once(url: str, rung: Callable[[], None]) -> None:
    """Until the connection breaks; raises what it breaks with."""
    redis = Redis.from_url(
        url,
        socket_timeout=QUIET_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        health_check_interval=QUIET_SECONDS,
    )
    async with redis, redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(BELL)
        while True:
            if await channel.get_message(timeout=QUIET_SECONDS):
                rung()
