"""The end of the api's process."""

import asyncio

from api.serving import end


async def test_who_misses_a_cancellation_is_cancelled_again() -> None:
    """As a sweep does that writes to Redis just then."""
    missed = 0

    async def sweep() -> None:
        nonlocal missed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                missed += 1
                if missed > 1:
                    raise

    async def broken() -> None:
        raise RuntimeError("of no interest by then")

    tasks = [asyncio.create_task(sweep()), asyncio.create_task(broken())]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await end(*tasks)
    assert (tasks[0].cancelled(), missed) == (True, 2)
