"""A worker that is told to stop ends, whoever of its callees takes that for something else."""

import asyncio
import contextlib
import signal

from worker.main import _Worker


async def test_polling_that_takes_the_first_cancel_for_something_else_is_told_again() -> None:
    async def polls() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    worker = _Worker.__new__(_Worker)  # without a Redis and its functions
    worker.tasks, worker.on_stop, worker._job_completion_wait = {}, None, 0
    worker.jobs_complete = worker.jobs_failed = worker.jobs_retried = 0
    worker.main_task = asyncio.create_task(polls())
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await worker._wait_for_tasks_to_complete(signum=signal.SIGTERM)
    assert worker.main_task.cancelled()
