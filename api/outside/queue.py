"""The queue, as the api sees it: a wake-up call for workers that may fail without harm.

The only module of the api that knows arq.
"""

import asyncio
import contextvars
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import structlog
from arq.connections import ArqRedis
from arq.constants import job_key_prefix
from arq.jobs import serialize_job
from redis.asyncio import ConnectionPool

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
GATHER_SECONDS = 0.005
"""Between two calls while wake-ups keep coming: a call costs both sides more than what it brings,
and rings at every worker."""
MOST_SOON = 1000
"""Wake-ups that wait for Redis."""
JOB_MS = 86_400_000
"""A job that nobody took for so long is forgotten; the sweep has woken its upload long before."""


class _Job(NamedTuple):
    function: str
    payload: dict[str, Any]
    id: str


class Queue:
    """Enqueues jobs under a short deadline. No reply to a client ever depends on it."""

    def __init__(self, redis_url: str) -> None:
        # Timeouts of its own as well: the deadline cancels a transaction, and what redis-py then
        # does to leave it, such as connecting anew, is under no deadline any more.
        pool = ConnectionPool.from_url(
            redis_url, socket_timeout=ENQUEUE_SECONDS, socket_connect_timeout=ENQUEUE_SECONDS
        )
        self._redis = ArqRedis(pool, serialize, deserialize, QUEUE_NAME)
        self._soon: list[tuple[str, int]] = []
        self._waking: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Give up what isn't enqueued yet: the sweep will wake these uploads."""
        if self._waking:
            self._waking.cancel()
            await asyncio.gather(self._waking, return_exceptions=True)
        await self._redis.aclose(close_connection_pool=True)

    def wake_soon(self, upload_id: str, wake: int) -> None:
        """Enqueue in the background, after the commit that made the upload due."""
        if len(self._soon) >= MOST_SOON:
            return  # Redis is slow or gone: the sweep will wake this upload
        self._soon.append((upload_id, wake))
        if self._waking is None or self._waking.done():
            # in a context of its own: what it logs is of many requests
            self._waking = asyncio.create_task(self._wake_those(), context=contextvars.Context())

    async def _wake_those(self) -> None:
        """The first goes to Redis at once, and what comes soon after it together."""
        while self._soon:
            due, self._soon = self._soon, []
            await self.wake(due)
            await asyncio.sleep(GATHER_SECONDS)

    async def wake(self, wakes: Sequence[tuple[str, int]]) -> bool:
        """Enqueue a promote job for each upload and number; False when Redis didn't take them."""
        return await self._enqueue(
            [
                _Job(
                    PROMOTE,
                    PromoteJob(upload_id=upload_id, wake=wake).model_dump(),
                    promote_job_id(upload_id, wake),
                )
                for upload_id, wake in wakes
            ]
        )

    async def order_cleaning(self, minute: int) -> bool:
        """Enqueue one clean job; at most one a minute has the same id."""
        return await self._enqueue([_Job(CLEAN, {"v": 1}, f"{CLEAN}:{minute}")])

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

    async def _enqueue(self, jobs: Sequence[_Job]) -> bool:
        """Put jobs into the queue, in one round trip, and ring the workers' bell. An id that is
        known already changes nothing: somebody else woke the upload with the same number.

        What arq's own `enqueue_job` writes, which asks before for each job whether it is known.
        """
        now = time.time_ns() // 1_000_000
        try:
            async with asyncio.timeout(ENQUEUE_SECONDS):
                pipe = self._redis.pipeline(transaction=False)
                for job in jobs:
                    written = serialize_job(
                        job.function, (job.payload,), {}, None, now, serializer=serialize
                    )
                    pipe.set(job_key_prefix + job.id, written, px=JOB_MS, nx=True)
                pipe.zadd(QUEUE_NAME, {job.id: now for job in jobs}, nx=True)
                pipe.publish(BELL, b"")
                *answers, _ = await pipe.execute(raise_on_error=False)  # it may be let not publish
                reached("api-after-enqueue")
        except Exception as error:  # noqa: BLE001 - whatever Redis does, the upload is safe
            answers = [error]
        failed = next((each for each in answers if isinstance(each, Exception)), None)
        if failed:
            log.warning("enqueue_failed", jobs=len(jobs), error=type(failed).__name__)
        return failed is None
