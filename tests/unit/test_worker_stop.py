"""A worker that is told to stop ends, whichever of its callees drops the cancel."""

import asyncio
import signal

import pytest

from worker.queue import QueueWorker


@pytest.mark.parametrize("turns", range(4))
async def test_polling_that_is_told_to_stop_just_as_a_write_ends_is_told_again(turns: int) -> None:
    async def write() -> None:
        pass

    async def polls() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(write(), 5)  # as redis-py does: some of the turns drop a cancel
        await asyncio.sleep(60)

    worker = QueueWorker.__new__(QueueWorker)  # without a Redis and its functions
    worker.tasks, worker.on_stop, worker._job_completion_wait = {}, None, 0
    worker.jobs_complete = worker.jobs_failed = worker.jobs_retried = 0
    worker.main_task = asyncio.create_task(polls())
    async with asyncio.timeout(30):
        await worker._wait_for_tasks_to_complete(signum=signal.SIGTERM)
    assert worker.main_task.cancelled()
