"""Commands that are tried out before a start."""

import asyncio

from worker.diagnosis.trial import tried


async def test_what_it_said_is_told_with_its_status() -> None:
    said = await tried("sh", "-c", "echo out; echo err >&2; exit 3", seconds=30)
    assert said == (3, b"out\n", b"err\n")


async def test_who_leaves_its_pipes_to_a_process_of_its_own_keeps_nobody_waiting() -> None:
    """When its time is over that one is killed with it."""
    async with asyncio.timeout(60):
        assert await tried("sh", "-c", "sleep 90 & wait", seconds=1) is None
