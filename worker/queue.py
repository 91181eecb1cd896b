"""Jobs taken from the queue until the worker is told to stop. The only module of the worker that
knows arq."""

import asyncio
import contextlib
import signal
import time
from pathlib import Path
from typing import Any

import structlog
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix
from arq.worker import Worker, func
from redis.asyncio import ConnectionPool

from shared.jobs import CLEAN, PROMOTE, QUEUE_NAME, PromoteJob, deserialize, serialize
from worker.cleaning import Cleaner
from worker.listening import listen
from worker.promoter import Promoter
from worker.redis_watch import ASK_EVERY, LOST, RedisWatch
from worker.settings import Settings
from worker.watch import Watch

log = structlog.get_logger()

JOB_SECONDS = 24 * 3600
"""arq's own limit: out of the way. Work has deadlines of its own, kept by the record."""
MAX_TRIES = 10_000
"""arq counts a SIGTERM as a try and drops a job past its tries; attempts are the record's."""
READ_LIMIT = 2_000
"""Ids read from the queue at once: in-progress keys of killed workers must not hide fresh jobs."""
IN_PROGRESS_SECONDS = 60
"""How long a killed worker's job counts as running. arq would take the limit above: the dead jobs
would fill the queue up to the length at which the api enqueues no more."""
REDIS_SECONDS = 10.0
"""A Redis that doesn't answer for so long is taken for lost: one whose host is gone never would."""
HEALTH_SECONDS = 5.0
GIVE_BACK_SECONDS = 5.0
"""For all cancelled jobs together, at the end of the grace; the supervisor's patience is longer."""
CLOSE_SECONDS = 0.5
INSIST_SECONDS = 0.2
"""Between two times that polling the queue is told to end."""


async def work(
    settings: Settings, promoter: Promoter, cleaner: Cleaner, watches: list[Watch]
) -> None:
    """Promote uploads, and clean up behind them, until SIGTERM or SIGINT; what is under way then
    is ended or handed on."""

    async def promote(ctx: dict[Any, Any], payload: dict[str, Any]) -> None:  # noqa: ARG001 - arq's
        await promoter.promote(PromoteJob.model_validate(payload).upload_id)

    async def clean(ctx: dict[Any, Any], payload: dict[str, Any]) -> None:  # noqa: ARG001 - arq's
        await cleaner.clean()

    worker = QueueWorker(
        [func(promote, name=PROMOTE), func(clean, name=CLEAN)],
        queue_name=QUEUE_NAME,
        redis_pool=_redis(settings.redis_url),
        max_jobs=settings.max_jobs,
        job_timeout=JOB_SECONDS,
        max_tries=MAX_TRIES,
        keep_result=0,
        poll_delay=settings.poll_seconds,
        queue_read_limit=READ_LIMIT,
        job_completion_wait=settings.shutdown_seconds,
        job_serializer=serialize,
        job_deserializer=deserialize,
        handle_signals=False,
        log_results=False,
    )
    worker.redis_watch = RedisWatch(settings.redis_url)
    worker.in_progress_timeout_s = IN_PROGRESS_SECONDS
    worker.rung = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        promoter.stop(settings.shutdown_seconds)
        worker.handle_sig_wait_for_completion(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    health = asyncio.create_task(_show_health(settings.health_file, worker, watches))
    listening = asyncio.create_task(listen(settings.redis_url, worker.rung.set))
    log.info("worker_starting", max_jobs=settings.max_jobs)
    try:
        await worker.async_run()
    except asyncio.CancelledError:
        log.info("worker_stopped")  # arq cancels its own main task on a signal
    except Exception:
        # Nobody knows what, and no upload's doing: what is under way may still end, and what
        # doesn't is given back rather than left to lose its lease and an attempt.
        promoter.stop(settings.shutdown_seconds)
        if worker.tasks:
            await asyncio.wait(worker.tasks.values(), timeout=settings.shutdown_seconds)
        for task in worker.tasks.values():
            task.cancel()
        raise
    finally:
        health.cancel()
        listening.cancel()
        # The queue's library knows of those that are checked, and only of those, no longer.
        ending = asyncio.create_task(promoter.end(GIVE_BACK_SECONDS))
        # Jobs that were cancelled still give their uploads back. arq's close would cancel them a
        # second time, and go on at the first that ends.
        if worker.tasks:
            await asyncio.wait(worker.tasks.values(), timeout=GIVE_BACK_SECONDS)
        await ending
        with contextlib.suppress(asyncio.CancelledError, *LOST):
            async with asyncio.timeout(CLOSE_SECONDS):  # it tells Redis, which may be away
                await worker.close()


class QueueWorker(Worker):
    """arq's worker, which says when it last polled the queue and which jobs it still runs, and
    which waits for a Redis that is lost: arq's own would end."""

    redis_watch: RedisWatch
    rung: asyncio.Event
    """Set when there is something new in the queue."""
    polled_at: float | None = None
    _renewed_at = 0.0

    async def main(self) -> None:
        while True:
            self.rung.clear()
            try:
                await self._poll_iteration()
            except LOST as error:
                self.redis_watch.lost(error)
                await self._until_redis_is_back()
            else:
                self.redis_watch.works()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.poll_delay_s):
                        await self.rung.wait()

    async def _until_redis_is_back(self) -> None:
        """Jobs under way go on meanwhile: they need the record and the store, and no Redis."""
        while True:
            await asyncio.sleep(ASK_EVERY)
            for job_id, task in list(self.tasks.items()):
                if task.done():  # it couldn't tell the queue; the record knows of it
                    del self.tasks[job_id]
                    if not task.cancelled():
                        task.exception()
            if await self.redis_watch.answers():
                break
        # Connections from before may be dead, and a job that was being taken kept its slot.
        await self.pool.connection_pool.disconnect(inuse_connections=False)
        self.job_counter = sum(not task.done() for task in self.tasks.values())
        self.sem = asyncio.BoundedSemaphore(self.max_jobs + 1)
        for _ in range(self.job_counter):
            await self.sem.acquire()

    async def _wait_for_tasks_to_complete(self, signum: signal.Signals) -> None:
        """After arq's own, which cancels polling once. redis-py writes under `asyncio.wait_for`,
        which before Python 3.12 drops a cancel that comes just as what it waits for is done
        (https://github.com/python/cpython/issues/86296): that would leave a worker that takes no
        job, and never ends."""
        await super()._wait_for_tasks_to_complete(signum=signum)
        while self.main_task and not self.main_task.done():
            await asyncio.sleep(INSIST_SECONDS)
            self.main_task.cancel()

    async def heart_beat(self) -> None:
        await super().heart_beat()
        self.polled_at = time.monotonic()
        if self.polled_at - self._renewed_at >= IN_PROGRESS_SECONDS / 3:
            await self._renew_in_progress()
            self._renewed_at = self.polled_at

    async def _renew_in_progress(self) -> None:
        async with self.pool.pipeline(transaction=False) as pipe:
            for job_id in self.job_tasks:
                pipe.expire(in_progress_key_prefix + job_id, IN_PROGRESS_SECONDS)
            await pipe.execute()


def _redis(url: str) -> ArqRedis:
    """Connects when it is first used; no call outlasts `REDIS_SECONDS`."""
    pool = ConnectionPool.from_url(
        url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
    )
    return ArqRedis(pool, serialize, deserialize, QUEUE_NAME)


async def _show_health(path: Path | None, worker: QueueWorker, watches: list[Watch]) -> None:
    """Touch the health file every few seconds while the queue is being polled and no watch raises
    its alarm: who waits for Redis takes no jobs, and isn't healthy."""
    touched: float | None = None
    while path:
        polled = worker.polled_at
        due = polled and polled != touched and time.monotonic() - (touched or 0) >= HEALTH_SECONDS
        if due and not any(watch.alarm for watch in watches):
            await asyncio.to_thread(path.touch)
            touched = polled
        await asyncio.sleep(0.1)
