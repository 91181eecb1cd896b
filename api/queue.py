"""The queue, as the api sees it: a wake-up call for workers that may fail without harm.

The only module of the api that knows arq.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import structlog
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool
from redis.exceptions import ResponseError

from shared.crash_points import reached
from shared.jobs import (
    BELL,
    CLEAN,
    PROMOTE,
    QUEUE_NAME,
    PromoteJob,
    deserialize,
    promote_job_id,
    serialize,
)

log = structlog.get_logger()

ENQUEUE_SECONDS = 1.0
"""Redis gets this long: a frozen one must not hold up anything."""
MAX_UNDER_WAY = 200


class Queue:
    """Enqueues jobs under a short deadline. No reply to a client ever depends on it."""

    def __init__(self, redis_url: str) -> None:
        # Timeouts of its own as well: the deadline cancels a transaction, and what redis-py then
        # does to leave it, such as connecting anew, is under no deadline any more.
        pool = ConnectionPool.from_url(
            redis_url, socket_timeout=ENQUEUE_SECONDS, socket_connect_timeout=ENQUEUE_SECONDS
        )
        self._redis = ArqRedis(pool, serialize, deserialize, QUEUE_NAME)
        self._under_way: set[asyncio.Task[bool]] = set()

    async def close(self) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._redis.aclose(close_connection_pool=True)

    def wake_soon(self, upload_id: str, wake: int) -> None:
        """Enqueue in the background, after the commit that made the upload due."""
        if len(self._under_way) >= MAX_UNDER_WAY:
            return  # Redis is slow or gone: the sweep will wake this upload
        task = asyncio.create_task(self.wake(upload_id, wake))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def wake(self, upload_id: str, wake: int) -> bool:
        """Enqueue one promote job; False when Redis didn't take it."""
        job = PromoteJob(upload_id=upload_id, wake=wake)
        return await self._enqueue(PROMOTE, job.model_dump(), promote_job_id(upload_id, wake))

    async def order_cleaning(self, minute: int) -> bool:
        """Enqueue one clean job; at most one a minute has the same id."""
        return await self._enqueue(CLEAN, {"v": 1}, f"{CLEAN}:{minute}")

    async def length(self) -> int | None:
        """Jobs waiting; None when Redis doesn't say."""
        try:
            async with asyncio.timeout(ENQUEUE_SECONDS):
                return int(await self._redis.zcard(QUEUE_NAME))
        except Exception:  # noqa: BLE001 - whatever Redis does, the api lives on
            return None

    async def holds(self, wakes: Sequence[tuple[str, int]]) -> set[tuple[str, int]]:
        """Which of these wake-ups are waiting or being worked on; all when Redis doesn't say."""
        if not wakes:
            return set()
        try:
            async with asyncio.timeout(ENQUEUE_SECONDS):
                scores = await self._redis.zmscore(
                    QUEUE_NAME, [promote_job_id(*each) for each in wakes]
                )
        except Exception:  # noqa: BLE001 - whatever Redis does, the api lives on
            return set(wakes)
        return {each for each, score in zip(wakes, scores, strict=True) if score is not None}

    async def _enqueue(self, function: str, payload: dict[str, Any], job_id: str) -> bool:
        try:
            async with asyncio.timeout(ENQUEUE_SECONDS):
                # None means the id is known: somebody else woke the upload with the same number.
                await self._redis.enqueue_job(function, payload, _job_id=job_id)
                reached("api-after-enqueue")
                with contextlib.suppress(ResponseError):  # a Redis whose user may not publish
                    await self._redis.publish(BELL, b"")
        except Exception as error:  # noqa: BLE001 - whatever Redis does, the upload is safe
            log.warning("enqueue_failed", job_id=job_id, error=type(error).__name__)
            return False
        return True
