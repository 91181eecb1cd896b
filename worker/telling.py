"""Tell the api how the store is: it never talks to the store, and operators ask the api."""

import asyncio
import contextlib

from shared.ids import new_id
from shared.internal_api import WorkerReport
from worker.records_client import RecordsClient
from worker.storing import Storing

EVERY_SECONDS = 5.0
"""A worker that wasn't heard of for four times as long is taken for gone."""


async def keep_telling(records: RecordsClient, storing: Storing) -> None:
    """For the life of the worker: every few seconds, and when something changed at once."""
    me, changed = new_id("wrk"), asyncio.Event()
    storing.breaker.on_change.append(changed.set)
    while True:
        changed.clear()
        await records.tell_of_worker(me, _report(storing))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVERY_SECONDS):
                await changed.wait()


def _report(storing: Storing) -> WorkerReport:
    return WorkerReport(
        store=storing.breaker.state,
        store_for_seconds=storing.breaker.seconds,
        waiting=storing.uploads,
    )
